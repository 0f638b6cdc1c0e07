import { renameat2 } from '../sys/index.ts';
import {
  type ByteString,
  type FsDir,
  FsTree,
  joinPath,
  LayersTree,
  type NodeAttributes,
  type ReadableTree,
  toByteString,
  toFsPath,
  toText,
  type TreeNode,
} from '../tree/index.ts';
import { fromErrno, randomHex } from '../util/index.ts';
import { overwrite } from './overwrite.ts';
import type { Checkpoint, RootfsReport, WriteRootfsOptions } from './types.ts';

/** How a directory is written. */
export interface WriteDirectoryOptions extends WriteRootfsOptions {
  /** `delete` removes what is in the directory and not in the trees; `copy` leaves it. */
  readonly mode: 'copy' | 'delete';
}

const TEMPORARY_PREFIX = '.tsbuild-';

/**
 * Copies root file systems into an existing directory. Contents, modes, times, symbolic and hard links are kept, owners are
 * not: everything belongs to who runs this. What is in the way is replaced, never followed: links that somebody put into the
 * directory lead nowhere (CVE-2024-23652 and the like), and links of the image are made as they are.
 * @param path of the directory; symbolic links in it are followed
 * @throws TsbuildError `TSB_NO_SPACE`, `TSB_PERMISSION`, `TSB_EXPORT`
 */
export function writeRootfsDirectory(
  path: string,
  options: WriteDirectoryOptions,
  checkpoint: Checkpoint = () => {},
): RootfsReport {
  try {
    using target = FsTree.open(path, { idShift: 0, whole: true });
    const copier = new Copier(target, options, checkpoint);
    for (const { layers, prefix, label } of options.trees) {
      using tree = new LayersTree(layers, { idShift: options.idShift });
      copier.add(tree, prefix, label);
    }
    copier.finish();
    return copier.report();
  } catch (error) {
    throw fromErrno(error, `Cannot write to directory ${JSON.stringify(path)}`, 'TSB_EXPORT');
  }
}

class Copier {
  readonly #target: FsTree;
  readonly #options: WriteDirectoryOptions;
  readonly #checkpoint: Checkpoint;
  readonly #uid: number = process.geteuid?.() ?? 0;
  readonly #gid: number = process.getegid?.() ?? 0;
  /** Everything that was written, and by which tree. */
  readonly #written = new Map<ByteString, { readonly label: string; readonly directory: boolean }>();
  readonly #skipped: string[] = [];
  #files = 0;
  #bytes = 0;

  constructor(target: FsTree, options: WriteDirectoryOptions, checkpoint: Checkpoint) {
    this.#target = target;
    this.#options = options;
    this.#checkpoint = checkpoint;
  }

  /** Copies a tree into the directory, or into one of it. */
  add<D>(tree: ReadableTree<D>, prefix: string | undefined, label: string): void {
    const { root } = this.#target;
    if (prefix === undefined) {
      this.#directory(tree, tree.root, root, label, new Map());
      return;
    }
    const name = toByteString(prefix);
    this.#written.set(name, { label, directory: true });
    this.#makeDirectory(root, name);
    const dir = this.#target.enter(root, name);
    try {
      this.#directory(tree, tree.root, dir, label, new Map());
      this.#target.setAttributes(dir, '', { mode: 0o755, ...this.#time(undefined) });
    } finally {
      this.#target.leave(dir);
    }
  }

