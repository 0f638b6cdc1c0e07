/**
 * The little of XML that object stores answer with: elements without attributes of interest, text, the five entities. A reader of the
 * whole language (document types, entities of one's own, namespaces) would be more to attack than to use. Documents are bounded by whoever
 * loads them.
 */

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** The content of each element of a name, in order; an element within one of the same name is not looked for. */
export function elements(xml: string, name: string): readonly string[] {
  const found: string[] = [];
  const end = `</${name}>`;
  for (let at = 0; ;) {
    const open = xml.indexOf(`<${name}`, at);
    if (open < 0) return found;
    at = open + name.length + 1;
    // `<Key` is also how `<KeyCount>` begins.
    if (!/[\s/>]/.test(xml[at] ?? '')) continue;
    const start = xml.indexOf('>', at) + 1;
    if (start === 0) return found;
    at = start;
    if (xml[start - 2] === '/') {
      found.push('');
      continue;
    }
    const close = xml.indexOf(end, start);
    if (close < 0) return found;
    found.push(xml.slice(start, close));
    at = close + end.length;
  }
}

/** The text of the first element of a name, undefined where there is none. */
export function textOf(xml: string, name: string): string | undefined {
  const first = elements(xml, name)[0];
  return first === undefined ? undefined : unescape(first).trim();
}

function unescape(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{1,4}));/g, (whole, decimal, hex, name) => {
    const code = decimal === undefined ? Number.parseInt(String(hex), 16) : Number(decimal);
    if (decimal === undefined && hex === undefined) return ENTITIES[String(name)] ?? whole;
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

/** Text within an element. */
export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
