import { AT_FDCWD, close, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openat } from '../sys/index.ts';
import type { ByteString } from '../tree/index.ts';
import { Extractor } from './extractor.ts';
import { LowerRoots } from './lower-roots.ts';
import { emptyDir } from './remove-tree.ts';
import { TarReader } from './tar-reader.ts';
import { WindowsFiles } from './windows-form.ts';

/** The directory that a layer is unpacked into. */
export interface LayerTargetOptions {
  /** An empty directory: becomes the layer in the form of an overlay upper directory. */
  readonly target: string;
  /** Directories of the layers below, bottom first. */
  readonly lowers: readonly string[];
  /**
   * Called once, before the layers below are first looked into: returns when they are complete. Most layers say all
   * about their own directories, and never ask.
   */
  readonly awaitLowers?: () => void;
  /** Added to every owner; the sub-id range's start when tsbuild runs as root. */
  readonly idShift: number;
  /** How many ids can be stored, 65536 when absent. */
  readonly idCount?: number;
  /** The layer has the form of those of Windows images: only the file tree in it is extracted. */
  readonly windows?: boolean;
}

/** What a layer's directory holds. */
export interface ExtractedLayer {
  /** Content and inodes of the directory. */
  readonly bytes: number;
  readonly inodes: number;
  /** Device nodes and such that were left out; the first hundred. */
  readonly skipped: readonly ByteString[];
}

/** As many ids as a user gets by default (subuid(5)). */
export const DEFAULT_ID_COUNT = 65_536;

/**
 * Takes the tar of a layer in pieces and extracts it into an empty directory as an overlay upper directory (image-spec
 * layer.md; whiteouts become character devices 0:0 and `user.overlay.opaque`). Dispose it in any case: what was not
 * finished leaves the directory empty.
 */
export class LayerTarget implements Disposable {
  readonly #rootFd: number;
  readonly #extractor: Extractor;
  readonly #reader: TarReader;
  readonly #lowers: LowerRoots;
  #finished = false;

  constructor(options: LayerTargetOptions) {
    const { target, lowers, awaitLowers, idShift, idCount = DEFAULT_ID_COUNT, windows } = options;
    this.#rootFd = openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    this.#lowers = new LowerRoots(lowers, awaitLowers);
    this.#extractor = new Extractor({ rootFd: this.#rootFd, layer: true, lowers: this.#lowers, idShift, idCount });
    this.#reader = new TarReader(windows ? new WindowsFiles(this.#extractor) : this.#extractor);
  }

  /** @throws TsbuildError `TSB_ARCHIVE` for a damaged or hostile archive, naming the entry; `TSB_NO_SPACE` */
  push(piece: Uint8Array): void {
    this.#reader.push(piece);
  }

  /** The archive is at its end, and what it was said to be. @throws TsbuildError `TSB_ARCHIVE` when it is cut off */
  finish(): ExtractedLayer {
    this.#reader.finish();
    this.#extractor.finish();
    this.#finished = true;
    const { bytes, inodes, skipped } = this.#extractor;
    return { bytes, inodes, skipped };
  }

  [Symbol.dispose](): void {
    this.#extractor.dispose();
    this.#lowers[Symbol.dispose]();
    if (!this.#finished) emptyDir(this.#rootFd);
    close(this.#rootFd);
  }
}
