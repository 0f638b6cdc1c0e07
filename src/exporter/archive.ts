import { closeSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { type BlobDir, DamageError } from '../store/index.ts';
import { type Digest, Hasher } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { ArchiveWriter } from './archive-writer.ts';
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

/** Where blobs are read from, and removed when they turn out to be damaged. */
export type BlobSource = Pick<BlobDir, 'openRead' | 'isAsWritten' | 'remove'>;

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
  blobs: BlobSource,
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
  const breath = new Breath(task, (current) => options.onProgress?.(current, total));
  const buffer = Buffer.allocUnsafeSlow(CHUNK);
  await using archive = new ArchiveWriter(sink);
  await archive.directory('blobs');
  await archive.directory('blobs/sha256');
  for (const { path, size, content } of files) {
    await archive.file(path, size, async (write) => {
      const next = async (chunk: Uint8Array): Promise<void> => {
        await write(chunk);
        await breath.after(chunk.length);
      };
      if (typeof content === 'string') await copyBlob(blobs, content, size, buffer, next);
      else await next(content);
    });
  }
  await archive.end();
}

/** Tells of progress and looks for the end of the task now and then. */
class Breath {
  readonly #task: Task;
  readonly #onProgress: (current: number) => void;
  #written = 0;
  #since = 0;

  constructor(task: Task, onProgress: (current: number) => void) {
    this.#task = task;
    this.#onProgress = onProgress;
  }

  async after(bytes: number): Promise<void> {
    this.#written += bytes;
    this.#since += bytes;
    if (this.#since < BREATH) return;
    this.#since = 0;
    this.#onProgress(this.#written);
    await setImmediate();
    this.#task.signal.throwIfAborted();
  }
}

/**
 * Hands the bytes of a blob on, in chunks that are valid until the next one, and compares size and digest at the end; of a blob
 * that is as it was just written only the size.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_DIGEST`; a damaged blob is removed from the store, so that it is made anew
 */
export async function copyBlob(
  blobs: BlobSource,
  digest: Digest,
  size: number,
  buffer: Buffer,
  write: (chunk: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const blob = blobs.openRead(digest);
  const damaged = (): DamageError => {
    blobs.remove(digest);
    return new DamageError('TSB_DIGEST', `Cannot export blob ${digest}: it is damaged in the store and was removed`, {
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
