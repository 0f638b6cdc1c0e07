import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeTree, packTree, unpackTree } from '../../../src/chunks/index.ts';
import type { StepMount, StepMounts } from '../../../src/engine/mounts/mount-names.ts';
import { MountRestores, type MountSource } from '../../../src/engine/mounts/mount-restores.ts';
import type { Session } from '../../../src/engine/session.ts';
import type { Mount } from '../../../src/llb/index.ts';
import { DirectoryStore } from '../../../src/object-store/directory-store.ts';
import type { ObjectStore } from '../../../src/object-store/index.ts';
import {
  type MountName,
  ObjectPlace,
  sendMount,
  type StepPlace,
  type TravelingMounts,
  trustAll,
} from '../../../src/remote-cache/index.ts';
import { sha256, TsbuildError } from '../../../src/util/index.ts';
import type { UnpackMountParams } from '../../../src/worker/mount-methods.ts';
import { openStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';

const LIMITS = { bytes: 1e9, entries: 1000 };
const ALL: TravelingMounts = { ids: 'all', maxBytes: 1e6, patienceMs: 20_000 };
const NPM: MountName = { id: '/npm' };
const PIP: MountName = { id: '/pip' };
const VERTEX = sha256('step');

const disposals: (() => void)[] = [];

afterEach(() => {
  for (const dispose of disposals.splice(0).toReversed()) dispose();
});

function tempDir(): string {
  const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-restores-'));
  disposals.push(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A cache in a directory, whose scopes are read and written by other machines. */
class Cache {
  readonly path: string = join(tempDir(), 'cache');
  /** Set: what is read of it waits for this. */
  gate: Promise<void> | undefined;
  /** How often a record was asked for. */
  asked = 0;

  place(scope: string): StepPlace {
    const objects = new DirectoryStore({ path: this.path, now: () => Date.now() });
    const slow: ObjectStore = Object.create(objects, {
      get: {
        value: async (...args: Parameters<ObjectStore['get']>) => {
          if (args[1].startsWith('records/')) this.asked++;
          const { signal } = args[0];
          const canceled = new Promise<never>((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          });
          await Promise.race([this.gate, canceled]);
          return objects.get(...args);
        },
      },
    }) as ObjectStore;
    return new ObjectPlace(slow, scope);
  }

  /** Writes a mount as another machine does. */
  async write(scope: string, name: MountName, files: Readonly<Record<string, string>>): Promise<void> {
    const dir = join(tempDir(), 'mount');
    fs.mkdirSync(dir);
    for (const [file, content] of Object.entries(files)) fs.writeFileSync(join(dir, file), content);
    const packed = await packTree({
      dir,
      memory: `${dir}.memory`,
      into: tempDir(),
      limits: LIMITS,
      now: Date.now(),
      idShift: 0,
      idCount: 2 ** 31,
      signal: new AbortController().signal,
    });
    const place = new ObjectPlace(new DirectoryStore({ path: this.path, now: () => Date.now() }), scope);
    await sendMount(testTask(), { place, author: {}, now: () => 1000 }, name, packed, false);
  }

  source(scope: string, mounts: Partial<TravelingMounts> = {}): MountSource {
    return { place: this.place(scope), policy: trustAll, mounts: { ...ALL, ...mounts } };
  }
}

/** A cache mount of a step as a Dockerfile has it. */
function mountOf({ id }: MountName, readonly = false): Mount {
  return {
    dest: id,
    type: 'cache',
    cache: { id, sharing: 'shared' },
    input: -1,
    output: -1,
    readonly,
  } as unknown as Mount;
}

/** A build of one step with some cache mounts, and a worker that unpacks in this process. */
class Rig {
  readonly opened = openStore();
  readonly store = this.opened.store;
  readonly task = testTask();
  readonly restores: MountRestores;
  readonly #mounts: readonly { readonly name: MountName; readonly mount: Mount }[];

  constructor(
    sources: readonly MountSource[],
    options: {
      readonly names?: readonly MountName[];
      readonly ignoreCache?: boolean;
      readonly readonly?: boolean;
    } = {},
  ) {
    const { names = [NPM] } = options;
    const session = {
      store: this.store,
      lease: this.store.leases.create(),
      now: () => 0,
      worker: () => Promise.resolve({ call: callWorker }),
    } as unknown as Session;
    this.restores = new MountRestores(session, this.task, sources);
    this.#mounts = names.map((name) => ({ name, mount: mountOf(name, options.readonly) }));
    const vertex = { digest: VERTEX, ignoreCache: options.ignoreCache ?? false };
    const all = this.#mounts.map((one) => ({ vertex, ...one }) as unknown as StepMount);
    this.restores.expect({
      from: () => all,
      find: (_: unknown, { dest }: Mount) => all.find(({ mount }) => mount.dest === dest),
    } as unknown as StepMounts);
    disposals.push(() => this.opened[Symbol.dispose]());
  }

  get warnings(): readonly string[] {
    return this.task.seen.flatMap((event) => (event.type === 'diagnostic' ? [event.diagnostic.message] : []));
  }

  /** The step runs: what it finds in its mount, by file. */
  async step(name: MountName = NPM): Promise<Readonly<Record<string, string>>> {
    this.restores.begin(VERTEX);
    const one = this.#mounts.find((mount) => mount.name.id === name.id);
    if (one === undefined) throw new Error(`The step has no mount ${name.id}`);
    await this.restores.arrive(this.task, VERTEX, one.mount, name.id);
    return this.files(name);
  }

  files({ id }: MountName = NPM): Readonly<Record<string, string>> {
    if (this.store.mounts.get(id) === undefined) return {};
    const { path } = this.store.mounts.ensure(id, this.store.leases.create());
    return Object.fromEntries(fs.readdirSync(path).map((file) => [file, fs.readFileSync(join(path, file), 'utf8')]));
  }

  /** Directories of mounts in the store. */
  directories(): number {
    return fs.readdirSync(join(this.opened.root, 'mounts')).length;
  }
}

async function callWorker(
  method: string,
  params: object,
  { signal }: { readonly signal?: AbortSignal },
): Promise<void> {
  if (method === 'removeTrees') {
    for (const path of (params as { paths: readonly string[] }).paths)
      fs.rmSync(path, { recursive: true, force: true });
    return;
  }
  const { tree, packs, limits, dir, memory, work, now } = params as UnpackMountParams;
  fs.mkdirSync(dir);
  const decoded = decodeTree(fs.readFileSync(tree.path), tree.what, limits);
  const places = { packs: new Map(packs), dir, memory, work };
  const ids = { idShift: 0, idCount: 2 ** 31 };
  await unpackTree({
    ...places,
    ...ids,
    tree: decoded,
    now,
    signal: signal ?? new AbortController().signal,
    what: tree.what,
  });
}

describe('a mount that starts empty', () => {
  test('is filled before its step runs, and remembers what it is elsewhere', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { 'left-pad': '1.3.0' });
    const rig = new Rig([cache.source('main')]);
    expect(await rig.step()).toEqual({ 'left-pad': '1.3.0' });
    expect(rig.warnings).toEqual([]);
    expect(rig.store.mounts.elsewhere('/npm')).toBe(JSON.stringify(NPM));
    expect([...rig.restores.used.values()]).toEqual([NPM]);
    const shown = rig.task.seen.flatMap((event) =>
      event.type === 'vertex' && event.state === 'done' ? [event.name] : [],
    );
    expect(shown).toEqual([`restoring cache mount npm from ${cache.path}`]);
  });

  test('comes from the first scope that has it', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { from: 'main' });
    await cache.write('release', NPM, { from: 'release' });
    const scopes = (...names: readonly string[]) => names.map((name) => cache.source(name));
    expect(await new Rig(scopes('pr-1', 'main', 'release')).step()).toEqual({ from: 'main' });
    expect(await new Rig(scopes('release', 'main')).step()).toEqual({ from: 'release' });
  });

  test('is fetched once for all steps, and beside others', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    await cache.write('main', PIP, { b: '2' });
    const rig = new Rig([cache.source('main')], { names: [NPM, PIP] });
    const [npm, pip] = await Promise.all([rig.step(NPM), rig.step(PIP), rig.step(NPM)]);
    expect([npm, pip]).toEqual([{ a: '1' }, { b: '2' }]);
    expect(cache.asked).toBe(2);
  });

  test('stays empty where nobody has it, without a word', async () => {
    const rig = new Rig([new Cache().source('main')]);
    expect(await rig.step()).toEqual({});
    expect(rig.warnings).toEqual([]);
  });

  test('that a step only reads is not sent back', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    const rig = new Rig([cache.source('main')], { readonly: true });
    expect(await rig.step()).toEqual({ a: '1' });
    expect(rig.restores.used.size).toBe(0);
  });
});

