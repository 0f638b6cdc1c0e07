import { joinPath, type SourceOp } from '../llb/index.ts';

const GIT = 'git://';
const FULL_URL = 'git.fullurl';

/**
 * What rules know a source by. Of a git source that is host and path of the address that is really asked, whatever its protocol, with the
 * reference and a directory that leads nowhere else, as BuildKit has it; others are known by what they say.
 */
export function canonicalIdentifier({ identifier, attrs }: SourceOp): string {
  if (!identifier.startsWith(GIT)) return identifier;
  const [place = '', ...fragments] = identifier.slice(GIT.length).split('#');
  const fragment = fragments.join('#');
  const colon = fragment.indexOf(':');
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const subdir = joinPath('/', colon < 0 ? '' : fragment.slice(colon + 1)).slice(1);
  const end = ref === '' && subdir === '' ? '' : `#${ref}${subdir === '' ? '' : `:${subdir}`}`;
  return `${GIT}${repositoryOf(attrs.get(FULL_URL) || place)}${end}`;
}

/** A source whose attributes name the repository that its identifier names: an address of another one is not asked any more. */
export function withoutStaleAddress(source: SourceOp): SourceOp {
  const { identifier, attrs } = source;
  const full = attrs.get(FULL_URL);
  if (full === undefined || full === '') return source;
  const [place = ''] = identifier.startsWith(GIT) ? identifier.slice(GIT.length).split('#') : [];
  if (place !== '' && repositoryOf(place) === repositoryOf(full)) return source;
  return { ...source, attrs: new Map([...attrs].filter(([key]) => key !== FULL_URL)) };
}

/** Host and path of an address: of a URL, of git's `user@host:path`, or of one without a scheme. */
function repositoryOf(address: string): string {
  const scp = /^[^@:/]+@([^:/]+):(.*)$/s.exec(address);
  if (scp) return `${scp[1] ?? ''}${joinPath('/', scp[2] ?? '')}`;
  const [, host = '', path = ''] = /^(?:[a-z][a-z0-9+.-]*:\/\/)?(?:[^@/?#]*@)?([^/?#]*)([^?#]*)/is.exec(address) ?? [];
  return `${host}${joinPath('/', path)}`;
}
