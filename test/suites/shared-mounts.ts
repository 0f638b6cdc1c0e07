import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeTree, type PackedTree, packTree, unpackTree } from '../../src/chunks/index.ts';
import {
  fetchMountBlobs,
  findMount,
  type MountName,
  mountRecordName,
  openEnvelope,
  PackGone,
  seal,
  sendMount,
  type StepPlace,
  trustAll,
} from '../../src/remote-cache/index.ts';
import { keyPairOf } from '../support/key-pair.ts';
import { testTask } from '../support/task.ts';
import type { SharedCacheFixture } from './shared-cache.ts';

const LIMITS = { bytes: 1e9, entries: 1000 };
const NPM: MountName = { id: '/npm' };
const signal = new AbortController().signal;

/** A machine with a cache mount. */
class Runner implements Disposable {
  readonly root: string = mkdtempSync(join(tmpdir(), 'tsbuild-mount-'));
  readonly dir: string = join(this.root, 'mount');
  #count = 0;

  constructor(files: Readonly<Record<string, string | Uint8Array>> = {}) {
    mkdirSync(this.dir);
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.dir, name), content);
  }

  fresh(): string {
    const dir = join(this.root, String(this.#count++));
    mkdirSync(dir);
    return dir;
  }

  async pack(base?: string): Promise<PackedTree> {
    const tree = base === undefined ? {} : { base: decodeTree(readFileSync(base), 'base', LIMITS) };
    const common = { dir: this.dir, memory: `${this.dir}.memory`, into: this.fresh(), limits: LIMITS, now: Date.now() };
    return packTree({ ...common, ...tree, idShift: 0, idCount: 2 ** 31, signal });
  }

  /** Fetches what a place has, and unpacks it. @returns the file with the tree */
  async restore(place: StepPlace, mount: MountName = NPM): Promise<string> {
    const record = await findMount(testTask(), place, trustAll, mount);
    if (record === undefined) throw new Error('There is no such mount');
    const files = await fetchMountBlobs(testTask(), place, [record.tree, ...record.packs], this.fresh());
    const path = files.get(record.tree.digest) ?? '';
    rmSync(this.dir, { recursive: true });
    mkdirSync(this.dir);
    const places = { packs: files, dir: this.dir, memory: `${this.dir}.memory`, work: this.fresh() };
    const tree = decodeTree(readFileSync(path), 'tree', LIMITS);
    await unpackTree({ ...places, tree, idShift: 0, idCount: 2 ** 31, now: Date.now(), signal, what: 'test' });
    return path;
  }

  read(name: string): string {
    return readFileSync(join(this.dir, name), 'utf8');
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

const target = (place: StepPlace, more: object = {}): Parameters<typeof sendMount>[1] => ({
  place,
  author: { who: 'alice' },
  now: () => 1000.5,
  ...more,
});

/** The contract of a place for cache mounts: what steps' records have it for is all that they need. */
export function sharedMountsSuite(name: string, make: () => Promise<SharedCacheFixture>): void {
  describe(`cache mounts in ${name}`, () => {
    test('come to another machine, of which only what changed goes back', async () => {
      await using cache = await make();
      using one = new Runner({ large: randomBytes(1 << 20), small: 'small' });
      const sent = await sendMount(testTask(), target(cache.open('main')), NPM, await one.pack(), false);
      expect(sent).toBeGreaterThan(1 << 20);
      using two = new Runner();
      const base = await two.restore(cache.open('main'));
      expect(two.read('small')).toBe('small');
      writeFileSync(join(two.dir, 'small'), 'changed');
      const packed = await two.pack(base);
      const again = await sendMount(testTask(), target(cache.open('main')), NPM, packed, false);
      expect(again).toBeLessThan(2000);
      await one.restore(cache.open('main'));
      expect(one.read('small')).toBe('changed');
      const record = await findMount(testTask(), cache.open('main'), trustAll, NPM);
      expect(record).toMatchObject({ mount: NPM, writtenAt: 1000, author: { who: 'alice' }, packs: [{}, {}] });
    });

    test('are told apart by id, by what they start from, and by scope', async () => {
      await using cache = await make();
      using one = new Runner({ file: 'x' });
      const own: MountName = { id: '/npm', base: `sha256:${'1'.repeat(64)}` };
      await sendMount(testTask(), target(cache.open('main')), own, await one.pack(), false);
      const find = (scope: string, mount: MountName) => findMount(testTask(), cache.open(scope), trustAll, mount);
      expect(await find('main', own)).toMatchObject({ mount: own });
      for (const [scope, mount] of [
        ['main', NPM],
        ['main', { ...own, id: '/pip' }],
        ['pr-1', own],
      ] as const)
        expect(await find(scope, mount)).toBeUndefined();
      // Their content is shared all the same.
      const sent = await sendMount(testTask(), target(cache.open('pr-1')), NPM, await one.pack(), false);
      expect(sent).toBe(0);
    });

    test('are sent anew when a pack that they stood on is gone', async () => {
      await using cache = await make();
      using one = new Runner({ large: randomBytes(1 << 20) });
      const first = await one.pack();
      await sendMount(testTask(), target(cache.open('main')), NPM, first, false);
      writeFileSync(join(one.dir, 'more'), 'more');
      const next = await one.pack(first.tree.path);
      const [gone] = next.kept;
      if (gone === undefined) throw new Error('No pack was kept');
      await cache.setLayer(gone.digest, undefined);
      const open = cache.open('main');
      // A service that has no way to delete has it all the same.
      const outcome: unknown = await sendMount(testTask(), target(open), NPM, next, false).catch(
        (error: unknown) => error,
      );
      if (typeof outcome !== 'number') {
        expect(outcome).toBeInstanceOf(PackGone);
        await sendMount(testTask(), target(open), NPM, await one.pack(), false);
      }
      using two = new Runner();
      await two.restore(cache.open('main'));
      expect(two.read('more')).toBe('more');
    });

    test('that are damaged, forged or in the place of another are refused', async () => {
      await using cache = await make();
      using one = new Runner({ file: 'x' });
      const main = keyPairOf();
      const other = keyPairOf();
      await sendMount(testTask(), target(cache.open('main'), { key: main }), NPM, await one.pack(), false);
      const record = mountRecordName(NPM);
      const envelope = await cache.open('main').record(testTask(), record);
      if (envelope === undefined) throw new Error('No record');
      const find = () => findMount(testTask(), cache.open('main'), { keys: [main] }, NPM);
      expect(await find()).toMatchObject({ mount: NPM });
      const { payload, type } = openEnvelope(envelope, 'test', ['application/vnd.tsbuild.mount.v1+json']);
      const forged = (change: object): Buffer => Buffer.from(JSON.stringify({ ...JSON.parse(payload.toString()), ...change })); // oxfmt-ignore
      const attempts: Readonly<Record<string, Uint8Array>> = {
        empty: Buffer.alloc(0),
        cut: envelope.subarray(0, 100),
        'not signed': seal(payload, undefined, type),
        'signed by another': seal(payload, other, type),
        'signed as a step': seal(payload, main),
        'of another scope': seal(forged({ scope: 'pr-1' }), main, type),
        'of another mount': seal(forged({ mount: { id: '/pip' } }), main, type),
        'without a tree': seal(forged({ layers: [] }), main, type),
        'with layers that are none': seal(forged({ layers: [{ digest: 'x' }] }), main, type),
        'of another version': seal(forged({ version: 2 }), main, type),
      };
      for (const [how, bytes] of Object.entries(attempts)) {
        await cache.setRecord('main', record, bytes);
        await expect(find(), how).rejects.toMatchObject({ code: 'TSB_IMAGE' });
      }
      await cache.setRecord('main', record, undefined);
      expect(await find()).toBeUndefined();
    });

    test('whose blobs are missing, cut or flipped are refused', async () => {
      await using cache = await make();
      using one = new Runner({ file: randomBytes(1000) });
      const packed = await one.pack();
      await sendMount(testTask(), target(cache.open('main')), NPM, packed, false);
      for (const { digest, path } of [packed.tree, ...packed.made]) {
        const right = readFileSync(path);
        const flipped = Buffer.from(right);
        flipped[50] = (right[50] ?? 0) ^ 1;
        for (const bytes of [undefined, right.subarray(1), flipped]) {
          await cache.setLayer(digest, bytes);
          using two = new Runner();
          await expect(two.restore(cache.open('main'))).rejects.toThrow();
        }
        await cache.setLayer(digest, right);
      }
      using three = new Runner();
      await three.restore(cache.open('main'));
    });
  });
}
