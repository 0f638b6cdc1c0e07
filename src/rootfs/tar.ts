import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { type TarEntryInput, TarWriter } from '../layer/index.ts';
import {
  type ByteString,
  joinPath,
  LayersTree,
  type ReadableTree,
  toByteString,
  toText,
  type TreeNode,
} from '../tree/index.ts';
import { fromErrno, TsbuildError } from '../util/index.ts';
import type { Checkpoint, RootfsReport, WriteRootfsOptions } from './types.ts';

const BUFFER_BYTES = 1 << 20;

/**
 * Writes root file systems as one tar archive to a file (or fifo) that exists, in the dialect of layers: entries in byte
 * order, parents first, numeric owners, whole seconds, attributes that images keep. The same trees give the same bytes.
 * @throws TsbuildError `TSB_NO_SPACE`, `TSB_EXPORT`
 */
export function writeRootfsTar(
  path: string,
  options: WriteRootfsOptions,
  checkpoint: Checkpoint = () => {},
): RootfsReport {
  const doing = `Cannot write archive ${JSON.stringify(path)}`;
  let fd: number;
  try {
    fd = openSync(path, 'w');
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_EXPORT');
  }
  try {
    const output = new BufferedFile(fd);
    const archive = new RootfsTar(output, options, checkpoint);
    for (const { layers, prefix, label } of options.trees) {
      using tree = new LayersTree(layers, { idShift: options.idShift });
      archive.add(tree, prefix, label);
    }
    archive.end();
    output.flush();
    return archive.report();
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_EXPORT');
  } finally {
    closeSync(fd);
  }
}