  /** With mode `delete`, removes the rest. */
  finish(): void {
    if (this.#options.mode === 'delete') this.#removeOthers(this.#target.root);
  }

  /** What was written, and what had to be left out. */
  report(): RootfsReport {
    return { files: this.#files, bytes: this.#bytes, skipped: this.#skipped };
  }

  /** Copies the files of a directory, then gives it its attributes: writing into it would change its time. */
  #directory<D>(tree: ReadableTree<D>, from: D, to: FsDir, label: string, links: Map<string, ByteString>): void {
    for (const name of tree.list(from)) {
      const node = tree.lookup(from, name);
      if (node === undefined) continue;
      const path = joinPath(to.path, name);
      this.#checkpoint({ files: ++this.#files, bytes: this.#bytes });
      if (node.type === 'socket' || node.type === 'char' || node.type === 'block') {
        if (this.#skipped.length < 100) this.#skipped.push(toText(path));
        continue;
      }
      const isDirectory = node.type === 'directory';
      const earlier = this.#written.get(path);
      if (earlier !== undefined && !(earlier.directory && isDirectory)) throw overwrite(path, earlier.label, label);
      this.#written.set(path, { label, directory: isDirectory });
      if (!isDirectory) {
        this.#replace(to, name, (free) => this.#create(tree, from, name, node, to, free, links, path));
        continue;
      }
      this.#makeDirectory(to, name);
      const [fromChild, toChild] = [tree.enter(from, name), this.#target.enter(to, name)];
      try {
        this.#directory(tree, fromChild, toChild, label, links);
        // Last, since what is made within changes the time, and the mode may forbid it.
        this.#target.setAttributes(toChild, '', { mode: node.mode, ...this.#time(node.mtimeNs) });
      } finally {
        this.#target.leave(toChild);
        tree.leave(fromChild);
      }
    }
  }

  /** Makes a directory, or takes the one that is there. */
  #makeDirectory(to: FsDir, name: ByteString): void {
    const present = this.#target.lookup(to, name);
    if (present !== undefined && present.type !== 'directory') this.#target.remove(to, name);
    if (present?.type !== 'directory') this.#target.mkdir(to, name, this.#attributes(0o700, undefined));
    else if ((present.mode & 0o700) !== 0o700) this.#target.setAttributes(to, name, { mode: present.mode | 0o700 });
  }

  /** Makes something under a free name, which then takes the place of what has the name. */
  #replace(to: FsDir, name: ByteString, create: (free: ByteString) => void): void {
    const present = this.#target.lookup(to, name);
    const free = present === undefined ? name : `${TEMPORARY_PREFIX}${randomHex(8)}`;
    try {
      create(free);
    } catch (error) {
      this.#target.remove(to, free);
      throw error;
    }
    if (present === undefined) return;
    if (present.type === 'directory') this.#target.remove(to, name);
    renameat2(to.fd, free, to.fd, toFsPath(name));
    // A rename between two names of one file does nothing.
    this.#target.remove(to, free);
  }

  /** Makes a file where nothing may be in the way. */
  #create<D>(
    tree: ReadableTree<D>,
    from: D,
    name: ByteString,
    node: TreeNode,
    to: FsDir,
    free: ByteString,
    links: Map<string, ByteString>,
    path: ByteString,
  ): void {
    const first = node.hardlink === undefined ? undefined : links.get(node.hardlink);
    if (first !== undefined) {
      this.#target.link(first, to, free);
      return;
    }
    const attributes = this.#attributes(node.mode, node.mtimeNs);
    if (node.type === 'symlink') this.#target.symlink(to, free, node.linkname, attributes);
    else if (node.type === 'fifo') this.#target.mkfifo(to, free, attributes);
    else {
      this.#target.createFile(to, free, attributes, {
        size: node.size,
        open: () => tree.open(from, name, node),
        close: (fd) => tree.close(fd, from, name, node),
        // Capabilities are no business of a copy for another owner.
        xattrs: () => [],
      });
      this.#bytes += node.size;
    }
    if (node.hardlink !== undefined) links.set(node.hardlink, path);
  }

  /** For `delete`: what the result does not have goes, by descriptor and never by path. */
  #removeOthers(dir: FsDir): void {
    for (const name of this.#target.list(dir)) {
      const written = this.#written.get(joinPath(dir.path, name));
      if (written === undefined) this.#target.remove(dir, name);
      else if (written.directory) {
        const before = this.#target.lookup(dir, name);
        const child = this.#target.enter(dir, name);
        try {
          this.#removeOthers(child);
          if (before !== undefined) this.#target.setAttributes(child, '', { mtimeNs: before.mtimeNs });
        } finally {
          this.#target.leave(child);
        }
      }
    }
  }

  #attributes(mode: number, mtimeNs: bigint | undefined): NodeAttributes {
    return { mode, uid: this.#uid, gid: this.#gid, mtimeNs: this.#time(mtimeNs).mtimeNs, xattrs: [] };
  }

  /** The time of a file, which the epoch may limit. */
  #time(mtimeNs: bigint | undefined): { mtimeNs?: bigint } {
    const { epoch } = this.#options;
    if (epoch !== undefined) return { mtimeNs: BigInt(epoch) * 1_000_000_000n };
    return mtimeNs === undefined ? {} : { mtimeNs };
  }
}
