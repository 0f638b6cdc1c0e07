import fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Store } from '../../src/store/index.ts';
import type { Compression, LayerCompression } from '../../src/image/index.ts';
import { sha256, TsbuildError } from '../../src/util/index.ts';
import type { WorkerClient } from '../../src/worker/index.ts';
import { tar, type TarMember } from '../support/image.ts';
import { readTar } from '../support/tree.ts';

type Call = WorkerClient['call'];
type Method = Parameters<Call>[0];
type Options = Parameters<Call>[2];
type Handler = (params: never, options: NonNullable<Options>) => unknown;

/**
 * A worker in this process: layers are plain files of the user that runs the tests, without owners, links or whiteouts. What a test
 * needs otherwise it sets in `on`. Calls are noted, and end with their signals as the real one's do.
 */
export class FakeWorker implements WorkerClient {
  readonly plan: WorkerClient['plan'] = { kind: 'fake' } as unknown as WorkerClient['plan'];
  /** The methods that were called, in order. */
  readonly calls: { readonly method: Method; readonly params: unknown }[] = [];
  /** Replaces what a method does. */
  readonly on: Partial<Record<Method, Handler>> = {};
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** How often a method was called. */
  count(method: Method): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  readonly call: Call = async (method, params, options = {}) => {
    const { signal } = options;
    if (signal?.aborted) throw new TsbuildError('TSB_CANCELED', 'Canceled', { cause: signal.reason });
    this.calls.push({ method, params });
    const handler = this.on[method] ?? this.usual[method];
    if (!handler) throw new Error(`The fake worker cannot do ${method}`);
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => undefined);
    const abort = (): void =>
      aborted.reject(new TsbuildError('TSB_CANCELED', `${method} was canceled`, { cause: signal?.reason }));
    signal?.addEventListener('abort', abort);
    try {
      const done = Promise.resolve((handler as (params: unknown, options: unknown) => unknown)(params, options));
      return (await Promise.race([done, aborted.promise])) as never;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  };

  /** What the methods do when a test says nothing else. */
  readonly usual: Partial<Record<Method, Handler>> = {
    usage: ({ paths }: { paths: readonly string[] }) =>
      paths.map((path) => ({ path, bytes: 4096, inodes: 1, stamp: stampOf(path) })),
    syncStore: () => undefined,
    maskLayers: () => undefined,
    prepareUpper: ({ dir }: { dir: string }) => {
      for (const name of ['fs', 'work']) fs.mkdirSync(join(dir, name), { recursive: true });
    },
    removeTrees: ({ paths }: { paths: readonly string[] }) => {
      for (const path of paths) fs.rmSync(path, { recursive: true, force: true });
    },
    applyLayer: async (params: { blob: string; compression: Compression; diffId?: string; target: string }) => {
      const bytes = inflate(fs.readFileSync(params.blob), params.compression);
      const diffId = sha256(bytes);
      if (params.diffId !== undefined && params.diffId !== diffId)
        throw new TsbuildError('TSB_DIGEST', `Cannot unpack ${params.blob}: its content is ${diffId}`);
      for (const { header, body } of await readTar(bytes)) {
        const path = join(params.target, header.name);
        if (header.type === 'directory') fs.mkdirSync(path, { recursive: true });
        else {
          fs.mkdirSync(join(path, '..'), { recursive: true });
          fs.writeFileSync(path, body);
        }
      }
      return { diffId, bytes: bytes.length, inodes: 1 };
    },
    diffLayer: (params: { upper: string; compression: LayerCompression; clampTime?: number }) => {
      const members = fs
        .readdirSync(params.upper, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry): TarMember => {
          const path = join(entry.parentPath, entry.name);
          const name = path.slice(params.upper.length + 1);
          return { name, content: fs.readFileSync(path) };
        })
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
      if (params.clampTime !== undefined) members.push({ name: `clamped-${params.clampTime}` });
      return this.#put(tar(members), params.compression.kind);
    },
    recompressLayer: (params: { blob: string; from: Compression; to: LayerCompression }) =>
      this.#put(inflate(fs.readFileSync(params.blob), params.from), params.to.kind),
  };

  #put(bytes: Buffer, compression: Compression): { diffId: string; digest: string; size: number } {
    return { diffId: sha256(bytes), ...this.#store.blobs.put(deflate(bytes, compression)) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** As the helper has it, of plain files. */
function stampOf(path: string): string {
  const root = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!root?.isDirectory()) return '0.0.0';
  const below = fs.readdirSync(path, { recursive: true, encoding: 'utf8' }).toSorted();
  const stats = below.map((name) => [name, fs.lstatSync(join(path, name), { bigint: true })] as const);
  const looks = stats.map(([name, { mode, size, mtimeNs }]) => `${name} ${mode} ${size} ${mtimeNs}`);
  const status = stats.map(([, { ctimeNs, ino }]) => `${ctimeNs} ${ino}`);
  return [
    root.ino.toString(16),
    ...[[...looks, ...status], looks].map((lines) => sha256(lines.join('\n')).slice(7, 23)),
  ].join('.');
}

function inflate(bytes: Buffer, compression: Compression): Buffer {
  try {
    if (compression === 'gzip') return gunzipSync(bytes);
    return compression === 'zstd' ? zstdDecompressSync(bytes) : bytes;
  } catch (error) {
    throw new TsbuildError('TSB_ARCHIVE', 'Cannot read the layer: it is damaged', { cause: error });
  }
}

function deflate(bytes: Buffer, compression: Compression): Buffer {
  if (compression === 'gzip') return gzipSync(bytes);
  return compression === 'zstd' ? zstdCompressSync(bytes) : bytes;
}
