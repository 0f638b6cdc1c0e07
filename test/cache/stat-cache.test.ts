import * as fc from 'fast-check';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { StatCache } from '../../src/cache/index.ts';
import { type StatIdentity, toHostStat } from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { openStore, tempRoot } from '../store/support.ts';
import { processorTime } from '../support/processor-time.ts';

const OPENED_MS = 1_700_000_000_000;

/** Seconds and nanoseconds of a time in ms. */
const time = (name: 'mtime' | 'ctime', ms: number, nanoseconds = 0): Partial<StatIdentity> => ({
  [`${name}Sec`]: Math.floor(ms / 1000),
  [`${name}Nsec`]: (ms - Math.floor(ms / 1000) * 1000) * 1e6 + nanoseconds,
});

const stat = (more: Partial<StatIdentity> = {}): StatIdentity => ({
  devMajor: 8,
  devMinor: 1,
  inoHigh: 2,
  inoLow: 3_755_744_309,
  size: 1234,
  mode: 0o100644,
  mtimeSec: OPENED_MS / 1000 - 60,
  mtimeNsec: 123_456_789,
  ctimeSec: OPENED_MS / 1000 - 50,
  ctimeNsec: 987_654_321,
  ...more,
});

function newFile(): string {
  const root = tempRoot();
  fs.mkdirSync(root);
  return join(root, 'cache');
}

const open = (file: string): StatCache => new StatCache(file, OPENED_MS);

