import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Store } from '../../src/store/index.ts';
import { commandIn } from '../fakes/command.ts';
import { TempDir } from '../tree/support.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
let dir: TempDir;
beforeEach(() => void (dir = new TempDir()));
afterEach(() => dir[Symbol.dispose]());

const open = (now = NOW): Store => Store.open(join(dir.path, 'store'), { now: () => now });

/** Mounts as builds leave them, each an hour older than the one before it. */
function fill(...ids: readonly string[]): void {
  for (const [at, id] of ids.entries()) {
    using store = open(NOW - at * 3_600_000);
    using lease = store.leases.create();
    writeFileSync(join(store.mounts.ensure(id, lease, id).path, 'file'), 'content');
    store.mounts.setUsage(id, { bytes: 7, inodes: 1 });
  }
}

const { run } = commandIn(() => dir.path, { now: () => NOW }, ['cache', 'mounts']);
const ids = async (): Promise<readonly string[]> =>
  (JSON.parse((await run('ls', '--format=json')).out) as { id: string }[]).map(({ id }) => id).toSorted();

describe('cache mounts ls', () => {
  test('is a table of what steps call them, how large they are and when they were used', async () => {
    fill('/root/.npm', 'project/pip');
    expect(await run('ls')).toEqual({
      code: 0,
      err: '',
      out: 'ID           SIZE  FILES  LAST USED\nproject/pip  7B    1      1 hour ago\nroot/.npm    7B    1      just now\n',
    });
  });

  test('says which ones a build uses that lives', async () => {
    fill('/a', '/b');
    using store = open();
    using lease = store.leases.create();
    lease.hold({ mounts: ['/a'] });
    const { out } = await run('ls', '--format=json');
    const mounts = JSON.parse(out) as { id: string; inUse: boolean }[];
    expect(Object.fromEntries(mounts.map((mount) => [mount.id, mount.inUse]))).toEqual({ '/a': true, '/b': false });
    expect((await run('ls')).out).toMatch(/^a +7B \(in use\)/m);
  });

  test('of a store without any is a header, or an empty list', async () => {
    expect((await run('ls')).out).toBe('ID  SIZE  FILES  LAST USED\n');
    expect((await run('ls', '--format=json')).out).toBe('[]\n');
  });
});

describe('cache mounts rm', () => {
  test('removes one with what is kept apart of it, by its name with or without the slash', async () => {
    fill('/npm', '/npm#1', '/npm#0123456789abcdef', '/npm/x', 'npm2');
    const { code, out } = await run('rm', 'npm');
    expect(code).toBe(0);
    expect(out.split('\n').slice(0, 3).toSorted()).toEqual(['npm', 'npm#0123456789abcdef', 'npm#1']);
    expect(out).toMatch(/\nFreed: {2}\d/);
    expect(await ids()).toEqual(['/npm/x', 'npm2']);
    expect((await run('rm', '/npm/x')).code).toBe(0);
    expect(await ids()).toEqual(['npm2']);
  });

  test('removes one copy of it alone', async () => {
    fill('/npm', '/npm#1');
    expect((await run('rm', 'npm#1')).out).toMatch(/^npm#1\n/);
    expect(await ids()).toEqual(['/npm']);
  });

  test('removes all of them, and their directories', async () => {
    fill('/a', 'b/c');
    expect((await run('rm', '--all')).code).toBe(0);
    expect(await ids()).toEqual([]);
    using store = open();
    expect(['/a', 'b/c'].map((id) => existsSync(store.mounts.directory(id)))).toEqual([false, false]);
  });

  test('leaves what is in use, says so, and ends with 1', async () => {
    fill('/a', '/b');
    using store = open();
    using lease = store.leases.create();
    lease.hold({ mounts: ['/a'] });
    const { code, out, err } = await run('rm', '--all');
    expect(code).toBe(1);
    expect(out).toMatch(/^b\nFreed: /);
    expect(err).toMatch(/^warning: a is in use/m);
    expect(await ids()).toEqual(['/a']);
  });

  test.each([
    [[], 'Cannot remove cache mounts: name some, or all of them with --all'],
    [['a', '--all'], 'Cannot remove cache mounts: name some, or all of them with --all'],
    [['npn'], 'There is no cache mount "npn" in the store\nhint: did you mean "npm"?'],
    [['zzz'], 'There is no cache mount "zzz" in the store\nhint: "tsbuild cache mounts ls" lists them'],
    [['npm', 'zzz'], 'There is no cache mount "zzz"'],
  ])('%j is refused, and nothing removed', async (words, why) => {
    fill('/npm', '/npm#1');
    const { code, out, err } = await run('rm', ...words);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
    expect(await ids()).toEqual(['/npm', '/npm#1']);
  });
});

describe('cache mounts export and import', () => {
  test.each([
    [['export', '--cache-to=type=inline'], 'Cannot use a cache of type inline for cache mounts: it has none'],
    [['export', '--cache-to=type=local'], 'dest'],
    [['export', '--cache-to=type=local,dest=x', 'zzz'], 'There is no cache mount "zzz" in the store'],
    [['export'], '--cache-to'],
    [['import', 'x'], '--cache-from'],
    [['import', '--cache-from=type=local,src=x'], 'missing required argument'],
    [['import', 'x', '--cache-from=type=inline'], 'inline'],
  ])('%j is refused', async (words, why) => {
    const { code, out, err } = await run(...words);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
  });

  test('of a mount that is not there says so for each, and ends with 1', async () => {
    mkdirSync(join(dir.path, 'cache'));
    const { code, err } = await run('import', 'one', 'two', '--cache-from=type=local,src=cache');
    expect(code).toBe(1);
    expect(err.match(/^error: Cannot import cache mount "(?:one|two)": it is not there$/gm)).toHaveLength(2);
  });

  test('over one that has files is refused unless it is to be replaced', async () => {
    fill('/npm');
    mkdirSync(join(dir.path, 'cache'));
    const { code, err } = await run('import', '/npm', '--cache-from=type=local,src=cache');
    expect(code).toBe(1);
    expect(err).toMatch(/Cannot import cache mount "\/npm": (?:the store has files in it|it is not there)/);
    expect(await ids()).toEqual(['/npm']);
  });
});
