import { suggest } from '../util/index.ts';
import { type ByteString, joinPath, toByteString, toText } from './bytes.ts';
import type { ReadableTree } from './node.ts';
import { resolvePath } from './resolve.ts';

/** Of directories with more entries than this nothing is suggested: looking through them would take longer than the error is worth. */
const MAX_NAMES = 20_000;

/**
 * What to do about a path that is not in a tree: the one beside it that was perhaps meant, or the usual advice. `BuildKit` compares names
 * of stages and images only.
 */
export function missingPathHint<D>(tree: ReadableTree<D>, path: ByteString): string {
  const near = nearPath(tree, path);
  const usual = 'check the path, and that .dockerignore does not exclude it';
  return near === undefined ? usual : `did you mean "/${toText(near)}"?`;
}

/** The path with the first name that does not exist replaced by the nearest one in its directory. */
function nearPath<D>(tree: ReadableTree<D>, path: ByteString): ByteString | undefined {
  const located = resolvePath(tree, path, { followLast: false });
  try {
    const [wrong, ...rest] = located.missing;
    if (wrong === undefined || located.blockedBy !== undefined) return undefined;
    const names = tree.list(located.parent);
    if (names.length > MAX_NAMES) return undefined;
    const near = suggest(toText(wrong), names.map(toText));
    if (near === undefined) return undefined;
    const missing = located.missing.join('/');
    const above = located.path.slice(0, located.path.length - missing.length).replace(/\/$/, '');
    const found = joinPath(above, toByteString(near));
    const whole = rest.reduce(joinPath, found);
    return exists(tree, whole) ? whole : found;
  } finally {
    located.release();
  }
}

function exists<D>(tree: ReadableTree<D>, path: ByteString): boolean {
  const located = resolvePath(tree, path, { followLast: false });
  located.release();
  return located.node !== undefined;
}
