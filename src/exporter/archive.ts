import { closeSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { TarWriter } from '../layer/index.ts';
import type { BlobDir } from '../store/index.ts';
import { type Digest, Hasher, type Task, TsbuildError } from '../util/index.ts';
import {
  dockerManifest,
  layoutBlobs,
  layoutEntries,
  type LayoutFile,
  layoutIndex,
  type NamedImage,
  OCI_LAYOUT_FILE,
} from './layout.ts';
import type { ByteSink } from './sink.ts';

const CHUNK = 1 << 20;
/** Bytes copied between two looks at the event loop. */
const BREATH = 16 << 20;

/** Told how many bytes of how many are written. */
export type Progress = (current: number, total: number) => void;

/**
 * Writes images as an OCI archive: a tar of an OCI layout, in containerd's order and with fixed times and modes. With
 * `docker`, `manifest.json` is there as well, so that `docker load` takes it. Layers are copied from the store in pieces and
 * verified on the way.
 * @throws TsbuildError `TSB_DIGEST` when a blob of the store is damaged; `TSB_EXPORT`; what the sink throws
 */
export async function writeArchive(
  task: Task,
  blobs: BlobDir,
  images: readonly NamedImage[],
  options: { readonly docker: boolean; readonly onProgress?: Progress },
  sink: ByteSink,
): Promise<void> {
  const small = (path: string, text: string): LayoutFile => {
    const content = Buffer.from(text);
    return { path, size: content.length, content };
  };
  // Before the first byte is written: it refuses images that it cannot name.
  const docker = options.docker ? [small('manifest.json', dockerManifest(images))] : [];
  const files = [
    ...layoutBlobs(images),
    small('index.json', layoutIndex(layoutEntries(images))),
    ...docker,
    small('oci-layout', OCI_LAYOUT_FILE),
  ];
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const archive = new Archive(task, blobs, sink, (current) => options.onProgress?.(current, total));
  await archive.directory('blobs');
  await archive.directory('blobs/sha256');
  for (const file of files) await archive.file(file);
  await archive.end();
}

class Archive {
  readonly #task: Task;
  readonly #blobs: BlobDir;
  readonly #sink: ByteSink;
  readonly #onProgress: (current: number) => void;
  readonly #tar: TarWriter;
  readonly #buffer = Buffer.alloc(16 * 512);
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK);
  #used = 0;
  #written = 0;
  #sinceBreath = 0;

  constructor(task: Task, blobs: BlobDir, sink: ByteSink, onProgress: (current: number) => void) {
    this.#task = task;
    this.#blobs = blobs;
    this.#sink = sink;
    this.#onProgress = onProgress;
    this.#tar = new TarWriter({
      reserve: (length) => {
        const offset = this.#used;
        this.#used += length;
        return { buffer: this.#buffer, offset };
      },
      write: (bytes) => {
        this.#buffer.set(bytes, this.#used);
        this.#used += bytes.length;
      },
    });
  }

  async directory(path: string): Promise<void> {
    this.#tar.header({ path, type: 'dir', mode: 0o755 });
    await this.#flush();
  }

  async file({ path, size, content }: LayoutFile): Promise<void> {
    this.#tar.header({ path, type: 'file', mode: 0o444, size });
    await this.#flush();
    if (typeof content === 'string') await this.#blob(content, size);
    else await this.#write(content);
    this.#tar.pad(size);
    await this.#flush();
  }

  async end(): Promise<void> {
    this.#tar.end();
    await this.#flush();
  }

  async #blob(digest: Digest, size: number): Promise<void> {
    await copyBlob(this.#blobs, digest, size, this.#chunk, async (chunk) => this.#write(chunk));
  }

  async #write(chunk: Uint8Array): Promise<void> {
    await this.#sink.write(chunk);
    this.#written += chunk.length;
    this.#sinceBreath += chunk.length;
    if (this.#sinceBreath < BREATH) return;
    this.#sinceBreath = 0;
    this.#onProgress(this.#written);
    await setImmediate();
    this.#task.signal.throwIfAborted();
  }

  async #flush(): Promise<void> {
    if (this.#used > 0) await this.#sink.write(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}

/**
 * Hands the bytes of a blob on, in chunks that are valid until the next one, and compares size and digest at the end; of a blob
 * that is as it was just written only the size.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_DIGEST`; a damaged blob is removed from the store, so that it is made anew
 */
export async function copyBlob(
  blobs: BlobDir,
  digest: Digest,
  size: number,
  buffer: Buffer,
  write: (chunk: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const blob = blobs.openRead(digest);
  const damaged = (): TsbuildError => {
    blobs.remove(digest);
    return new TsbuildError('TSB_DIGEST', `Cannot export blob ${digest}: it is damaged in the store and was removed`, {
      hint: 'run the command again, the blob is fetched or built again',
    });
  };
  try {
    if (blob.size !== size) throw damaged();
    const hasher = blobs.isAsWritten(digest, blob.fd) ? undefined : new Hasher();
    let copied = 0;
    for (let length = readSync(blob.fd, buffer); length > 0; length = readSync(blob.fd, buffer)) {
      const chunk = buffer.subarray(0, length);
      hasher?.update(chunk);
      copied += length;
      await write(chunk);
    }
    if (copied !== size || (hasher && hasher.digest() !== digest)) throw damaged();
  } finally {
    closeSync(blob.fd);
  }
}