describe('a mount is left as it is', () => {
  test('when it has files on this machine: nobody is asked', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: 'theirs' });
    const rig = new Rig([cache.source('main')]);
    const { path } = rig.store.mounts.ensure('/npm', rig.store.leases.create(), '/npm');
    fs.writeFileSync(join(path, 'a'), 'ours');
    expect(await rig.step()).toEqual({ a: 'ours' });
    expect(cache.asked).toBe(0);
  });

  test('when its step is not to use caches', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    const rig = new Rig([cache.source('main')], { ignoreCache: true });
    expect(await rig.step()).toEqual({});
    expect(cache.asked).toBe(0);
  });

  test('when it is none of those that travel', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    const rig = new Rig([cache.source('main', { ids: ['pip'] })]);
    expect(await rig.step()).toEqual({});
    expect(cache.asked).toBe(0);
  });
});

describe('what cannot be had is a warning, and the mount is empty', () => {
  test('a pack that was changed', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: 'x'.repeat(5000) });
    for (const blob of fs.readdirSync(join(cache.path, 'blobs/sha256'))) {
      const path = join(cache.path, 'blobs/sha256', blob);
      const bytes = fs.readFileSync(path);
      const at = bytes.length >> 1;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      fs.chmodSync(path, 0o600);
      fs.writeFileSync(path, bytes);
    }
    const source = cache.source('main');
    const rig = new Rig([source]);
    expect(await rig.step()).toEqual({});
    expect(rig.warnings).toEqual([expect.stringMatching(/^Cannot restore cache mount npm from .* \(main\): /)]);
    // Whoever sends it later must not build on it.
    expect(rig.restores.isDamaged(source.place, NPM)).toBe(true);
    expect(rig.restores.isDamaged(source.place, PIP)).toBe(false);
    expect(rig.directories()).toBeLessThanOrEqual(1);
  });

  test('and the next scope is asked', async () => {
    const cache = new Cache();
    const other = new Cache();
    await cache.write('main', NPM, { a: 'large'.repeat(100) });
    await other.write('main', NPM, { a: 'small' });
    const rig = new Rig([cache.source('main', { maxBytes: 100 }), other.source('main')]);
    expect(await rig.step()).toEqual({ a: 'small' });
    expect(rig.warnings).toEqual([expect.stringContaining('more than 100B')]);
    expect(rig.warnings[0]).toContain('mounts-max-size=SIZE of --cache-from allows more');
  });

  test('one that does not come in time: the step runs, and what comes later is not used', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    const gate = Promise.withResolvers<void>();
    cache.gate = gate.promise;
    const rig = new Rig([cache.source('main', { patienceMs: 30 })]);
    expect(await rig.step()).toEqual({});
    gate.resolve();
    await rig.restores.end();
    expect(rig.files()).toEqual({});
    expect(rig.warnings).toEqual([
      expect.stringContaining('it did not come within 30ms (mounts-timeout sets another limit)'),
    ]);
    expect(rig.directories()).toBeLessThanOrEqual(1);
  });
});

