import { readFileSync, statSync } from 'node:fs';
import { type ByteString, type ContextModes, toFsPath, toText } from '../tree/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import { parseGitIndex } from './git-index.ts';
import { findWorktree, gitDirOf } from './worktree.ts';

/** Of an index: some two million files. */
const MAX_INDEX_BYTES = 512 * 1024 ** 2;
/** Submodules in submodules. */
const MAX_DEPTH = 16;

/**
 * Permissions of a context as git has them, for what git tracks: 0755 for directories and files that their owner may execute, 0644 for all
 * other files. git knows no more, so that everything else in them is the umask of whoever cloned the repository. Files that git does not
 * track have been made by somebody, and keep what they were given.
 * @param time seconds since the epoch that is to be the time of all that git tracks: git knows none, and that of the checkout is when it was
 *   made. Default: their own
 * @returns undefined where the directory is in no working tree
 * @throws TsbuildError `TSB_CONTEXT`, `TSB_PERMISSION`
 */
export function trackedModes(dir: string, time?: number): ContextModes | undefined {
  const worktree = findWorktree(dir);
  if (!worktree) return undefined;
  const files = new Set<ByteString>();
  const dirs = new Set<ByteString>();
  const within = worktree.prefix === '' ? '' : `${worktree.prefix}/`;
  collect({ gitDir: worktree.gitDir, top: worktree.top, prefix: '', depth: 0 }, (path, isFile) => {
    if (!path.startsWith(within)) return;
    const inside = path.slice(within.length);
    if (isFile) files.add(inside);
    else dirs.add(inside);
    for (let end = inside.lastIndexOf('/'); end > 0; end = inside.lastIndexOf('/', end - 1)) {
      const parent = inside.slice(0, end);
      // Whoever is known has known parents.
      if (dirs.has(parent)) break;
      dirs.add(parent);
    }
    dirs.add('');
  });
  return {
    modeOf: (path, mode, isDir) => {
      if (isDir) return dirs.has(path) ? 0o755 : undefined;
      if (!files.has(path)) return undefined;
      return (mode & 0o100) === 0 ? 0o644 : 0o755;
    },
    timeOf: (path) => (time !== undefined && (files.has(path) || dirs.has(path)) ? time : undefined),
  };
}

/** A repository or submodule. */
interface Part {
  readonly gitDir: ByteString;
  /** Of its working tree. */
  readonly top: ByteString;
  /** Of its paths: empty, or with a slash at the end. */
  readonly prefix: ByteString;
  readonly depth: number;
}

function collect({ gitDir, top, prefix, depth }: Part, found: (path: ByteString, isFile: boolean) => void): void {
  for (const { path, type } of readIndex(gitDir)) {
    if (type !== 'submodule') {
      // A symlink's mode is always 0777; its directory counts.
      found(prefix + path, type === 'file');
      continue;
    }
    found(prefix + path, false);
    const inner = `${top}/${path}`;
    const own = depth < MAX_DEPTH ? gitDirOf(inner) : undefined;
    if (own !== undefined) collect({ gitDir: own, top: inner, prefix: `${prefix}${path}/`, depth: depth + 1 }, found);
  }
}

function readIndex(gitDir: ByteString): ReturnType<typeof parseGitIndex> {
  const path = `${gitDir}/index`;
  try {
    if (statSync(toFsPath(path)).size > MAX_INDEX_BYTES)
      throw new TsbuildError('TSB_CONTEXT', `Cannot use ${JSON.stringify(toText(path))}: it is too large`);
    return parseGitIndex(readFileSync(toFsPath(path)));
  } catch (error) {
    // Nothing was added yet.
    if (errnoOf(error) === 'ENOENT') return [];
    throw fromErrno(error, `Cannot read ${JSON.stringify(toText(path))}`, 'TSB_CONTEXT');
  }
}
