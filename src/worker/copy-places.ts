import { closeSync, constants, openSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import {
  type ByteString,
  type FsDir,
  FsTree,
  resolvePath,
  toByteString,
  toText,
  type TreeNode,
} from '../tree/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import type { CopyPlace } from './container-methods.ts';

type NamedPlace = Exclude<CopyPlace, { readonly kind: 'stream' }>;

/** What is copied. */
export interface CopySource extends Disposable {
  readonly tree: FsTree;
  /** The directory that it is in; for a root, that itself. */
  readonly dir: FsDir;
  /** Its name there, `''` for a root. */
  readonly node: TreeNode;
  readonly name: ByteString;
  readonly isDirectory: boolean;
  /** What it is called where the user gives it no other name; `.` for what is in a directory. */
  readonly called: ByteString;
}

/** Where something is copied to. */
export interface CopyDestination extends Disposable {
  /** Of a directory. */
  readonly fd: number;
  /** The name that the copy gets in it; undefined: its own. */
  readonly name: ByteString | undefined;
}

/** @throws TsbuildError `TSB_NOT_FOUND` when there is nothing at the place, `TSB_USAGE` when it cannot be copied */
export function findSource(container: FsTree, place: NamedPlace, follow: boolean): CopySource {
  const followLast = follow || place.directory || place.contents;
  const found = place.kind === 'host' ? findOnHost(place, followLast) : findInContainer(container, place, followLast);
  const { node } = found;
  const isDirectory = node.type === 'directory';
  if ((place.directory || place.contents) && !isDirectory) throw refuse(place, 'it is not a directory');
  const own = toByteString(basename(place.path));
  const called = place.contents || own === '' ? '.' : own;
  return { ...found, isDirectory, called };
}

function findInContainer(
  tree: FsTree,
  place: NamedPlace,
  followLast: boolean,
): Omit<CopySource, 'isDirectory' | 'called'> {
  const located = resolvePath(tree, toByteString(place.path), { followLast });
  const { node, name, parent } = located;
  if (node === undefined || node.type === 'socket') {
    located.release();
    throw node
      ? refuse(place, 'it is a socket')
      : refuse(place, 'there is no such file in the container', 'TSB_NOT_FOUND');
  }
  return { tree, dir: parent, name, node, [Symbol.dispose]: () => located.release() };
}

/** A path of the user's own is trusted: the kernel walks it. What lies beneath is walked as everywhere. */
function findOnHost(place: NamedPlace, followLast: boolean): Omit<CopySource, 'isDirectory' | 'called'> {
  try {
    const path = followLast ? realpathSync(place.path) : place.path;
    const tree = FsTree.open(dirname(path), { idShift: 0 });
    const name = toByteString(basename(path));
    const node = name === '' ? tree.stat(tree.root) : tree.lookup(tree.root, name);
    if (node === undefined) {
      tree[Symbol.dispose]();
      throw refuse(place, 'there is no such file', 'TSB_NOT_FOUND');
    }
    return { tree, dir: tree.root, name, node, [Symbol.dispose]: () => tree[Symbol.dispose]() };
  } catch (error) {
    throw errnoOf(error) === 'ENOENT'
      ? refuse(place, 'there is no such file', 'TSB_NOT_FOUND')
      : fromErrno(error, copying(place), 'TSB_USAGE');
  }
}

/**
 * Where a copy goes, by the rules of `docker cp`: into a directory that is there, else under the name that was given.
 * @param directory whether a directory is copied
 * @param must only a directory that is there will do
 * @throws TsbuildError `TSB_USAGE`
 */
export function findDestination(
  container: FsTree,
  place: NamedPlace,
  directory: boolean,
  must = false,
): CopyDestination {
  const found = place.kind === 'host' ? hostDestination(place) : containerDestination(container, place);
  const { there } = found;
  const why =
    there === 'directory'
      ? undefined
      : there === 'file' && (directory || must || place.directory)
        ? 'a file is there, and no directory'
        : there === undefined && (must || (place.directory && !directory))
          ? 'there is no such directory'
          : undefined;
  if (why === undefined) return found;
  found[Symbol.dispose]();
  throw refuseTo(place, why);
}

type Found = CopyDestination & { readonly there: 'directory' | 'file' | undefined };

function containerDestination(tree: FsTree, place: NamedPlace): Found {
  const located = resolvePath(tree, toByteString(place.path), { followLast: true });
  const { node, self, parent, name, missing, blockedBy } = located;
  const release = { [Symbol.dispose]: () => located.release() };
  if (self !== undefined) return { fd: self.fd, name: undefined, there: 'directory', ...release };
  if (node !== undefined) return { fd: parent.fd, name, there: 'file', ...release };
  if (missing.length === 1 && blockedBy === undefined) return { fd: parent.fd, name, there: undefined, ...release };
  located.release();
  throw refuseTo(
    place,
    blockedBy === undefined ? 'its directory is not there' : `"/${toText(blockedBy)}" is not a directory`,
  );
}

function hostDestination(place: NamedPlace): Found {
  const { path } = place;
  const open = (directory: string): Pick<Found, 'fd' | typeof Symbol.dispose> => {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    return { fd, [Symbol.dispose]: () => closeSync(fd) };
  };
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) return { ...open(path), name: undefined, there: 'directory' };
    // What comes takes the place of a file. In that of /dev/null it would be the machine's, for all.
    if (stat !== undefined && !stat.isFile()) throw refuseTo(place, 'what is there is neither a file nor a directory');
    // A link is followed, as `cp` does.
    const real = stat === undefined ? path : realpathSync(path);
    return {
      ...open(dirname(real)),
      name: toByteString(basename(real)),
      there: stat === undefined ? undefined : 'file',
    };
  } catch (error) {
    throw errnoOf(error) === 'ENOENT'
      ? refuseTo(place, 'its directory is not there')
      : fromErrno(error, `Cannot copy to ${JSON.stringify(place.typed)}`, 'TSB_USAGE');
  }
}

const copying = ({ typed }: NamedPlace): string => `Cannot copy ${JSON.stringify(typed)}`;

function refuse(place: NamedPlace, why: string, code: 'TSB_USAGE' | 'TSB_NOT_FOUND' = 'TSB_USAGE'): TsbuildError {
  return new TsbuildError(code, `${copying(place)}: ${why}`);
}

function refuseTo({ typed }: NamedPlace, why: string): TsbuildError {
  return new TsbuildError('TSB_USAGE', `Cannot copy to ${JSON.stringify(typed)}: ${why}`);
}
