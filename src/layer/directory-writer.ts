import { AT_FDCWD, close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openat } from '../sys/index.ts';
import { sha256, TsbuildError } from '../util/index.ts';
import { quote } from './byte-string.ts';
import type { TarEntry } from './entry.ts';
import { Extractor } from './extractor.ts';
import type { EntrySink, LayerEntry } from './layer-entry.ts';
import { DEFAULT_ID_COUNT } from './layer-target.ts';
import { LowerRoots } from './lower-roots.ts';
import { OpenContent } from './open-content.ts';
import { emptyDir } from './remove-tree.ts';

/** Where a layer is written as a directory. */
export interface DirectoryWriterOptions {
  /** An empty directory: becomes the layer in the form of an overlay upper directory. */
  readonly target: string;
  /** Directories of the layers below, bottom first. */
  readonly lowers: readonly string[];
  /** Added to every owner. */
  readonly idShift: number;
  /** How many ids can be stored, 65536 when absent. */
  readonly idCount?: number;
}

const CHUNK = 1 << 20;
let chunk: Buffer | undefined;
const EMPTY: ReadonlyMap<string, Buffer> = new Map();

/** A layer directory in the making: what unpacking a blob of the same entries gives, with times to the nanosecond. */
export class DirectoryWriter implements EntrySink<{ readonly bytes: number; readonly inodes: number }> {
  readonly #options: DirectoryWriterOptions;
  readonly #rootFd: number;
  readonly #extractor: Extractor;
  readonly #lowers: LowerRoots;

  constructor(options: DirectoryWriterOptions) {
    const { target, lowers, idShift, idCount = DEFAULT_ID_COUNT } = options;
    this.#options = options;
    this.#rootFd = openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    this.#lowers = new LowerRoots(lowers);
    this.#extractor = new Extractor({ rootFd: this.#rootFd, layer: true, lowers: this.#lowers, idShift, idCount });
  }

  /** @throws TsbuildError `TSB_PERMISSION` for an owner that cannot be stored, `TSB_CHANGED`, `TSB_STORE`, `TSB_NO_SPACE` */
  add(entry: LayerEntry): boolean {
    const whole = this.#complete(entry);
    this.#extractor.entry(whole);
    const { content } = entry;
    if (content instanceof Uint8Array) this.#extractor.data(Buffer.from(content), 0);
    else if (content && whole.size > 0) this.#copy(new OpenContent(entry, content, whole.size));
    else if (content && 'onDigest' in content) content.onDigest?.(sha256(''));
    this.#extractor.end(whole);
    return true;
  }

  async rest(): Promise<void> {
    // Writing is synchronous.
  }

  async finish(): Promise<{ readonly bytes: number; readonly inodes: number }> {
    try {
      this.#extractor.finish();
    } catch (error) {
      this.abort();
      throw error;
    }
    this.#close();
    const { bytes, inodes } = this.#extractor;
    return { bytes, inodes };
  }

  abort(): void {
    emptyDir(this.#rootFd);
    this.#close();
  }

  #close(): void {
    this.#extractor.dispose();
    this.#lowers[Symbol.dispose]();
    close(this.#rootFd);
  }

  #copy(content: OpenContent): void {
    const buffer = (chunk ??= Buffer.allocUnsafeSlow(CHUNK));
    try {
      for (let position = 0; !content.isComplete;) {
        const count = content.read(buffer, 0, CHUNK);
        this.#extractor.data(buffer.subarray(0, count), position);
        position += count;
      }
    } finally {
      content.close();
    }
    content.check();
  }

  #complete(entry: LayerEntry): TarEntry {
    const { path, type, content, uid = 0, gid = 0, mtime, xattrs } = entry;
    for (const id of [uid, gid]) this.#checkOwner(path, id);
    const size = type === 'file' ? (content instanceof Uint8Array ? content.length : (entry.size ?? 0)) : 0;
    return {
      path,
      type,
      mode: entry.mode ?? 0,
      uid,
      gid,
      size,
      mtime: { sec: mtime?.sec ?? 0, nsec: mtime?.nsec ?? 0 },
      linkPath: entry.linkPath ?? '',
      devMajor: entry.devMajor ?? 0,
      devMinor: entry.devMinor ?? 0,
      xattrs: xattrs ?? EMPTY,
    };
  }

  #checkOwner(path: string, id: number): void {
    const limit = this.#options.idCount ?? DEFAULT_ID_COUNT;
    if (Number.isInteger(id) && id >= 0 && id < limit) return;
    throw new TsbuildError('TSB_PERMISSION', `Cannot set the owner of ${quote(path)}: id ${id} is not below ${limit}`, {
      hint: 'use smaller ids, or add more sub-ids to /etc/subuid and /etc/subgid',
    });
  }
}
