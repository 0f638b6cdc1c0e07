import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { Store } from '../../../src/store/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';
import type { Outcome } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

// Two machines, each with a store of its own, and a directory that both can reach.
let dir: TempDir;
beforeEach(() => void (dir = new TempDir()));
afterEach(() => dir[Symbol.dispose]());

async function on(machine: string, ...words: readonly string[]): Promise<Outcome> {
  const env = { TSBUILD_ROOT: join(dir.path, machine), HOME: dir.path };
  const context = fakeContext({ cwd: dir.path, uid: process.getuid?.() ?? 0, env, now: Date.now });
  const code = await runCli(['cache', 'mounts', ...words], context);
  return { code, out: context.out(), err: context.err() };
}
async function inStore<T>(machine: string, work: (store: Store) => T): Promise<T> {
  using store = Store.open(join(dir.path, machine), { now: Date.now });
  return work(store);
}
/** A mount as a step with `id=` leaves it. */
const fill = (machine: string, id: string, files: Readonly<Record<string, string>>): Promise<void> =>
  inStore(machine, (store) => {
    using lease = store.leases.create();
    const { path } = store.mounts.ensure(`/${id}`, lease, id);
    mkdirSync(join(path, 'sub'), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  });
const read = (machine: string, id: string, file: string): Promise<string> =>
  inStore(machine, (store) => {
    using lease = store.leases.create();
    return readFileSync(join(store.mounts.ensure(`/${id}`, lease, id).path, file), 'utf8');
  });
const TO = '--cache-to=type=local,dest=cache';
const FROM = '--cache-from=type=local,src=cache';

describe('a cache mount', () => {
  test('that one machine gives away is on the other as it was', async () => {
    await fill('one', 'npm', { a: 'content of a', 'sub/b': 'content of b' });
    await fill('one', 'apt', { c: 'content of c' });
    const given = await on('one', 'export', TO);
    expect([given.code, given.err]).toEqual([0, '']);
    const told = given.out.split('\n').filter(Boolean);
    expect(new Set(told.map((line) => line.split(':')[0]))).toEqual(new Set(['apt', 'npm']));
    expect(await on('two', 'import', FROM, 'npm')).toEqual({ code: 0, out: 'npm: restored\n', err: '' });
    expect(await read('two', 'npm', 'a')).toBe('content of a');
    expect(await read('two', 'npm', 'sub/b')).toBe('content of b');
  });

  test('that is there already stays as it is, unless it is to be replaced; others are restored, if they were given away', async () => {
    await fill('one', 'npm', { a: 'theirs' });
    await fill('one', 'apt', { c: 'theirs' });
    await fill('one', 'secret', { d: 'theirs' });
    expect((await on('one', 'export', TO, 'npm', 'apt')).code).toBe(0);
    await fill('two', 'npm', { a: 'ours' });
    const { code, out, err } = await on('two', 'import', FROM, 'npm', 'apt', 'secret');
    expect([code, out]).toEqual([1, 'apt: restored\n']);
    expect(err).toContain('Cannot import cache mount "npm": the store has files in it (--replace replaces them)');
    expect(err).toContain('Cannot import cache mount "secret": it is not there');
    expect(await read('two', 'npm', 'a')).toBe('ours');
    expect((await on('two', 'import', FROM, '--replace', 'npm')).out).toBe('npm: restored\n');
    expect(await read('two', 'npm', 'a')).toBe('theirs');
  });

  test('can be given away again, changed', async () => {
    await fill('one', 'npm', { a: 'first' });
    expect((await on('one', 'export', TO)).code).toBe(0);
    await fill('one', 'npm', { a: 'second, which is longer' });
    expect((await on('one', 'export', TO)).code).toBe(0);
    expect((await on('two', 'import', FROM, 'npm')).code).toBe(0);
    expect(await read('two', 'npm', 'a')).toBe('second, which is longer');
  });
});
