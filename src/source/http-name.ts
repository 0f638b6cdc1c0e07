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
  const encoded = /;\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(header)?.[1];
  const match = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))/i.exec(header);
  const name = encoded === undefined ? (match?.[1]?.replace(/\\(.)/g, '$1') ?? match?.[2]) : decode(encoded);
  return name === undefined || name.endsWith('/') ? undefined : name;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
