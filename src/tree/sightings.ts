import type { ContextDir, ContextTree } from './context-tree.ts';
import type { HostStat } from './host-stat.ts';
import { type ByteString, joinPath } from './bytes.ts';

/** One thing that a build stands on, of a host directory. Paths are absolute. */
export type Sighting =
  /** A file, or a directory all of whose names counted. */
  | { readonly kind: 'whole'; readonly path: ByteString; readonly stat: HostStat }
  /** A directory of which only single names counted, or none: times and size, which any other name changes, do not. */
  | { readonly kind: 'place'; readonly path: ByteString; readonly stat: HostStat }
  /** A name that was asked for, and was not there. */
  | { readonly kind: 'absent'; readonly path: ByteString }
  /** All names of a directory but those of `written`: for one that the build itself writes to, where its times say nothing. */
  | {
      readonly kind: 'names';
      readonly path: ByteString;
      readonly names: readonly ByteString[];
      readonly written: readonly ByteString[];
    };

/**
 * What was looked at in a context so far.
 * @param written absolute paths of files that the build wrote itself. In a directory that was listed these are left out of account only
 *   where the ignore file leaves them out, whatever they are; else they are a part of the context that changed.
 */
export function* sightings(
  tree: ContextTree,
  written: readonly ByteString[] = [],
): Generator<Sighting, void, undefined> {
  const base = tree.rootPath === '/' ? '' : tree.rootPath;
  const absolute = (path: ByteString): ByteString => (path === '' ? tree.rootPath : `${base}/${path}`);
  const open = [tree.root];
  for (let dir = open.pop(); dir !== undefined; dir = open.pop()) {
    const path = absolute(dir.path);
    const { stat } = dir.node;
    const { nodes, asked } = dir;
    if (!nodes) {
      yield { kind: 'place', path, stat };
      continue;
    }
    // That an ignored name stays away depends on what it is, so that it is not enough to look whether it is there.
    const isListed = dir.listed || [...asked].some((name) => dir.ignored.includes(name));
    const own = isListed ? namesIn(path, written) : [];
    const apart = own.length > 0 && isApart(tree, dir, own);
    yield { kind: isListed && !apart ? 'whole' : 'place', path, stat };
    if (apart) {
      const names = [...nodes.keys(), ...dir.ignored].filter((name) => !own.includes(name));
      yield { kind: 'names', path, names, written: own };
    }
    for (const name of isListed ? nodes.keys() : asked) {
      const node = nodes.get(name);
      const child = dir.children.get(name);
      const childPath = absolute(joinPath(dir.path, name));
      if (!node) yield { kind: 'absent', path: childPath };
      else if (child?.nodes) open.push(child);
      else yield { kind: node.type === 'directory' ? 'place' : 'whole', path: childPath, stat: node.stat };
    }
    if (isListed) for (const one of dir.dropped) open.push(one);
  }
}

/** Whether names of a directory are no part of the context, and no ignored name beside them could become one. */
function isApart(tree: ContextTree, dir: ContextDir, names: readonly ByteString[]): boolean {
  return [...names, ...dir.ignored].every((name) => tree.leavesOut(dir, name));
}

/** Names of those paths that lie in a directory itself. */
function namesIn(directory: ByteString, paths: readonly ByteString[]): readonly ByteString[] {
  const prefix = directory === '/' ? '/' : `${directory}/`;
  return paths
    .filter((path) => path.startsWith(prefix) && !path.includes('/', prefix.length))
    .map((path) => path.slice(prefix.length));
}
