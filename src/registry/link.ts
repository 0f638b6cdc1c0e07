/** More of a header is nobody's list of links. */
const MAX_LENGTH = 8192;

/** A link with what is said of it: none of that contains `<` in any server's answers. */
const LINK = /<([^<>]*)>([^<]*)/g;
/** The relation of a link, of which the first counts (RFC 8288, 3.3): one word, or several in quotes. */
const RELATION = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i;

/**
 * Where the next page of a list is, by `Link: </v2/_catalog?last=x&n=1000>; rel="next"` (distribution-spec, "Pagination"; RFC 8288), in time linear
 * in the header. Whether to go there is up to the caller.
 * @param base the address that answered
 * @returns undefined where there is none, or none that is a URL
 */
export function nextLink(header: string | undefined, base: URL): URL | undefined {
  for (const [, target = '', said = ''] of (header ?? '').slice(0, MAX_LENGTH).matchAll(LINK)) {
    const [, quoted, plain = ''] = RELATION.exec(said) ?? [];
    const relations = (quoted ?? plain).toLowerCase().split(/\s+/);
    if (relations.includes('next')) return URL.canParse(target, base.href) ? new URL(target, base.href) : undefined;
  }
  return undefined;
}
