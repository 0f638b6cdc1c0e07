import {
  type ByteString,
  cleanNames,
  type ContextDir,
  type ContextTree,
  joinPath,
  resolveWildcards,
  toByteString,
  toText,
} from '../../tree/index.ts';

/** Links followed for one path, as in the kernel. */
const MAX_HOPS = 40;

/**
 * What a local source consists of that names paths to follow (`local.followpaths`): these paths, the links on the way to them and what the
 * links lead to, as BuildKit's client sends it. Links stay beneath the directory.
 * @param paths may have wildcards
 * @returns include patterns, each of one path; none when the whole directory is meant, which it also is for wildcards that match nothing
 */
export function followPaths(tree: ContextTree, paths: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const wanted of paths) {
    const expanded = resolveWildcards(tree, toByteString(wanted), true);
    for (const path of expanded) {
      if (cleanNames(path).length === 0) return [];
      for (const step of stepsTo(tree, path)) found.add(literal(toText(step)));
    }
  }
  return [...found];
}

/** The links that a path goes through, and where it ends. */
function stepsTo(tree: ContextTree, path: ByteString): readonly ByteString[] {
  const steps: ByteString[] = [];
  const pending = cleanNames(path).toReversed();
  const dirs: { readonly dir: ContextDir; readonly path: ByteString }[] = [{ dir: tree.root, path: '' }];
  let at: ByteString = '';
  for (let name = pending.pop(), hops = 0; name !== undefined; name = pending.pop()) {
    if (name === '..') {
      if (dirs.length > 1) dirs.pop();
      at = dirs.at(-1)?.path ?? '';
      continue;
    }
    const top = dirs.at(-1);
    if (top === undefined) break;
    const node = tree.lookup(top.dir, name);
    at = joinPath(top.path, name);
    if (node === undefined) return [...steps, [at, ...pending.toReversed()].join('/')];
    if (node.type === 'symlink' && hops < MAX_HOPS) {
      hops++;
      steps.push(at);
      if (node.linkname.startsWith('/')) dirs.splice(1);
      pending.push(
        ...node.linkname
          .split('/')
          .filter((part) => part !== '' && part !== '.')
          .toReversed(),
      );
      at = dirs.at(-1)?.path ?? '';
    } else if (node.type === 'directory') dirs.push({ dir: tree.enter(top.dir, name), path: at });
    else return [...steps, at];
  }
  return [...steps, at];
}

/** A pattern that stands for one path. Blanks at its ends would be trimmed. */
function literal(path: string): string {
  return path.replaceAll(/[\\*?[\]!]/g, String.raw`\$&`).replaceAll(/\s/g, '[$&]');
}