/** Collects small writes. */
class BufferedFile {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** A place in the buffer that the caller fills: no copy in between. */
  reserve(length: number): { readonly buffer: Buffer; readonly offset: number } {
    if (this.#used + length > BUFFER_BYTES) this.flush();
    const offset = this.#used;
    this.#used += length;
    return { buffer: this.#buffer, offset };
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const length = Math.min(bytes.length - done, BUFFER_BYTES - this.#used);
      this.#buffer.set(bytes.subarray(done, done + length), this.#used);
      this.#used += length;
      done += length;
      if (this.#used === BUFFER_BYTES) this.flush();
    }
  }

  /** Copies `size` bytes of a file; returns how many there were. */
  copy(from: number, size: number): number {
    let done = 0;
    while (done < size) {
      if (this.#used === BUFFER_BYTES) this.flush();
      const length = readSync(from, this.#buffer, this.#used, Math.min(size - done, BUFFER_BYTES - this.#used), null);
      if (length === 0) break;
      this.#used += length;
      done += length;
    }
    return done;
  }

  /** Writes what the buffer holds. */
  flush(): void {
    for (let done = 0; done < this.#used;) done += writeSync(this.#fd, this.#buffer, done, this.#used - done);
    this.#used = 0;
  }
}

class RootfsTar {
  readonly #output: BufferedFile;
  readonly #tar: TarWriter;
  readonly #epoch: number | undefined;
  readonly #checkpoint: Checkpoint;
  readonly #skipped: string[] = [];
  /** Paths of what is not a directory, and the tree that it came from: trees may only share directories. */
  readonly #taken = new Map<ByteString, string>();
  readonly #directories = new Set<ByteString>();
  /** Whether paths of several trees may meet. */
  readonly #shared: boolean;
  #files = 0;
  #bytes = 0;

  constructor(output: BufferedFile, options: WriteRootfsOptions, checkpoint: Checkpoint) {
    this.#output = output;
    this.#tar = new TarWriter(output);
    this.#epoch = options.epoch;
    this.#shared = options.trees.length > 1 && options.trees.some(({ prefix }) => prefix === undefined);
    this.#checkpoint = checkpoint;
  }

  add<D>(tree: ReadableTree<D>, prefix: string | undefined, label: string): void {
    const base = prefix === undefined ? '' : toByteString(prefix);
    if (base !== '') {
      this.#tar.header({ path: base, type: 'directory', mode: 0o755, mtime: { sec: this.#epoch ?? 0 } });
    }
    this.#directory(tree, tree.root, base, label, new Map());
  }

  /** The two empty blocks that end an archive. */
  end(): void {
    this.#tar.end();
  }

  /** What was written, and what had to be left out. */
  report(): RootfsReport {
    return { files: this.#files, bytes: this.#bytes, skipped: this.#skipped };
  }

  /** Names in byte order, so that the same files give the same archive. */
  #directory<D>(tree: ReadableTree<D>, dir: D, path: ByteString, label: string, links: Map<string, ByteString>): void {
    for (const name of tree.list(dir)) {
      const node = tree.lookup(dir, name);
      if (node === undefined) continue;
      const child = joinPath(path, name);
      this.#checkpoint({ files: ++this.#files, bytes: this.#bytes });
      if (node.type === 'socket') {
        if (this.#skipped.length < 100) this.#skipped.push(toText(child));
        continue;
      }
      // A directory that an earlier tree has, too, is written once.
      if (!this.#shared || this.#claim(child, node, label)) this.#entry(tree, dir, name, child, node, links);
      if (node.type === 'directory') {
        const handle = tree.enter(dir, name);
        try {
          this.#directory(tree, handle, child, label, links);
        } finally {
          tree.leave(handle);
        }
      }
    }
  }

  /** Whether the path is free. */
  #claim(path: ByteString, node: TreeNode, label: string): boolean {
    const owner = this.#taken.get(path);
    const isDirectory = node.type === 'directory';
    if (owner !== undefined) {
      if (isDirectory && this.#directories.has(path)) return false;
      throw overwrite(path, owner, label);
    }
    this.#taken.set(path, label);
    if (isDirectory) this.#directories.add(path);
    return true;
  }

  /** One file. Of files with several names the first is written, the others are links to it. */
  #entry<D>(
    tree: ReadableTree<D>,
    dir: D,
    name: ByteString,
    path: ByteString,
    node: TreeNode,
    links: Map<string, ByteString>,
  ): void {
    const first = node.hardlink === undefined ? undefined : links.get(node.hardlink);
    const attributes = {
      path,
      mode: node.mode,
      uid: node.uid,
      gid: node.gid,
      mtime: { sec: this.#epoch ?? Number(floorSeconds(node.mtimeNs)) },
    };
    if (first !== undefined) {
      this.#tar.header({ ...attributes, type: 'hardlink', linkPath: first });
      return;
    }
    if (node.hardlink !== undefined) links.set(node.hardlink, path);
    const xattrs = tree.xattrs(dir, name, node);
    const entry: TarEntryInput = {
      ...attributes,
      type: node.type as Exclude<TreeNode['type'], 'socket'>,
      size: node.size,
      linkPath: node.linkname,
      devMajor: node.device?.major ?? 0,
      devMinor: node.device?.minor ?? 0,
      ...(xattrs.length === 0 ? {} : { xattrs: new Map(xattrs.map(({ name, value }) => [name, Buffer.from(value)])) }),
    };
    if (node.type !== 'file') {
      this.#tar.header(entry);
      return;
    }
    const fd = tree.open(dir, name, node);
    this.#tar.header(entry);
    const copied = this.#output.copy(fd, node.size);
    tree.close(fd, dir, name, node);
    if (copied !== node.size) {
      throw new TsbuildError('TSB_CHANGED', `Cannot export "/${toText(path)}": it became shorter while it was read`);
    }
    this.#tar.pad(node.size);
    this.#bytes += node.size;
  }
}

/** The error for two platforms' files at one path. */
export function overwrite(path: ByteString, owner: string, label: string): TsbuildError {
  return new TsbuildError(
    'TSB_EXPORT',
    `Cannot export: cannot overwrite ${toText(path)} from ${owner} with ${label} when split option is disabled`,
    { hint: 'leave out "platform-split=false"' },
  );
}

/** Tar headers have whole seconds; before 1970 the division must not round up. */
function floorSeconds(ns: bigint): bigint {
  const seconds = ns / 1_000_000_000n;
  return ns < 0n && ns % 1_000_000_000n !== 0n ? seconds - 1n : seconds;
}
