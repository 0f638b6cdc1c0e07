import { compareBytes, type HashedTree, type ReadableTree, toByteString, type TreeNode } from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';

/** A file, or a link whose target is its text. */
export interface MemoryFile {
  readonly type: 'file' | 'symlink';
  readonly text: string;
  readonly mode?: number;
  readonly uid?: number;
}

interface Directory {
  readonly entries: Map<string, MemoryFile | Directory>;
}

/** A tree that is nowhere on disk. */
export function memoryTree(files: Readonly<Record<string, MemoryFile>>): HashedTree<Directory> {
  const root: Directory = { entries: new Map() };
  for (const [path, file] of Object.entries(files)) {
    const names = path.split('/').map(toByteString);
    let dir = root;
    for (const name of names.slice(0, -1)) {
      const found = dir.entries.get(name);
      const next: Directory = found !== undefined && 'entries' in found ? found : { entries: new Map() };
      dir.entries.set(name, next);
      dir = next;
    }
    dir.entries.set(names.at(-1) ?? '', file);
  }
  const unused = (): never => {
    throw new Error('Nothing is read of it');
  };
  const tree: ReadableTree<Directory> = {
    root,
    list: (dir) => [...dir.entries.keys()].sort(compareBytes),
    lookup: (dir, name) => {
      const found = dir.entries.get(name);
      return found && nodeOf(found);
    },
    stat: nodeOf,
    enter: (dir, name) => dir.entries.get(name) as Directory,
    leave: () => undefined,
    open: unused,
    close: unused,
    xattrs: unused,
    openXattrs: unused,
  };
  return { ...tree, contentDigest: (dir, name) => sha256((dir.entries.get(name) as MemoryFile).text) };
}

function nodeOf(entry: MemoryFile | Directory): TreeNode {
  const isFile = 'type' in entry;
  return {
    type: isFile ? entry.type : 'directory',
    mode: isFile ? (entry.mode ?? 0o644) : 0o755,
    uid: isFile ? (entry.uid ?? 0) : 0,
    gid: 0,
    size: isFile && entry.type === 'file' ? entry.text.length : 0,
    mtimeNs: 0n,
    linkname: isFile && entry.type === 'symlink' ? toByteString(entry.text) : '',
  };
}
