import { trimSpace } from './trim.ts';

/**
 * The shortest name of a slash-separated path, by its text alone: no empty or `.` elements, `..` resolved where something stands
 * before it, no slash at the end. An empty path is `.` (Go's path.Clean).
 */
export function cleanPath(path: string): string {
  const rooted = path.startsWith('/');
  const out: string[] = [];
  for (const element of path.split('/')) {
    if (element === '' || element === '.') continue;
    if (element !== '..') out.push(element);
    else if (out.length > 0 && out.at(-1) !== '..') out.pop();
    else if (!rooted) out.push('..');
  }
  if (rooted) return `/${out.join('/')}`;
  return out.length === 0 ? '.' : out.join('/');
}

/**
 * A pattern of a list, made relative to the directory that the list is for: blanks trimmed, cleaned, no slash in front. A `!` stays.
 */
export function relativePattern(pattern: string): string {
  const text = trimSpace(pattern);
  return text.startsWith('!') ? `!${relative(trimSpace(text.slice(1)))}` : relative(text);
}

function relative(pattern: string): string {
  if (pattern === '') return '';
  const cleaned = cleanPath(pattern);
  return cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned;
}
