import { type ChildProcess, spawn } from 'node:child_process';
import { buildSync } from 'esbuild';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, onTestFinished } from 'vitest';
import { type RemoveTrees, Store, type StoreWarning } from '../../src/store/index.ts';
import { type Descriptor, mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';

const roots: string[] = [];

afterAll(() => {
  for (const root of roots) fs.rmSync(root, { recursive: true, force: true });
});

/** A path for a new store; deleted after the test, or the tests of the file where none runs yet. */
export function tempRoot(): string {
  const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-store-test-'));
  // Files of tests share processes, so that `afterAll` here is after those of the first file alone.
  try {
    onTestFinished(() => fs.rmSync(dir, { recursive: true, force: true }));
  } catch {
    roots.push(dir);
  }
  return join(dir, 'store');
}

export interface TestStore extends Disposable {
  readonly store: Store;
  readonly root: string;
  readonly warnings: StoreWarning[];
  /** ms; the store's clock stands still otherwise. */
  advance(ms: number): void;
}

/** Opens a store with a clock of its own. */
export function openStore(root: string = tempRoot(), options: { bootId?: string; now?: number } = {}): TestStore {
  const warnings: StoreWarning[] = [];
  let now = options.now ?? 1_700_000_000_000;
  const store = Store.open(root, {
    now: () => now,
    bootId: options.bootId ?? 'this-boot',
    onWarning: (warning) => warnings.push(warning),
  });
  return {
    store,
    root,
    warnings,
    advance: (ms) => {
      now += ms;
    },
    [Symbol.dispose]: () => store.close(),
  };
}

/** The machine's, for stores that other processes use too. */
export const realBootId: string = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

export const removeTrees: RemoveTrees = (paths) => {
  for (const path of paths) fs.rmSync(path, { recursive: true, force: true });
  return Promise.resolve();
};

export function filesBelow(dir: string): string[] {
  return fs
    .readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** A layer with a directory of one file with `size` bytes. */
export function makeLayer(
  store: Store,
  options: {
    parents?: readonly string[];
    size?: number;
    id?: string;
    synced?: boolean;
    type?: 'internal' | 'regular';
  } = {},
): string {
  const lease = store.leases.create();
  const id = store.layers.create(
    {
      parents: options.parents ?? [],
      ...(options.id === undefined ? {} : { id: options.id }),
      ...(options.type === undefined ? {} : { type: options.type }),
    },
    lease,
  );
  const paths = store.layers.prepareDirectory(id);
  fs.writeFileSync(join(paths.fs, 'file'), Buffer.alloc(options.size ?? 1000));
  store.layers.setFs(id, {
    bytes: options.size ?? 1000,
    inodes: 2,
    stamp: '1.2.3',
    synced: options.synced ?? false,
  });
  lease.release();
  return id;
}

/** Puts an image of these layer blobs and gives its descriptor. */
export function putImage(store: Store, name: string, layers: readonly (Uint8Array | string)[]): Descriptor {
  const blobs = layers.map((content) => ({ mediaType: mediaTypes.ociLayer, ...store.blobs.put(content) }));
  const config = store.blobs.put(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map((content) => sha256(content)) },
      history: [],
      note: name,
    }),
  );
  const manifest = store.blobs.put(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, ...config },
      layers: blobs,
    }),
  );
  const descriptor: Descriptor = { mediaType: mediaTypes.ociManifest, ...manifest };
  store.images.put(name, descriptor);
  return descriptor;
}

let bundle: string | undefined;

/** The program that uses a store, as one JavaScript file: it starts several times faster than from sources. */
export function storeUser(): string {
  if (bundle === undefined) {
    const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-store-test-'));
    roots.push(dir);
    bundle = join(dir, 'store-user.mjs');
    const entry = fileURLToPath(new URL('programs/store-user.ts', import.meta.url));
    buildSync({
      entryPoints: [entry],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node22',
    });
  }
  return bundle;
}

/** Starts the program that uses a store in another process. */
export function startUser(args: readonly string[], prefix: readonly string[] = []): ChildProcess {
  const [command = process.execPath, ...rest] = [...prefix, process.execPath, storeUser(), ...args];
  return spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
}

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
  const { promise, resolve } = Promise.withResolvers<Ended>();
  child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  return promise;
}

export function runUser(args: readonly string[], prefix: readonly string[] = []): Promise<Ended> {
  return ended(startUser(args, prefix));
}

/** Resolves when the child has printed the word. */
export function printed(child: ChildProcess, word: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let seen = '';
  child.stdout?.on('data', (data: Buffer) => {
    seen += data.toString();
    if (seen.includes(word)) resolve();
  });
  child.on('close', () => reject(new Error(`ended before it printed ${word}: ${seen}`)));
  return promise;
}