describe('the stat cache', () => {
  test('remembers digests from one build to the next', () => {
    const file = newFile();
    const first = open(file);
    expect(first.get('a', stat())).toBeUndefined();
    first.put('a', stat(), sha256('a'));
    first.put('dir/ü€', stat({ inoLow: 2 }), sha256('b'));
    expect(first.get('a', stat())).toBe(sha256('a'));
    first.save();
    const second = open(file);
    expect(second.get('dir/ü€', stat({ inoLow: 2 }))).toBe(sha256('b'));
    expect(second.get('a', stat())).toBe(sha256('a'));
    expect(second.get('b', stat())).toBeUndefined();
  });

  test.each([
    ['dev', { devMajor: 1 }],
    ['dev, minor', { devMinor: 2 }],
    ['ino', { inoLow: 1 }],
    ['ino, high half', { inoHigh: 1 }],
    ['size', { size: 1 }],
    ['mode', { mode: 0o100755 }],
    ['mtime', { mtimeNsec: stat().mtimeNsec + 1 }],
    ['mtime, seconds', { mtimeSec: stat().mtimeSec - 1 }],
    ['ctime', { ctimeNsec: stat().ctimeNsec - 1 }],
    ['ctime, seconds', { ctimeSec: stat().ctimeSec + 1 }],
  ])('a change of %s alone is a miss', (_name, change) => {
    const file = newFile();
    const first = open(file);
    first.put('a', stat(), sha256('a'));
    expect(first.get('a', stat(change))).toBeUndefined();
    first.save();
    expect(open(file).get('a', stat(change))).toBeUndefined();
  });

  test.each([
    ['changed 1 s before', -1000, true],
    ['changed 30 ms before', -30, true],
    ['changed 10 ms before', -10, false],
    ['changed while the build runs', 5, false],
    ['from the future', 1e9, false],
  ])('a file %s is remembered: %s %s', (_name, ms, remembered) => {
    for (const which of ['mtime', 'ctime'] as const) {
      const cache = open(newFile());
      const recent = stat(time(which, OPENED_MS + ms, 1));
      cache.put('a', recent, sha256('a'));
      expect(cache.get('a', recent) !== undefined).toBe(remembered);
    }
  });

  test('where stamps have whole seconds only, two seconds must have passed', () => {
    const cache = open(newFile());
    const coarse = (seconds: number): StatIdentity =>
      stat({ ...time('mtime', OPENED_MS - 9000), ...time('ctime', OPENED_MS - seconds * 1000) });
    cache.put('a', coarse(2), sha256('a'));
    cache.put('b', coarse(3), sha256('b'));
    expect(cache.get('a', coarse(2))).toBeUndefined();
    expect(cache.get('b', coarse(3))).toBe(sha256('b'));
  });

  test('times before 1970 and names with NUL are not remembered', () => {
    const cache = open(newFile());
    cache.put('a', stat(time('mtime', -1)), sha256('a'));
    cache.put('a\0b', stat(), sha256('a'));
    cache.save();
    expect(cache.get('a', stat(time('mtime', -1)))).toBeUndefined();
    expect(cache.get('a\0b', stat())).toBeUndefined();
  });

  test('a real file: rewritten with the same size and its mtime put back, it is a miss', () => {
    const file = newFile();
    const path = `${file}.source`;
    fs.writeFileSync(path, 'one');
    fs.utimesSync(path, 1e9, 1e9);
    const later = Date.now() + 60_000;
    const first = new StatCache(file, later);
    const lstat = (): StatIdentity => toHostStat(fs.lstatSync(path, { bigint: true }));
    first.put('f', lstat(), sha256('one'));
    first.save();
    expect(new StatCache(file, later).get('f', lstat())).toBe(sha256('one'));
    fs.writeFileSync(path, 'two');
    fs.utimesSync(path, 1e9, 1e9);
    expect(new StatCache(file, later).get('f', lstat())).toBeUndefined();
  });

  test('contexts do not share entries, and the directory is the store’s', () => {
    using opened = openStore();
    const cache = StatCache.open(opened.store, '/src/a');
    cache.put('f', stat(), sha256('a'));
    cache.save();
    expect(StatCache.open(opened.store, '/src/b').get('f', stat())).toBeUndefined();
    expect(StatCache.open(opened.store, '/src/a').get('f', stat())).toBe(sha256('a'));
    expect(fs.readdirSync(join(opened.root, 'statcache'))).toHaveLength(1);
  });

  test('entries that this build did not ask for are kept, changed ones replaced', () => {
    const file = newFile();
    const first = open(file);
    for (const name of ['a', 'b', 'c']) first.put(name, stat(), sha256(name));
    first.save();
    const second = open(file);
    second.get('c', stat());
    second.put('b', stat({ size: 2 }), sha256('b2'));
    second.put('d', stat(), sha256('d'));
    second.save();
    const third = open(file);
    expect(['a', 'b', 'c', 'd'].map((name) => third.get(name, name === 'b' ? stat({ size: 2 }) : stat()))).toEqual(
      ['a', 'b2', 'c', 'd'].map((name) => sha256(name)),
    );
  });

  test('nothing is written when nothing was added', () => {
    const file = newFile();
    open(file).save();
    expect(fs.existsSync(file)).toBe(false);
  });

  test('a file that cannot be written is no error', () => {
    const cache = open('/proc/nothing/here');
    cache.put('a', stat(), sha256('a'));
    cache.save();
    expect(cache.get('a', stat())).toBe(sha256('a'));
  });

  test('a damaged file is an empty cache, whatever the damage', () => {
    const file = newFile();
    const first = open(file);
    for (let number = 0; number < 20; number++) first.put(`file ${number}`, stat(), sha256(String(number)));
    first.save();
    const good = fs.readFileSync(file);
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat(good.length * 8 - 1).map((bit) => {
            const bytes = Buffer.from(good);
            bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
            return bytes;
          }),
          fc.nat(good.length - 1).map((length) => good.subarray(0, length)),
          fc.uint8Array({ maxLength: 100 }).map((tail) => Buffer.concat([good, tail, Buffer.of(0)])),
          fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          fs.writeFileSync(file, bytes);
          expect(open(file).get('file 3', stat())).toBeUndefined();
        },
      ),
      { numRuns: 200 },
    );
  });

  test('any entries come back, asked for in any order', () => {
    const file = newFile();
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0'));
    const bits = fc.nat(0xffff_ffff);
    const numbers = fc.record({
      devMajor: bits,
      devMinor: bits,
      inoHigh: bits,
      inoLow: bits,
      size: fc.maxSafeNat(),
      mode: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(fc.dictionary(name, numbers, { maxKeys: 12 }), fc.infiniteStream(fc.nat()), (entries, random) => {
        fs.rmSync(file, { force: true });
        const first = open(file);
        for (const [path, more] of Object.entries(entries)) first.put(path, stat(more), sha256(path));
        first.save();
        const second = open(file);
        const shuffled = Object.entries(entries)
          .map((entry) => ({ entry, rank: random.next().value as number }))
          .sort((a, b) => a.rank - b.rank);
        for (const { entry } of shuffled) expect(second.get(entry[0], stat(entry[1]))).toBe(sha256(entry[0]));
      }),
      { numRuns: 100 },
    );
  });

  test.each([
    [2_000, 3],
    [20_000, 25],
  ])('%i entries are loaded in about %i ms', async (count, limit) => {
    const file = newFile();
    const names = Array.from({ length: count }, (_, number) => `packages/module-${number % 200}/src/file-${number}.ts`);
    const first = open(file);
    for (const [number, path] of names.entries()) first.put(path, stat({ inoLow: number }), sha256(path));
    first.save();
    const times: number[] = [];
    for (let round = 0; round < 10; round++) {
      let cache = first;
      times.push(await processorTime(() => (cache = open(file))));
      expect(cache.get(names[count - 1] ?? '', stat({ inoLow: count - 1 }))).toBe(sha256(names[count - 1] ?? ''));
    }
    // Of the processor, and a multiple of the target: other tests run beside this one, and the machine may be a slow one.
    expect(Math.min(...times)).toBeLessThan(limit * 5);
    const all = open(file);
    const found = names.filter((path, number) => all.get(path, stat({ inoLow: number })) === sha256(path));
    expect(found).toHaveLength(count);
  });
});
