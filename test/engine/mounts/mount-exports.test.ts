import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { decodeTree, packTree, type PackedTree } from '../../../src/chunks/index.ts';
import {
  describeSent,
  exportMount,
  exportMounts,
  type MountDestination,
} from '../../../src/engine/mounts/mount-exports.ts';
import type { Session } from '../../../src/engine/session.ts';
import { DirectoryStore } from '../../../src/object-store/directory-store.ts';
import type { ObjectStore } from '../../../src/object-store/index.ts';
import { findMount, type MountName, mountRecordName, ObjectPlace, trustAll } from '../../../src/remote-cache/index.ts';
import { TsbuildError } from '../../../src/util/index.ts';
import type { PackMountParams } from '../../../src/worker/mount-methods.ts';
import { openStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';

const NPM: MountName = { id: '/npm' };
const PIP: MountName = { id: '/pip' };
const DAY = 24 * 60 * 60_000;

const disposals: (() => void)[] = [];
afterEach(() => {
  for (const dispose of disposals.splice(0).toReversed()) dispose();
});

/** A store with cache mounts, a worker that packs in this process, and a cache in a directory. */
class Rig {
  readonly opened = openStore();
  readonly store = this.opened.store;
  readonly cache: string;
  /** Paths of bases that the worker was given, one for each time that it packed. */
  readonly bases: (string | undefined)[] = [];
  /** Done with the objects of the cache before they are used. */
  wrap: (objects: ObjectStore) => ObjectStore = (objects) => objects;
  /** Instead of packing. */
  pack: ((params: PackMountParams) => Promise<PackedTree>) | undefined;
  now = 1_700_000_000_000;

  constructor() {
    const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-mount-exports-'));
    this.cache = join(dir, 'cache');
    disposals.push(
      () => this.opened[Symbol.dispose](),
      () => fs.rmSync(dir, { recursive: true, force: true }),
    );
  }

  get session(): Session {
    const call = async (
      _: string,
      params: PackMountParams,
      { signal }: { signal: AbortSignal },
    ): Promise<PackedTree> => {
      this.bases.push(params.base?.path);
      if (this.pack) return this.pack(params);
      const { base, ...rest } = params;
      const tree = base && decodeTree(fs.readFileSync(base.path), base.what, params.limits);
      return packTree({ ...rest, idShift: 0, idCount: 2 ** 31, signal, ...(tree && { base: tree }) });
    };
    return {
      store: this.store,
      now: () => this.now,
      worker: () => Promise.resolve({ call }),
    } as unknown as Session;
  }

  place(scope = 'main'): ObjectPlace {
    return new ObjectPlace(this.wrap(new DirectoryStore({ path: this.cache, now: () => this.now })), scope);
  }

  destination(more: Partial<MountDestination> = {}, scope = 'main'): MountDestination {
    return {
      target: { place: this.place(scope), author: {}, now: () => this.now },
      limits: { ids: 'all', maxBytes: 1e6, patienceMs: 20_000 },
      touchMs: DAY,
      ...more,
    };
  }

  /** A mount of the store with these files. */
  mount(id: string, files: Readonly<Record<string, string>>): string {
    const { path } = this.store.mounts.ensure(id, this.store.leases.create());
    for (const [name, content] of Object.entries(files)) fs.writeFileSync(join(path, name), content);
    return id;
  }

  async send(name: MountName, destination = this.destination(), task = testTask()) {
    return exportMount(this.session, task, destination, { id: name.id.slice(1), name });
  }

  /** What the cache has of a mount. */
  record(name: MountName, scope = 'main') {
    return findMount(testTask(), this.place(scope), trustAll, name);
  }

  /** The file of a blob of the cache, where it is there. */
  blob(digest = 'sha256:?'): string | undefined {
    const names = fs.readdirSync(this.cache, { recursive: true, encoding: 'utf8' });
    const name = names.find((each) => each.endsWith(digest.slice('sha256:'.length)));
    return name === undefined ? undefined : join(this.cache, name);
  }

  /** Nothing is left of what was made on the way. */
  expectClean(): void {
    const ingest = join(this.opened.root, 'ingest');
    const all = fs.readdirSync(ingest, { recursive: true, encoding: 'utf8' });
    expect(all.filter((name) => name.includes('scratch'))).toEqual([]);
  }
}

/** The same objects, with another method. */
function withMethod<Name extends keyof ObjectStore>(
  objects: ObjectStore,
  name: Name,
  method: ObjectStore[Name],
): ObjectStore {
  return new Proxy(objects, {
    get: (target, key) => {
      if (key === name) return method;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Objects that cannot be read. */
const unreadable =
  (error: () => Error) =>
  (objects: ObjectStore): ObjectStore =>
    withMethod(objects, 'get', () => Promise.reject(error()));

describe('sending a mount', () => {
  test('sends all of one that is nowhere, and then only what changed', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'x'.repeat(5000), b: 'two' });
    const first = await rig.send(NPM);
    expect(first.sent).toBeGreaterThan(0);
    expect(await rig.record(NPM)).toMatchObject({
      scope: 'main',
      mount: NPM,
      files: 2,
      bytes: 5003,
      writtenAt: rig.now,
    });
    rig.mount('npm', { c: 'three' });
    const second = await rig.send(NPM);
    expect(rig.bases).toEqual([undefined, expect.any(String)]);
    expect(second.packed).toMatchObject({ files: 3, newBytes: 5, kept: [expect.anything()] });
    expect((await rig.record(NPM))?.packs).toHaveLength(2);
    rig.expectClean();
  });

  test('sends nothing of what is there, and writes no new record', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'one' });
    await rig.send(NPM);
    const before = await rig.record(NPM);
    rig.now += 1000;
    const again = await rig.send(NPM);
    expect(again.sent).toBeUndefined();
    expect(describeSent(again.sent, again.packed)).toBe('as it is there');
    expect(await rig.record(NPM)).toEqual(before);
  });

  test('what has not changed for long is kept from expiring, and not before', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'one' });
    await rig.send(NPM);
    const touched: string[] = [];
    rig.wrap = (objects) =>
      withMethod(objects, 'touch', (_, name) => {
        touched.push(name);
        return Promise.resolve();
      });
    rig.now += DAY - 1;
    await rig.send(NPM);
    expect(touched).toEqual([]);
    rig.now += 1;
    expect((await rig.send(NPM)).sent).toBeUndefined();
    expect(touched.some((name) => name.includes(mountRecordName(NPM)))).toBe(true);
  });

  test('is built on another scope of the place where this one has none, and is written to this one', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'x'.repeat(5000) });
    await rig.send(NPM);
    const record = await rig.record(NPM);
    if (record === undefined) throw new Error('It was not sent');
    const found = () => ({ place: rig.place('main'), record });
    const sent = await rig.send(NPM, rig.destination({ found }, 'branch'));
    // It is the same as there, and still has to have a record of its own here.
    expect(sent.sent).toBe(0);
    expect(await rig.record(NPM, 'branch')).toMatchObject({ scope: 'branch', files: 1 });
    expect(await rig.record(NPM, 'main')).toEqual(record);
  });

  test('is sent whole when what it stands on was deleted by somebody else', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'x'.repeat(5000) });
    await rig.send(NPM);
    const [pack] = (await rig.record(NPM))?.packs ?? [];
    const blob = rig.blob(pack?.digest);
    fs.rmSync(blob ?? '');
    rig.mount('npm', { b: 'two' });
    const { packed } = await rig.send(NPM);
    expect(rig.bases).toEqual([undefined, expect.any(String), undefined]);
    expect(packed).toMatchObject({ kept: [], newBytes: 5003 });
    const packs = (await rig.record(NPM))?.packs ?? [];
    expect(packs.map(({ digest }) => rig.blob(digest))).toEqual([expect.any(String)]);
    rig.expectClean();
  });

  test('is sent whole, and again, when what is there is known to be damaged', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'one' });
    const { sent } = await rig.send(NPM);
    const again = await rig.send(NPM, rig.destination({ isDamaged: () => true }));
    expect(again.sent).toBe(sent);
    expect(rig.bases).toEqual([undefined, undefined]);
  });

  test('is sent whole when the tree that is there is nonsense', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'one' });
    await rig.send(NPM);
    const usual = rig.pack;
    rig.pack = (params) => {
      rig.pack = usual;
      return params.base === undefined
        ? Promise.reject(new Error('There was a tree'))
        : Promise.reject(new TsbuildError('TSB_IMAGE', 'Cannot read the tree'));
    };
    rig.mount('npm', { b: 'two' });
    expect((await rig.send(NPM)).packed).toMatchObject({ files: 2, kept: [] });
    expect(rig.bases.at(-1)).toBeUndefined();
  });

  test('a place that cannot be asked is an error: what it has is not sent over again', async () => {
    for (const code of ['TSB_NETWORK', 'TSB_REGISTRY'] as const) {
      const rig = new Rig();
      rig.mount('npm', { a: 'one' });
      rig.wrap = unreadable(() => new TsbuildError(code, 'Cannot reach it'));
      await expect(rig.send(NPM)).rejects.toMatchObject({ code, message: 'Cannot reach it' });
      expect(rig.bases).toEqual([]);
      rig.expectClean();
    }
  });

  test('a record that cannot be believed is as good as none', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'one' });
    rig.wrap = unreadable(() => new TsbuildError('TSB_DIGEST', 'It is not what it says'));
    expect((await rig.send(NPM)).sent).toBeGreaterThan(0);
    expect(rig.bases).toEqual([undefined]);
  });

  test('what is too large is an error, and nothing of it is there', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'x'.repeat(5000) });
    const limits = { ids: 'all', maxBytes: 4000, patienceMs: 20_000 } as const;
    await expect(rig.send(NPM, rig.destination({ limits }))).rejects.toMatchObject({ code: 'TSB_EXPORT' });
    expect(await rig.record(NPM)).toBeUndefined();
    rig.expectClean();
  });

  test('has the mount for itself while it reads, and lets go of it whatever happens', async () => {
    const rig = new Rig();
    rig.mount('npm', { a: 'one' });
    rig.pack = async () => {
      await expect(rig.store.lock('mount-npm', { timeoutMs: 1 })).rejects.toMatchObject({ code: 'TSB_STORE' });
      throw new Error('The worker is gone');
    };
    await expect(rig.send(NPM)).rejects.toThrow('The worker is gone');
    await (await rig.store.lock('mount-npm', { timeoutMs: 20_000 }))[Symbol.asyncDispose]();
  });
});

