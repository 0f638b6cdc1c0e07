import fs from 'node:fs';
import { join } from 'node:path';
import { below, inRepeatableOrder } from './order.ts';
import type { Random } from './random.ts';

const change = (path: string, edit: (fd: number, size: number) => void): void => {
  const { mode, atime, mtime } = fs.statSync(path);
  fs.chmodSync(path, mode | 0o600);
  const fd = fs.openSync(path, 'r+');
  edit(fd, fs.fstatSync(fd).size);
  fs.closeSync(fd);
  fs.chmodSync(path, mode);
  // What a program can put back is put back.
  fs.utimesSync(path, atime, mtime);
};

/** Ways to harm a file. Each gives back what it did, or undefined where it cannot be done to this file. */
const mutations: Readonly<Record<string, (path: string, random: Random) => string | undefined>> = {
  flip(path, random) {
    const { size } = fs.statSync(path);
    if (size === 0) return undefined;
    const position = random.below(size);
    change(path, (fd) => {
      const byte = Buffer.alloc(1);
      fs.readSync(fd, byte, 0, 1, position);
      byte[0] = (byte[0] ?? 0) ^ (1 << random.below(8));
      fs.writeSync(fd, byte, 0, 1, position);
    });
    return `byte ${position} flipped`;
  },
  truncate(path, random) {
    const { size } = fs.statSync(path);
    if (size === 0) return undefined;
    const length = random.below(size);
    change(path, (fd) => fs.ftruncateSync(fd, length));
    return `truncated from ${size} to ${length}`;
  },
  append(path) {
    change(path, (fd, size) => void fs.writeSync(fd, 'more', size));
    return 'made longer';
  },
  delete(path) {
    fs.rmSync(path);
    return 'deleted';
  },
  directory(path) {
    const { uid, gid } = fs.lstatSync(path);
    fs.rmSync(path);
    fs.mkdirSync(path);
    fs.chownSync(path, uid, gid);
    return 'replaced by a directory';
  },
  link(path) {
    const { uid, gid } = fs.lstatSync(path);
    fs.rmSync(path);
    fs.symlinkSync('/etc/hostname', path);
    fs.lchownSync(path, uid, gid);
    return 'replaced by a symbolic link';
  },
  chmod(path, random) {
    const mode = random.pick([0, 0o200, 0o444, 0o755, 0o4755]);
    if ((fs.statSync(path).mode & 0o7777) === mode) return undefined;
    fs.chmodSync(path, mode);
    return `mode ${mode.toString(8)}`;
  },
};

/** Ways to harm a directory. */
const directoryMutations: Readonly<Record<string, (path: string) => string | undefined>> = {
  delete(path) {
    fs.rmSync(path, { recursive: true });
    return 'deleted with all in it';
  },
  'add a file'(path) {
    fs.writeFileSync(join(path, 'planted'), 'planted');
    return 'given a file more';
  },
  'add a directory'(path) {
    if (fs.existsSync(join(path, 'planted.d'))) return undefined;
    fs.mkdirSync(join(path, 'planted.d'));
    return 'given a directory more';
  },
  'replace by a file'(path) {
    fs.rmSync(path, { recursive: true });
    fs.writeFileSync(path, 'file');
    return 'replaced by a file';
  },
};

const BLOBS = 'blobs/sha256';

/**
 * Paths of a store of one kind, in an order that repeats. Directories of cache mounts are left out: their content is what steps make
 * it, and nothing promises it.
 */
function targets(store: string, kind: string): readonly string[] {
  // A symbolic link is what an earlier case made of an index that was then given up.
  const isThere = (path: string): boolean => fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === false;
  if (kind.includes('.')) return [join(store, kind)].filter(isThere);
  const all = inRepeatableOrder(join(store, kind)).flatMap((path) => [path, ...below(path)]);
  // The directory of all blobs, too.
  return (kind === BLOBS ? [join(store, kind), ...all] : all).filter(isThere);
}

/** What is harmed; what matters most is listed more often. */
const kinds = [
  BLOBS,
  BLOBS,
  'snapshots',
  'snapshots',
  'snapshots',
  'images',
  'store.json',
  'statcache',
  'locks',
  'sessions',
  'index.sqlite',
] as const;

/** Does harm to one file or directory of a store. @returns what was done */
export function harmFile(store: string, random: Random): string {
  for (let tries = 0; tries < 200; tries++) {
    const paths = targets(store, random.pick(kinds));
    if (paths.length === 0) continue;
    const path = random.pick(paths);
    const isFile = fs.lstatSync(path).isFile();
    const ways = isFile ? mutations : directoryMutations;
    const way = ways[random.pick(Object.keys(ways))];
    try {
      const done = way?.(path, random);
      if (done !== undefined) return `${path.slice(store.length + 1)} ${done}`;
    } catch (error) {
      // A file of a subordinate id, which whoever runs the tests cannot change.
      if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  throw new Error(`Nothing in ${store} could be harmed`);
}
