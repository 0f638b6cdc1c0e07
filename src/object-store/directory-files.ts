import { constants, type Stats } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { errnoOf, makeDirectories, randomHex, TsbuildError } from '../util/index.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** An open directory. Whatever is done in it goes through its descriptor and one name that is not followed (security rule 1). */
export type Directory = FileHandle;

/** The path of a name in an open directory, which stays that directory whatever becomes of its path. */
export function within(dir: Directory, name: string): string {
  return `/proc/self/fd/${dir.fd}/${name}`;
}

/**
 * Opens a directory by its names from a root, which the user gave and which symlinks may lead to; none are followed below it.
 * @param create makes what is missing, durably
 * @returns undefined when it is missing
 * @throws TsbuildError `TSB_PERMISSION` where everybody on the machine may write: what is there may be anybody's. Else the system's errors
 */
export async function openDirectory(
  root: string,
  names: readonly string[],
  create: boolean,
): Promise<Directory | undefined> {
  if (create) makeDirectories(root, 0o755);
  let dir = await openOne(root, O_RDONLY | O_DIRECTORY);
  for (const name of names) {
    if (dir === undefined) return undefined;
    await using parent = dir;
    const path = within(parent, name);
    dir = await openOne(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (dir !== undefined || !create) continue;
    await mkdir(path, 0o755).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    await parent.sync();
    dir = await openOne(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
  return dir;
}

async function openOne(path: string, flags: number): Promise<Directory | undefined> {
  let dir: FileHandle;
  try {
    dir = await open(path, flags);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (((await dir.stat()).mode & 0o002) === 0) return dir;
  await dir.close();
  throw new TsbuildError(
    'TSB_PERMISSION',
    "everybody on this machine can write to it, so that what is there may be anybody's",
    {
      hint: 'take that right away ("chmod -R o-w" of the directory), or use another one',
    },
  );
}

/** Opens a file for reading: a regular one, which is looked at through its descriptor. @returns undefined where there is none of the name */
export async function openFile(
  dir: Directory,
  name: string,
): Promise<{ readonly file: FileHandle; readonly stat: Stats } | undefined> {
  let file: FileHandle;
  try {
    // A pipe that somebody put there would be waited for.
    file = await open(within(dir, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const stat = await file.stat();
  if (stat.isFile()) return { file, stat };
  await file.close();
  // The beginning of other names.
  if (stat.isDirectory()) return undefined;
  throw new TsbuildError('TSB_PERMISSION', 'it is no regular file');
}

/** Names of files that are being written begin with what no object's name has. */
const TEMPORARY = '~';

/** Whether a path is that of a file that is being written, or was when its writer died. */
export function isTemporary(path: string): boolean {
  return path.slice(path.lastIndexOf('/') + 1).startsWith(TEMPORARY);
}

/**
 * Writes a file, whole or not at all: into a new one beside it that is on the disk before it gets the name, and the name before this
 * returns.
 * @param replace false leaves a file that got the name meanwhile
 */
export async function writeFile(
  dir: Directory,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  replace: boolean,
): Promise<void> {
  const temporary = within(dir, TEMPORARY + randomHex(12));
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
  try {
    {
      await using writing = file;
      for await (const chunk of chunks)
        for (let at = 0; at < chunk.length;) at += (await writing.write(chunk, at)).bytesWritten;
      await writing.sync();
    }
    if (replace || !(await tryLink(temporary, within(dir, name)))) await rename(temporary, within(dir, name));
    else await unlink(temporary);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    if (!replace && errnoOf(error) === 'EEXIST') return;
    throw error;
  }
  await dir.sync();
}

/** Gives a file a second name. @returns false on file systems that have no such thing. @throws `EEXIST` where the name is taken */
async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** A file below a directory. */
export interface FoundFile {
  /** From the root, with slashes. */
  readonly path: string;
  readonly stat: Stats;
}

/** All regular files below the directories that `enter` wants, each looked at without following links. What goes away meanwhile is left out. */
export async function* filesBelow(
  root: string,
  enter: (path: string) => boolean,
  names: readonly string[] = [],
): AsyncGenerator<FoundFile, void, undefined> {
  const dir = await openDirectory(root, names, false).catch((error: unknown) => {
    // It was a directory a moment ago.
    if (names.length > 0 && ['ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  });
  if (dir === undefined) return;
  const below: string[] = [];
  {
    await using open_ = dir;
    for (const entry of await readdir(within(open_, '.'), { withFileTypes: true })) {
      const path = [...names, entry.name].join('/');
      if (entry.isDirectory() && enter(`${path}/`)) below.push(entry.name);
      if (!entry.isFile()) continue;
      const found = await openFile(open_, entry.name).catch(() => undefined);
      if (found === undefined) continue;
      await found.file.close();
      yield { path, stat: found.stat };
    }
  }
  // With the directory closed: a deep tree takes no more descriptors than a flat one.
  for (const name of below) yield* filesBelow(root, enter, [...names, name]);
}
