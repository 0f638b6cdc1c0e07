import { mkdtempDisposableSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BaseTrees } from '../../../src/engine/caches/base-trees.ts';
import { openStepCache } from '../../../src/engine/caches/step-caches.ts';
import type { Session } from '../../../src/engine/session.ts';
import { type ObjectStore, openObjectStore } from '../../../src/object-store/index.ts';
import { RepositoryWriters, type Registry } from '../../../src/registry/index.ts';
import { readPolicy, type StepCacheExport } from '../../../src/remote-cache/index.ts';
import { encodeSummary, type SummaryDir, SummaryTree, type TreeNode } from '../../../src/tree/index.ts';
import { sha256, TsbuildError } from '../../../src/util/index.ts';
import { makeLayer, openStore, type TestStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';

const HOUR = 3_600_000;
const CHAIN = sha256('chain of the base image');
const leaf: TreeNode = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 3, mtimeNs: 5n, linkname: '' };
const tree: SummaryDir = {
  path: '',
  node: { ...leaf, type: 'directory', mode: 0o755, size: 0 },
  entries: new Map([['passwd', { node: leaf }]]),
};
const SUMMARY = encodeSummary(new SummaryTree(tree)) ?? new Uint8Array();

let dir: ReturnType<typeof mkdtempDisposableSync>;
let opened: TestStore;
let objects: ObjectStore;
let layer = '';
/** How often the worker was asked. */
let made = 0;
let answer: () => Promise<Uint8Array | undefined> = async () => SUMMARY;
/** What goes wrong when all is to be out. */
let flush: () => Promise<void> = async () => undefined;
const now = (): number => opened.store.now();
beforeEach(() => {
  dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-base-trees-'));
  opened = openStore();
  layer = makeLayer(opened.store);
  const real = openObjectStore({ kind: 'directory', path: dir.path }, now, () =>
    Promise.reject(new Error('no bucket')),
  );
  objects = new Proxy(real, {
    get: (target, key) => {
      if (key === 'flush') return () => flush();
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  made = 0;
  answer = async () => SUMMARY;
  flush = async () => undefined;
});
afterEach(() => {
  opened[Symbol.dispose]();
  dir[Symbol.dispose]();
});

const session = ({ store } = opened): Session =>
  ({
    store,
    lease: store.leases.create(),
    now,
    objects: { get: () => objects },
    layers: { isWindows: (ids: readonly string[]) => ids.includes('windows') },
    worker: async () => ({ call: async () => (made++, answer()) }),
  }) as unknown as Session;
const spec = (more: Partial<StepCacheExport> = {}): StepCacheExport =>
  ({
    type: 'steps',
    place: { type: 'local', path: dir.path },
    ignoreError: false,
    author: { who: 'ci' },
    ...more,
  }) as StepCacheExport;
const writers = new RepositoryWriters(undefined as unknown as Registry);
const sent = (): number =>
  readdirSync(dir.path, { recursive: true }).filter((name) => /records\/.+\/./.test(String(name))).length;

/** A build on the base image, which sends what it has. */
async function build(specs: readonly StepCacheExport[] = [spec()]): Promise<ReturnType<typeof testTask>> {
  const task = testTask();
  const trees = new BaseTrees(session(), task, () => []);
  trees.wanted(CHAIN, [layer]);
  await trees.send(task, specs, writers);
  return task;
}

describe('summaries of base images', () => {
  test('are made once by the worker, and known to every later build', async () => {
    await build();
    await build();
    expect(made).toBe(1);
    expect(await new BaseTrees(session(), testTask(), () => []).find(testTask(), CHAIN)).toEqual(Buffer.from(SUMMARY));
  });

  test.each([
    ['of Windows', () => ['windows']],
    ['that is not unpacked', () => ['f'.repeat(32)]],
  ])('are not made of an image %s', async (_what, layers) => {
    const task = testTask();
    const trees = new BaseTrees(session(), task, () => []);
    trees.wanted(CHAIN, layers());
    await trees.send(task, [spec()], writers);
    expect([made, sent()]).toEqual([0, 0]);
  });

  test('that the worker cannot make are nobody’s loss', async () => {
    answer = () => Promise.reject(new TsbuildError('TSB_SANDBOX', 'the worker has ended'));
    await build();
    answer = async () => undefined;
    await build();
    expect(sent()).toBe(0);
  });

  test('that are damaged in the store are made again', async () => {
    await build();
    opened.store.facts.put('tree-summary', CHAIN, Buffer.from('nonsense').toString('base64'));
    const trees = new BaseTrees(session(), testTask(), () => []);
    expect(await trees.find(testTask(), CHAIN)).toBeUndefined();
    await build();
    expect(made).toBe(2);
  });

  test('are found in a shared cache, and kept for that build alone', async () => {
    await build();
    using other = openStore();
    const there = session(other);
    const task = { ...testTask(), vertex: sha256('vertex') };
    const cache = openStepCache(there, task, {
      spec: { type: 'steps', place: { type: 'local', path: dir.path } },
      policy: readPolicy(undefined),
      patienceMs: 0,
    });
    expect(await new BaseTrees(there, task, () => [cache]).find(task, CHAIN)).toEqual(Buffer.from(SUMMARY));
    expect(await new BaseTrees(there, task, () => []).find(task, CHAIN)).toBeUndefined();
    expect(await new BaseTrees(there, task, () => [cache]).find(task, sha256('another'))).toBeUndefined();
  });
});

describe('sending them', () => {
  test('is done once a day for each place', async () => {
    await build();
    expect(sent()).toBe(1);
    const titles = ({ seen }: ReturnType<typeof testTask>): readonly string[] =>
      seen.flatMap((event) => (event.type === 'vertex' && event.state === 'started' ? [event.name] : []));
    expect(titles(await build())).toEqual([]);
    opened.advance(23 * HOUR);
    expect(titles(await build())).toEqual([]);
    opened.advance(2 * HOUR);
    expect(titles(await build())).toEqual([`exporting trees of base images to ${dir.path}`]);
    expect(titles(await build([spec({ scope: 'other' })]))).toHaveLength(1);
  });

  test('that a place did not take in the end is done again by the next build', async () => {
    flush = () => Promise.reject(new TsbuildError('TSB_REGISTRY', 'the cache service says no'));
    await expect(build()).rejects.toMatchObject({
      code: 'TSB_EXPORT',
      message: expect.stringContaining('the cache service says no') as string,
    });
    let flushed = 0;
    flush = async () => void flushed++;
    await build();
    expect(flushed).toBe(1);
    await build();
    expect(flushed).toBe(1);
  });

  test('that fails is a warning where errors are ignored, and other places get theirs', async () => {
    let tries = 0;
    flush = async () => {
      if (++tries === 1) throw new Error('full');
    };
    const { seen } = await build([spec({ ignoreError: true }), spec({ ignoreError: true, scope: 'second' })]);
    const warnings = seen.flatMap((event) => (event.type === 'diagnostic' ? [event.diagnostic.message] : []));
    expect(warnings).toEqual([expect.stringContaining('full')]);
    expect(tries).toBe(2);
  });

  test('ends with the build', async () => {
    const task = testTask();
    const trees = new BaseTrees(session(), task, () => []);
    trees.wanted(CHAIN, [layer]);
    flush = async () => {
      task.controller.abort(new TsbuildError('TSB_CANCELED', 'Canceled'));
      task.signal.throwIfAborted();
    };
    await expect(trees.send(task, [spec({ ignoreError: true })], writers)).rejects.toMatchObject({
      code: 'TSB_CANCELED',
    });
  });
});
