import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { collectLeftovers, prune } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { makeLayer, openStore, removeTrees, type TestStore } from './support.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const NOW = 1_700_000_000_000;

/** Sets when something was last changed. */
const age = (path: string, ms: number): void => fs.utimesSync(path, (NOW - ms) / 1000, (NOW - ms) / 1000);
const stray = ({ root }: TestStore, path: string, ms: number): string => {
  const full = join(root, path);
  fs.mkdirSync(join(full, '..'), { recursive: true });
  fs.writeFileSync(full, 'x');
  age(full, ms);
  return full;
};

describe('a command that has other things to do', () => {
  test('collects nothing when nobody died', async () => {
    using opened = openStore();
    const removed: string[] = [];
    expect(
      await collectLeftovers(opened.store, async (paths) => {
        removed.push(...paths);
      }),
    ).toBeUndefined();
    expect(removed).toEqual([]);
  });

  test('leaves it to whoever is at it', async () => {
    using opened = openStore();
    const { store } = opened;
    store.layers.dropFs(makeLayer(store));
    const lock = store.locks.tryAcquire('gc');
    expect(await collectLeftovers(store, removeTrees)).toBeUndefined();
    expect(fs.readdirSync(store.layout.garbage)).toHaveLength(1);
    lock?.release();
    expect(await collectLeftovers(store, removeTrees)).toMatchObject({ removed: 1 });
    expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
  });

  test('lets others collect after it failed', async () => {
    using opened = openStore();
    const { store } = opened;
    store.layers.dropFs(makeLayer(store));
    await expect(collectLeftovers(store, () => Promise.reject(new Error('no worker')))).rejects.toThrow('no worker');
    expect(await collectLeftovers(store, removeTrees)).toMatchObject({ removed: 1 });
  });
});

describe('what killed commands leave', () => {
  test.each([
    ['a container that was being made', `containers/new-${'c'.repeat(64)}`],
    ['a volume that was being made', `volumes/.new-${'0'.repeat(16)}`],
  ])('%s goes after a minute, with its files', async (_what, path) => {
    using opened = openStore(undefined, { now: NOW });
    const { store } = opened;
    const dir = join(opened.root, path);
    fs.mkdirSync(join(dir, 'fs'), { recursive: true });
    fs.writeFileSync(join(dir, 'fs', 'file'), 'x');
    for (const [ms, stays] of [
      [-MINUTE, true],
      [MINUTE - 1000, true],
      [MINUTE + 1000, false],
    ] as const) {
      age(dir, ms);
      await collectGarbage(store, removeTrees);
      expect(fs.existsSync(dir), String(ms)).toBe(stays);
    }
    expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
  });

  test('containers, volumes and networks that are there stay, however old they are', async () => {
    using opened = openStore(undefined, { now: NOW });
    const kept = [
      `containers/${'c'.repeat(64)}`,
      'containers/by-name',
      'volumes/data',
      'volumes/new-data',
      'networks/net',
      'networks/new-net',
    ];
    for (const path of kept) {
      fs.mkdirSync(join(opened.root, path), { recursive: true });
      age(join(opened.root, path), 100 * DAY);
    }
    await collectGarbage(opened.store, removeTrees);
    await prune(opened.store, { removeTrees, all: true });
    for (const path of kept) expect(fs.existsSync(join(opened.root, path)), path).toBe(true);
  });

  test('a record of a build that was half written goes after a day', async () => {
    using opened = openStore(undefined, { now: NOW });
    const { store } = opened;
    const id = store.reports.keep('{}') ?? '';
    age(join(store.layout.reports, id), 100 * DAY);
    const old = stray(opened, 'reports/.20250101T000000.000-abcdef.json', 2 * DAY);
    const young = stray(opened, 'reports/.20260101T000000.000-abcdef.json', DAY - MINUTE);
    await collectGarbage(store, removeTrees);
    expect([old, young].map((path) => fs.existsSync(path))).toEqual([false, true]);
    expect(store.reports.read(id)).toBe('{}');
  });

  test('of indexes only those that were given up go, whatever their number', async () => {
    using opened = openStore(undefined, { now: NOW });
    const { store } = opened;
    store.database().rebuild();
    const given = ['index.sqlite', 'index.sqlite-wal', 'index-10.sqlite', 'index-10.sqlite-shm'];
    const others = ['index-1.sqlite-journal', 'indexes.txt'];
    const paths = [...given, ...others].map((name) => stray(opened, name, 2 * DAY));
    age(store.database().path, 2 * DAY);
    await collectGarbage(store, removeTrees);
    const left = paths.filter((path) => fs.existsSync(path)).map((path) => path.slice(opened.root.length + 1));
    expect(left).toEqual(others);
    expect(fs.existsSync(store.database().path)).toBe(true);
    expect(makeLayer(store)).toMatch(/^[0-9a-f]{32}$/);
  });

  test('a half-made reserve is completed, and a whole one is not made anew', () => {
    using opened = openStore();
    const { reserve } = opened.store.layout;
    const size = (): number =>
      fs.readdirSync(reserve).reduce((sum, name) => sum + fs.statSync(join(reserve, name)).size, 0);
    expect(size()).toBe(2 << 20);
    const before = fs.statSync(join(reserve, '0')).mtimeMs;
    opened.store.close();
    // Killed in the middle.
    for (const name of fs.readdirSync(reserve).slice(3)) fs.rmSync(join(reserve, name));
    openStore(opened.root)[Symbol.dispose]();
    expect(size()).toBe(2 << 20);
    const made = fs.statSync(join(reserve, '0')).ino;
    openStore(opened.root)[Symbol.dispose]();
    expect(fs.statSync(join(reserve, '0')).ino).toBe(made);
    expect(before).toBeGreaterThan(0);
  });
});
