import { closeSync } from 'node:fs';
import { type TarEntryInput, TarWriter } from '../layer/index.ts';
import { type ByteString, joinPath, type ReadableTree, toByteString, toText, type TreeNode } from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { BufferedOutput } from './buffered-output.ts';
import { overwrite } from './overwrite.ts';
import type { Checkpoint, RootfsReport, WriteRootfsOptions } from './types.ts';

/** Writes trees into one archive. */
export class RootfsTar {
  readonly #output: BufferedOutput;
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

  constructor(output: BufferedOutput, options: Pick<WriteRootfsOptions, 'trees' | 'epoch'>, checkpoint: Checkpoint) {
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

  /** One file of a tree, or a directory with all that is in it, under a path of its own. `.` stands for the archive's root. */
  addNode<D>(
    tree: ReadableTree<D>,
    at: { readonly dir: D; readonly name: ByteString; readonly node: TreeNode },
    path: ByteString,
  ): void {
    const { dir, name, node } = at;
    if (node.type === 'socket') return;
    const links = new Map<string, ByteString>();
    this.#entry(tree, dir, name, path, node, links);
    if (node.type !== 'directory') return;
    const handle = name === '' ? dir : tree.enter(dir, name);
    try {
      this.#directory(tree, handle, path, path, links);
    } finally {
      tree.leave(handle);
    }
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
    let copied: number;
    try {
      this.#tar.header(entry);
      copied = this.#output.copy(fd, node.size);
    } catch (error) {
      // What was read of it is nobody's any more; the worker goes on, and has only so many descriptors.
      closeSync(fd);
      throw error;
    }
    tree.close(fd, dir, name, node);
    if (copied !== node.size) {
      throw new TsbuildError('TSB_CHANGED', `Cannot export "/${toText(path)}": it became shorter while it was read`);
    }
    this.#tar.pad(node.size);
    this.#bytes += node.size;
  }
}

/** Tar headers have whole seconds; before 1970 the division must not round up. */
function floorSeconds(ns: bigint): bigint {
  const seconds = ns / 1_000_000_000n;
  return ns < 0n && ns % 1_000_000_000n !== 0n ? seconds - 1n : seconds;
}