describe('sending the mounts of a build', () => {
  const used = new Map([
    ['npm', NPM],
    ['pip', PIP],
  ]);
  const both = (): Rig => {
    const rig = new Rig();
    rig.mount('npm', { a: 'one' });
    rig.mount('pip', { b: 'two!' });
    return rig;
  };
  const texts: string[] = [];
  const status = (text: string): void => void texts.push(text);
  afterEach(() => texts.splice(0));

  test('sends each, says of each what was sent, and notes what it is known by elsewhere', async () => {
    const rig = both();
    await exportMounts(rig.session, testTask(), rig.destination(), used, status);
    expect(texts).toEqual([
      expect.stringMatching(/^cache mount npm: sent \S+ of 3B? in 1 files$/),
      expect.stringMatching(/^cache mount pip: sent \S+ of 4B? in 1 files$/),
    ]);
    expect(JSON.parse(rig.store.mounts.elsewhere('npm') ?? '')).toEqual(NPM);
  });

  test('leaves out those that were not named', async () => {
    const rig = both();
    const limits = { ids: ['pip'], maxBytes: 1e6, patienceMs: 1 };
    await exportMounts(rig.session, testTask(), rig.destination({ limits }), used, status);
    expect([await rig.record(NPM), (await rig.record(PIP))?.files]).toEqual([undefined, 1]);
    expect(rig.store.mounts.elsewhere('npm')).toBeUndefined();
  });

  test('one that fails does not keep the others, and is the error in the end', async () => {
    const rig = both();
    const usual = rig.pack;
    rig.pack = () => {
      rig.pack = usual;
      return Promise.reject(new TsbuildError('TSB_EXPORT', 'npm is too large'));
    };
    await expect(exportMounts(rig.session, testTask(), rig.destination(), used, status)).rejects.toThrow(
      'npm is too large',
    );
    expect(texts).toEqual([expect.stringMatching(/^cache mount pip: sent/)]);
    expect((await rig.record(PIP))?.files).toBe(1);
  });

  test('a canceled build sends no more of them', async () => {
    const rig = both();
    const abort = new AbortController();
    rig.pack = () => {
      abort.abort(new TsbuildError('TSB_CANCELED', 'Canceled'));
      return Promise.reject(new Error('It was ended'));
    };
    const task = { ...testTask(), signal: abort.signal };
    await expect(exportMounts(rig.session, task, rig.destination(), used, status)).rejects.toMatchObject({
      code: 'TSB_CANCELED',
    });
    expect(rig.bases).toHaveLength(1);
    expect(texts).toEqual([]);
  });
});

test('what was left out is told with what was sent', () => {
  const packed = { files: 3, bytes: 2048, changing: 0, skipped: 0 } as PackedTree;
  expect(describeSent(1024, packed)).toMatch(/^sent 1\S* ?[kK]\S* of 2\S* ?[kK]\S* in 3 files$/);
  expect(describeSent(undefined, { ...packed, changing: 2, skipped: 1 })).toBe(
    'as it is there, 2 files left out that somebody writes, 1 devices and sockets left out',
  );
});
