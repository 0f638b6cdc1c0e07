import { cleanPath } from '../patterns/index.ts';

/** Go's `path.Join`: joins the parts that are not empty and cleans the result; all empty gives `''`. */
export function joinPath(...parts: readonly string[]): string {
  const present = parts.filter((part) => part !== '');
  return present.length === 0 ? '' : cleanPath(present.join('/'));
}

/** Go's `path.Base`. */
export function basePath(path: string): string {
  if (path === '') return '.';
  const trimmed = path.replace(/(?<!\/)\/+$/, '');
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}
