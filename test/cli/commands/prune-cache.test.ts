import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

let dir: TempDir;
const { run, ok } = commandIn(() => dir.path, { now: Date.now });
const cache = (): string => `type=local,dest=${join(dir.path, 'cache')}`;
const files = (): number => readdirSync(join(dir.path, 'cache'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length; // oxfmt-ignore
const prune = (...words: readonly string[]) => ok('prune', '--cache', cache(), ...words);

beforeAll(async () => {
  dir = new TempDir();
  dir.write('context/Dockerfile', 'FROM scratch\nCOPY file /file\n');
  dir.write('context/file', 'content');
  await ok('build', '--progress=plain', '-o', 'type=cacheonly', '--cache-to', cache(), 'context');
  expect(files()).toBeGreaterThan(0);
});
afterAll(() => dir[Symbol.dispose]());

describe('prune --cache', () => {
  test.each([
    [[], 'Cannot prune a shared cache without knowing what may go', 'add --max-size SIZE, --keep-duration DURATION, or --all'],
    [['--filter', 'type=exec.cachemount', '--all'], 'Cannot use --filter with --cache, but for until=DURATION', 'no types'],
    // What is about the store must not look as if it had been done.
    [['--images', '--all'], 'Cannot use --images with --cache', 'without --cache'],
    [['--limits', '--all'], 'Cannot use --limits with --cache', 'without --cache'],
    [['--min-free', '1g', '--all'], 'Cannot use --min-free with --cache', 'without --cache'],
    [['--max-size', '1g', '--keep-storage', '2g'], 'Cannot use --max-size with --keep-storage', undefined],
    [['--max-size', 'lots'], 'Cannot use --max-size "lots": expected a number and a unit', undefined],
    [['--keep-storage', '-1'], 'Cannot use --keep-storage "-1": expected a number and a unit', undefined],
    [['--keep-duration', 'long'], 'Cannot use --keep-duration "long": expected for example 90s, 24h or 7d', undefined],
    [['--filter', 'until=long'], 'Cannot use --filter until=long: expected for example 90s, 24h or 7d', undefined],
  ])('%j is refused', async (words, why, hint) => {
    const before = files();
    const { code, out, err } = await run('prune', '--cache', cache(), ...words);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(`error: ${why}`);
    if (hint !== undefined) expect(err).toMatch(/^hint: /m);
    expect(err).toContain(hint ?? '');
    expect(files()).toBe(before);
  }); // oxfmt-ignore

  test('keeps what was used within the time', async () => {
    const before = files();
    expect(await prune('--keep-duration', '1h')).toMatch(/^Deleted: {2}0 objects\nLeft: {2}\S+B\n$/);
    expect(await prune('--filter', 'until=1h')).toMatch(/^Deleted: {2}0 objects\n/);
    expect(await prune('--max-size', '1g')).toMatch(/^Deleted: {2}0 objects\nLeft: {2}\S+B\n$/);
    expect(files()).toBe(before);
  });

  test('says what would go, in words and for programs, and then deletes that', async () => {
    const before = files();
    // Nobody knows yet which record will name what is young.
    const left = /\nLeft: {2}\S+B: what is younger than ten minutes stays\n$/;
    const said = await prune('--all', '--dry-run');
    expect(said).toMatch(/^Would delete: {2}[1-9]\d* objects\n/);
    expect(said).toMatch(left);
    const [report] = JSON.parse(await prune('--keep-storage', '0', '--dry-run', '--format=json')) as {
      cache: string;
      deleted: readonly string[];
      bytes: number;
    }[];
    const { deleted = [], ...more } = report ?? {};
    expect(more).toMatchObject({ cache: cache(), bytes: expect.any(Number) as number });
    expect(said).toContain(`Would delete:  ${deleted.length} objects\n`);
    expect(files()).toBe(before);
    const done = await prune('--max-size', '0');
    expect(done).toContain(`Deleted:  ${deleted.length} objects\n`);
    expect(done).toMatch(left);
    expect(files()).toBeLessThan(before);
    expect(await prune('--all')).toMatch(/^Deleted: {2}0 objects\n/);
  });

  test('of a cache that is not there has nothing to do, and makes none', async () => {
    const other = join(dir.path, 'none');
    const { code } = await run('prune', '--cache', `type=local,src=${other}`, '--all');
    expect(code).toBe(0);
    expect(existsSync(other)).toBe(false);
  });
});
