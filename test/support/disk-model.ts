import fs from 'node:fs';
import { join, posix } from 'node:path';
import type { DiskOp } from './disk-trace.ts';

/** Which waits for the disk are taken for nothing, to see that somebody notices. */
export interface DiskFaults {
  readonly fileSync?: boolean;
  readonly directorySync?: boolean;
}

/** Decides what of the changes that nobody waited for is on disk: a number from 0 to below `limit`. */
export type Chance = (limit: number) => number;

interface Write {
  readonly offset: number;
  readonly bytes: Buffer;
}

interface Inode {
  readonly type: 'file' | 'directory' | 'symlink';
  readonly target: string;
  /** Where `write` goes on. */
  position: number;
  /** As it is on disk in any case. */
  durable: Buffer;
  /** What was written, or cut, and not waited for. */
  pending: (Write | { readonly size: number })[];
}

/** A change of names, as a journal has it. */
interface NameChange {
  /** The directories it is in: one that is waited for takes the change, and all before it, to the disk. */
  readonly directories: readonly string[];
  readonly apply: (names: Map<string, Inode>) => void;
}

/**
 * A file system with a journal, as a power cut leaves it. What POSIX promises and no more: bytes are on disk when their file was
 * synced, names when their directory was. Names that nobody waited for are lost from some moment on, since journals keep the order;
 * bytes that nobody waited for are lost by the block, in any order, whatever the name of their file.
 */
export class DiskModel {
  readonly #faults: DiskFaults;
  /** Names on disk, those under way, and what all of them come to. */
  readonly #durable = new Map<string, Inode>();
  readonly #pending: NameChange[] = [];
  readonly #names = new Map<string, Inode>();

  constructor(faults: DiskFaults = {}) {
    this.#faults = faults;
    const root = newInode('directory');
    this.#durable.set('', root);
    this.#names.set('', root);
  }

  /** Does what the trace tells. */
  apply(op: DiskOp): void {
    switch (op.kind) {
      case 'create': {
        const known = this.#names.get(op.path);
        if (!known) this.#add(op.path, newInode('file'));
        else {
          known.position = 0;
          if (op.truncate) known.pending.push({ size: 0 });
        }
        return;
      }
      case 'write': {
        const inode = this.#names.get(op.path);
        if (!inode) return;
        const offset = op.offset ?? inode.position;
        inode.position = offset + op.bytes.length;
        for (let at = 0; at < op.bytes.length;) {
          // By the block of a disk: a write may end in the middle.
          const length = Math.min(op.bytes.length - at, 4096 - ((offset + at) % 4096));
          inode.pending.push({ offset: offset + at, bytes: op.bytes.subarray(at, at + length) });
          at += length;
        }
        return;
      }
      case 'truncate':
        this.#names.get(op.path)?.pending.push({ size: op.size });
        return;
      case 'mkdir':
        return this.#add(op.path, newInode('directory'));
      case 'symlink':
        return this.#add(op.path, newInode('symlink', op.target));
      case 'link': {
        const inode = this.#names.get(op.from);
        if (inode) this.#add(op.path, inode);
        return;
      }
      case 'unlink':
        return this.#change([posix.dirname(op.path)], (names) => remove(names, op.path));
      case 'rename':
        return this.#change([posix.dirname(op.path), posix.dirname(op.from)], (names) => move(names, op.from, op.path));
      case 'sync':
        return this.#sync(op.path);
      case 'sync-all':
        for (const inode of this.#names.values()) settle(inode, inode.pending.length);
        return this.#commit(this.#pending.length);
    }
  }

  #add(path: string, inode: Inode): void {
    this.#change([posix.dirname(path)], (names) => names.set(path, inode));
  }

  #change(directories: readonly string[], apply: NameChange['apply']): void {
    const change = { directories: directories.map((path) => (path === '.' ? '' : path)), apply };
    apply(this.#names);
    this.#pending.push(change);
  }

  #sync(path: string): void {
    const inode = this.#names.get(path);
    if (!inode) return;
    if (inode.type === 'file') {
      if (this.#faults.fileSync !== true) settle(inode, inode.pending.length);
      return;
    }
    if (this.#faults.directorySync === true) return;
    const last = this.#pending.findLastIndex(({ directories }) => directories.includes(path));
    this.#commit(last + 1);
  }

  #commit(count: number): void {
    for (const { apply } of this.#pending.splice(0, count)) apply(this.#durable);
  }

  /** Writes what a power cut leaves into a directory, which is there and empty. */
  materialize(into: string, chance: Chance): void {
    const names = new Map(this.#durable);
    for (const { apply } of this.#pending.slice(0, chance(this.#pending.length + 1))) apply(names);
    const written = new Map<Inode, string>();
    for (const [path, inode] of [...names].sort(([one], [other]) => (one < other ? -1 : 1))) {
      const target = join(into, path);
      if (path === '' || !isReachable(names, path)) continue;
      if (inode.type === 'directory') fs.mkdirSync(target, { mode: 0o700 });
      else if (inode.type === 'symlink') fs.symlinkSync(inode.target, target);
      else {
        const known = written.get(inode);
        if (known === undefined) fs.writeFileSync(target, left(inode, chance), { mode: 0o600 });
        else fs.linkSync(known, target);
        written.set(inode, target);
      }
    }
  }
}

function newInode(type: Inode['type'], target = ''): Inode {
  return { type, target, position: 0, durable: Buffer.alloc(0), pending: [] };
}

function isReachable(names: ReadonlyMap<string, Inode>, path: string): boolean {
  const parent = posix.dirname(path);
  return parent === '.' || (names.get(parent)?.type === 'directory' && isReachable(names, parent));
}

function remove(names: Map<string, Inode>, path: string): void {
  names.delete(path);
  for (const name of names.keys()) if (name.startsWith(`${path}/`)) names.delete(name);
}

function move(names: Map<string, Inode>, from: string, to: string): void {
  const moved = [...names].filter(([name]) => name === from || name.startsWith(`${from}/`));
  // Of a change that came to nothing on disk there is nothing to move.
  if (moved.length === 0) return;
  remove(names, from);
  remove(names, to);
  for (const [name, inode] of moved) names.set(to + name.slice(from.length), inode);
}

/** Bytes that were waited for. */
function settle(inode: Inode, count: number): void {
  inode.durable = changed(inode.durable, inode.pending.splice(0, count));
}

/** A file after the cut: nothing of what was pending, all of it, or some blocks, up to some moment or at random. */
function left({ durable, pending }: Inode, chance: Chance): Buffer {
  switch (chance(4)) {
    case 0:
      return durable;
    case 1:
      return changed(durable, pending);
    case 2:
      return changed(durable, pending.slice(0, chance(pending.length + 1)));
    default:
      return changed(
        durable,
        pending.filter(() => chance(2) === 0),
      );
  }
}

function changed(bytes: Buffer, ops: Inode['pending']): Buffer {
  const endOf = (op: Inode['pending'][number]): number => ('size' in op ? op.size : op.offset + op.bytes.length);
  const room = Buffer.alloc(ops.reduce((most, op) => Math.max(most, endOf(op)), bytes.length));
  bytes.copy(room);
  let size = bytes.length;
  for (const op of ops) {
    if ('bytes' in op) {
      op.bytes.copy(room, op.offset);
      size = Math.max(size, endOf(op));
    } else {
      if (op.size < size) room.fill(0, op.size, size);
      size = op.size;
    }
  }
  return room.subarray(0, size);
}
