import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import fs, { type BigIntStats } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  getState,
  type HostStat,
  lookUp,
  putState,
  splitDevice,
  stateRows,
  stateSum,
  toHostStat,
} from '../../src/tree/index.ts';
import { TempDir } from './support.ts';

const SECOND = 1_000_000_000n;

test('stats of Node keep every bit', () => {
  const bits = (count: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: (1n << BigInt(count)) - 1n });
  const time = fc.bigInt({ min: -(1n << 40n) * SECOND, max: (1n << 33n) * SECOND });
  fc.assert(
    fc.property(bits(64), bits(64), bits(16), bits(53), time, time, (dev, ino, mode, size, mtimeNs, ctimeNs) => {
      const stat = { dev, ino, mode, size, mtimeNs, ctimeNs, nlink: 1n, uid: 0n } as unknown as BigIntStats;
      const got = toHostStat(stat);
      expect([BigInt(got.mode), BigInt(got.size)]).toEqual([mode, size]);
      expect((BigInt(got.inoHigh) << 32n) | BigInt(got.inoLow)).toBe(ino);
      expect([got.devMajor, got.devMinor]).toEqual(splitDevice(dev));
      expect(BigInt(got.mtimeSec) * SECOND + BigInt(got.mtimeNsec)).toBe(mtimeNs);
      expect(BigInt(got.ctimeSec) * SECOND + BigInt(got.ctimeNsec)).toBe(ctimeNs);
    }),
  );
});

test('device numbers are divided as stat(1) does', () => {
  const stats = fs.statSync('/dev/null', { bigint: true });
  const { stdout } = spawnSync('stat', ['-c', '%Hd %Ld', '/dev/null'], { encoding: 'utf8' });
  const { devMajor, devMinor } = toHostStat(stats);
  expect(`${devMajor} ${devMinor}`).toBe(stdout.trim());
});

const word = (bits: number, min = 0): fc.Arbitrary<number> => fc.integer({ min, max: 2 ** bits - 1 });
const seconds = fc.integer({ min: -(2 ** 40), max: 2 ** 40 });

const state: fc.Arbitrary<HostStat> = fc.record({
  mode: word(16, 1),
  nlink: word(10),
  uid: word(32),
  size: word(53),
  mtimeSec: seconds,
  mtimeNsec: word(29),
  ctimeSec: seconds,
  ctimeNsec: word(29),
  inoHigh: word(32),
  inoLow: word(32),
  devMajor: word(12),
  devMinor: word(20),
});

test('names are looked up as lstat(2) tells', () => {
  using dir = new TempDir();
  dir.write('f', 'text');
  dir.link('f', 'link');
  dir.link('nowhere', 'ä');
  fs.utimesSync(`${dir.path}/f`, 1, -1.5);
  const fd = fs.openSync(dir.path, fs.constants.O_RDONLY);
  try {
    const rows = lookUp(fd, ['f', 'missing', 'link', '.', 'f/below', '\u00c3\u00a4']);
    const states = ['f', 'link', '.', 'ä'].map((name) =>
      toHostStat(fs.lstatSync(`${dir.path}/${name}`, { bigint: true })),
    );
    expect([0, 2, 3, 5].map((row) => getState(rows, row))).toEqual(states);
    expect([1, 4].map((row) => getState(rows, row))).toEqual([undefined, undefined]);
    expect(lookUp(fd, [])).toHaveLength(0);
    expect(() => lookUp(fd, ['f', 'x'.repeat(300)])).toThrow(/ENAMETOOLONG/);
  } finally {
    fs.closeSync(fd);
  }
});

test('a row keeps a state', () => {
  fc.assert(
    fc.property(state, (one) => {
      const rows = stateRows(3);
      putState(rows, 1, one);
      expect([0, 1, 2].map((row) => getState(rows, row))).toEqual([undefined, one, undefined]);
    }),
  );
});

describe('the sum of states', () => {
  const sumOf = (states: readonly HostStat[]): string => {
    const rows = stateRows(states.length);
    for (const [row, one] of states.entries()) putState(rows, row, one);
    return stateSum(rows);
  };
  const room = {
    mode: 16,
    size: 53,
    mtimeSec: 40,
    mtimeNsec: 29,
    ctimeSec: 40,
    ctimeNsec: 29,
    inoHigh: 32,
    inoLow: 32,
    devMajor: 12,
    devMinor: 20,
  };
  const column = fc.constantFrom(...(Object.keys(room) as (keyof typeof room)[]));

  test('is another one when one field of one file is another, by whatever bit', () => {
    const files = fc.array(state, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(files, fc.nat(), column, fc.nat(), (all, at, name, bit) => {
        const index = at % all.length;
        const one = all[index] as HostStat;
        const changed = all.with(index, { ...one, [name]: one[name] + 2 ** (bit % room[name]) });
        fc.pre(Number.isSafeInteger(changed[index]?.size));
        expect(sumOf(changed)).not.toBe(sumOf(all));
      }),
    );
  });

  test('is another one in another order, and of fewer', () => {
    fc.assert(
      fc.property(state, state, (a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b));
        expect(new Set([[a, b], [b, a], [a], [b], []].map(sumOf)).size).toBe(5);
      }),
    );
  });

  test('is MurmurHash3 (x86_128, seed 0) of the row, number by number', () => {
    const high = 2 ** 32;
    const numbered: HostStat = {
      mode: 1,
      size: 2 + 3 * high,
      mtimeSec: 4 + 5 * high,
      mtimeNsec: 6,
      ctimeSec: 7 + 8 * high,
      ctimeNsec: 9,
      inoLow: 10,
      inoHigh: 11,
      devMajor: 12,
      devMinor: 13,
      nlink: 14,
      uid: 15,
    };
    expect(sumOf([numbered])).toBe('478323430358de6f1c56d94f35af0d65');
  });
});
