import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { type ByteString, toByteString, toFsPath, toText } from '../tree/index.ts';
import { errnoOf, fromErrno } from '../util/index.ts';

/** A directory within the working tree of a git repository. */
export interface Worktree {
  /** The top of the working tree. Absolute. */
  readonly top: ByteString;
  /** Where git keeps what belongs to this working tree: its index and its HEAD. Absolute. */
  readonly gitDir: ByteString;
  /** The directory from the top of the working tree; `''` at the top. */
  readonly prefix: ByteString;
}

/**
 * Finds the working tree that a directory of the machine is in: the nearest `.git` here or above, a directory or, for submodules and
 * further working trees, a file that names one (gitrepository-layout(5)). Only names are read of it.
 * @throws TsbuildError `TSB_CONTEXT`, `TSB_PERMISSION`
 */
export function findWorktree(dir: string): Worktree | undefined {
  try {
    let at = realpathSync(toFsPath(toByteString(dir)), 'latin1');
    for (let prefix = ''; ; prefix = prefix === '' ? baseOf(at) : `${baseOf(at)}/${prefix}`, at = parentOf(at)) {
      const gitDir = gitDirOf(at);
      if (gitDir !== undefined) return { top: at, gitDir, prefix };
      if (at === '/') return undefined;
    }
  } catch (error) {
    throw fromErrno(error, `Cannot look for the git repository of "${dir}"`, 'TSB_CONTEXT');
  }
}

/** The git directory of a working tree whose top this is. */
export function gitDirOf(top: ByteString): ByteString | undefined {
  const path = `${top === '/' ? '' : top}/.git`;
  const stat = lstatSync(toFsPath(path), { throwIfNoEntry: false });
  if (stat?.isDirectory()) return isGitDir(path) ? path : undefined;
  if (!stat?.isFile() || stat.size > 65_536) return undefined;
  const target = /^gitdir: ([^\0\n]+)\n?$/.exec(readFileSync(toFsPath(path), 'latin1'))?.[1];
  if (target === undefined) return undefined;
  const named = target.startsWith('/') ? target : `${top}/${target}`;
  try {
    const gitDir = realpathSync(toFsPath(named), 'latin1');
    return isGitDir(gitDir) ? gitDir : undefined;
  } catch (error) {
    // A working tree that was copied without its repository, as into a container.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/**
 * What names the commit and the files of a working tree, as text that changes when one of them may have: for memories of builds.
 * Undefined where there is no working tree. Never fails: then it says that it cannot be told.
 */
export function worktreeStamp(dir: string): readonly string[] | undefined {
  try {
    const found = findWorktree(dir);
    if (!found) return undefined;
    const { gitDir, prefix } = found;
    const head = readText(`${gitDir}/HEAD`);
    const common = readText(`${gitDir}/commondir`).trim();
    const shared = common === '' ? gitDir : common.startsWith('/') ? common : `${gitDir}/${common}`;
    const ref = /^ref: (refs\/[^\s\0]+)\n?$/.exec(head)?.[1];
    const commit = ref === undefined ? '' : readText(`${shared}/${ref}`);
    return [
      toText(gitDir),
      toText(prefix),
      head,
      commit,
      // A reference without a file of its own stands in one of these; in tables (reftable), HEAD does as well, of each working tree.
      ...(commit === ''
        ? [`${shared}/packed-refs`, `${shared}/reftable/tables.list`, `${gitDir}/reftable/tables.list`].map(stampOf)
        : []),
      stampOf(`${gitDir}/index`),
    ];
  } catch {
    return [`unknown ${process.hrtime.bigint()}`];
  }
}

function readText(path: ByteString): string {
  try {
    return readFileSync(toFsPath(path), 'latin1').slice(0, 4096);
  } catch {
    return '';
  }
}

/** git replaces these files by rename. */
function stampOf(path: ByteString): string {
  const stat = lstatSync(toFsPath(path), { throwIfNoEntry: false, bigint: true });
  return stat ? `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}` : '';
}

function isGitDir(path: ByteString): boolean {
  return lstatSync(toFsPath(`${path}/HEAD`), { throwIfNoEntry: false }) !== undefined;
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function baseOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}
