/**
 * Whether a text may be the name of a reference: git's own rules (git-check-ref-format), so that it is neither an option nor an
 * expression nor a pattern (GIT-02).
 */
export function isRefName(text: string): boolean {
  if (
    text === '' ||
    text === '@' ||
    text.startsWith('-') ||
    text.endsWith('/') ||
    text.endsWith('.') ||
    text.length > 1024
  )
    return false;
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\//.test(text)) return false;
  return text
    .split('/')
    .every((part) => part !== '' && !part.startsWith('.') && !part.startsWith('-') && !part.endsWith('.lock'));
}
