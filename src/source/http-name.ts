/**
 * The name that a download is stored under: the one that was asked for, else that of the `Content-Disposition` header, else the
 * last element of the URL's path. Never a path (CTX-07): what does not make a name is `download`.
 */
export function downloadName(url: string, wanted: string | undefined, disposition: string | undefined): string {
  if (wanted) return safeFileName(wanted);
  const offered = disposition === undefined ? undefined : dispositionName(disposition);
  if (offered) return safeFileName(offered);
  return safeFileName(URL.canParse(url) ? decode(new URL(url).pathname) : '');
}

/** The last element of a path, or `download` when it is no file name. */
export function safeFileName(path: string): string {
  const name =
    path
      .trim()
      .replace(/(?<!\/)\/+$/, '')
      .split('/')
      .at(-1) ?? '';
  // eslint-disable-next-line no-control-regex
  if (name === '' || name === '.' || name === '..' || /[\u0000-\u001f\u007f-\u009f]/.test(name)) return 'download';
  return name;
}

/** The `filename` parameter of a `Content-Disposition` header (RFC 6266); a name that ends in a slash counts as none. */
function dispositionName(header: string): string | undefined {
  const parameters = parametersOf(header);
  const encoded = /^utf-8'[^']*'(.+)$/i.exec(parameters.get('filename*') ?? '')?.[1];
  const name = encoded === undefined ? parameters.get('filename') : decode(encoded);
  return name === undefined || name.endsWith('/') ? undefined : name;
}

/** What is said behind the type, the first of each name. A text in quotes may have in it what would else begin the next. */
function parametersOf(header: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const start = header.indexOf(';');
  if (start < 0) return found;
  for (const match of header.slice(start).matchAll(PARAMETER)) {
    const [, name = '', quoted, plain = ''] = match;
    const key = name.toLowerCase();
    if (!found.has(key)) found.set(key, quoted === undefined ? plain.trim() : quoted.replace(/\\(.)/g, '$1'));
  }
  return found;
}

/** One behind the other, so that nobody's text is read twice. */
const PARAMETER = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"\s*|([^;"]*))/gy;

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