describe('a build that ends', () => {
  test('ends what is still on its way, without a warning, and removes what had come', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    await cache.write('main', PIP, { b: '2' });
    const rig = new Rig([cache.source('main')], { names: [NPM, PIP] });
    rig.restores.begin(VERTEX);
    await rig.step(NPM);
    const gate = Promise.withResolvers<void>();
    cache.gate = gate.promise;
    await rig.restores.end();
    expect(rig.warnings).toEqual([]);
    expect(rig.files(NPM)).toEqual({ a: '1' });
    expect(rig.directories()).toBe(1);
  });

  test('that is interrupted while it waits says so', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    cache.gate = Promise.withResolvers<void>().promise;
    const rig = new Rig([cache.source('main')]);
    const running = rig.step();
    rig.task.controller.abort(new TsbuildError('TSB_CANCELED', 'interrupted'));
    await expect(running).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    await rig.restores.end();
    expect(rig.warnings).toEqual([]);
  });
});

describe('`tsbuild cache mounts import`', () => {
  test('fills what is empty, and leaves or replaces what is not', async () => {
    const cache = new Cache();
    await cache.write('main', NPM, { a: '1' });
    const rig = new Rig([cache.source('main')]);
    const bring = (replaces: boolean) => rig.restores.bringNow(rig.task, NPM, replaces);
    expect(await bring(false)).toBe('restored');
    expect(rig.files()).toEqual({ a: '1' });
    expect(await bring(false)).toBe('occupied');
    await cache.write('main', NPM, { a: '2' });
    expect(await bring(true)).toBe('restored');
    expect(rig.files()).toEqual({ a: '2' });
  });

  test('says what nobody has', async () => {
    const rig = new Rig([new Cache().source('main')]);
    expect(await rig.restores.bringNow(rig.task, NPM, false)).toBe('absent');
  });
});
