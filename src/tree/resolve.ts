import { TsbuildError } from '../util/index.ts';
import { type ByteString, joinPath, toText } from './bytes.ts';
import type { ReadableTree, TreeNode } from './node.ts';

/** Symlinks followed while one path is resolved, as in the kernel. */
const MAX_HOPS = 40;

/** Where a path led. Holds directory handles until `release`. */
export interface Located<D> {
  /** Path without symlinks, from the root (`''`); names that do not exist are at its end. */
  readonly path: ByteString;
  /** What is there; undefined when nothing is. */
  readonly node: TreeNode | undefined;
  /** Last name of `path`, `''` for the root. */
  readonly name: ByteString;
  /** Handle of the directory itself, if it is one. */
  readonly self: D | undefined;
  /** Handle of the deepest existing directory above; for the root, the root. */
  readonly parent: D;
  /** Names below `parent` that do not exist, the last is `name`; empty when `node` is set. */
  readonly missing: readonly ByteString[];
  /** Path of a file that stands where a directory is needed; `node` is undefined then. */
  readonly blockedBy: ByteString | undefined;
  release(): void;
}

/** Splits a path into names, without empty ones and `.`; a NUL byte is refused. */
export function splitPath(path: ByteString): ByteString[] {
  if (path.includes('\0'))
    throw new TsbuildError('TSB_LLB', `Cannot use path "${toText(path)}": it contains a NUL byte`);
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/**
 * Resolves a path inside a tree. Absolute symlinks start at the tree's root and `..` stops there, as after chroot(2);
 * handles of directories are kept on the way, so that the kernel never resolves more than one name.
 * @param options.followLast whether a symlink in the last place is followed
 * @throws TsbuildError `TSB_CONTEXT` when symlinks go round in circles
 */
export function resolvePath<D>(
  tree: ReadableTree<D>,
  path: ByteString,
  options: { readonly followLast: boolean },
): Located<D> {
  const stack: { readonly dir: D; readonly name: ByteString; readonly node: TreeNode }[] = [
    { dir: tree.root, name: '', node: tree.stat(tree.root) },
  ];
  const pop = (): void => {
    const step = stack.length > 1 ? stack.pop() : undefined;
    if (step) tree.leave(step.dir);
  };
  const release = (): void => {
    while (stack.length > 1) pop();
  };
  const pending = splitPath(path).toReversed();
  const missing: ByteString[] = [];
  let leaf: { readonly name: ByteString; readonly node: TreeNode } | undefined;
  let blocked: ByteString | undefined;
  let hops = 0;
  try {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (leaf) {
        blocked ??= joinPath(pathOf(stack), leaf.name);
        missing.push(leaf.name);
        leaf = undefined;
      }
      if (name === '..') {
        if (missing.length > 0) missing.pop();
        else pop();
        continue;
      }
      const top = stack.at(-1);
      const node = missing.length > 0 || !top ? undefined : tree.lookup(top.dir, name);
      if (!node || !top) missing.push(name);
      else if (node.type === 'symlink' && (pending.length > 0 || options.followLast)) {
        if (++hops > MAX_HOPS) {
          throw new TsbuildError('TSB_CONTEXT', `Cannot resolve "/${toText(path)}": too many levels of symbolic links`);
        }
        if (node.linkname.startsWith('/')) release();
        pending.push(...splitPath(node.linkname).toReversed());
      } else if (node.type === 'directory') stack.push({ dir: tree.enter(top.dir, name), name, node });
      else leaf = { name, node };
    }
  } catch (error) {
    release();
    throw error;
  }
  const base = pathOf(stack);
  const top = stack.at(-1) as (typeof stack)[number];
  const above = stack.at(-2) ?? top;
  if (missing.length > 0) {
    const whole = [base, ...missing].filter((name) => name !== '').join('/');
    const name = missing.at(-1) ?? '';
    return {
      path: whole,
      node: undefined,
      name,
      self: undefined,
      parent: top.dir,
      missing,
      blockedBy: blocked,
      release,
    };
  }
  if (leaf) {
    const { name, node } = leaf;
    return {
      path: joinPath(base, name),
      node,
      name,
      self: undefined,
      parent: top.dir,
      missing,
      blockedBy: undefined,
      release,
    };
  }
  const { name, node, dir } = top;
  return { path: base, node, name, self: dir, parent: above.dir, missing, blockedBy: undefined, release };
}

function pathOf(stack: readonly { readonly name: ByteString }[]): ByteString {
  return stack
    .slice(1)
    .map((step) => step.name)
    .join('/');
}
