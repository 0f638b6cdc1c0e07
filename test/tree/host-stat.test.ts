import { spawnSync } from 'node:child_process';
import * as fc from 'fast-check';
import fs, { type BigIntStats } from 'node:fs';
import { expect, test } from 'vitest';
import { toBigInts, toHostStat } from '../../src/tree/index.ts';

const SECOND = 1_000_000_000n;

test('stats of Node keep every bit', () => {
  const bits = (count: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: (1n << BigInt(count)) - 1n });
  const time = fc.bigInt({ min: -(1n << 40n) * SECOND, max: (1n << 33n) * SECOND });
  fc.assert(
    fc.property(bits(64), bits(64), bits(16), bits(53), time, time, (dev, ino, mode, size, mtimeNs, ctimeNs) => {
      const stat = { dev, ino, mode, size, mtimeNs, ctimeNs, nlink: 1n, uid: 0n } as unknown as BigIntStats;
      expect(toBigInts(toHostStat(stat))).toEqual([dev, ino, mode, size, mtimeNs, ctimeNs]);
    }),
  );
});

test('device numbers are divided as stat(1) does', () => {
  const stats = fs.statSync('/dev/null', { bigint: true });
  const { stdout } = spawnSync('stat', ['-c', '%Hd %Ld', '/dev/null'], { encoding: 'utf8' });
  const { devMajor, devMinor } = toHostStat(stats);
  expect(`${devMajor} ${devMinor}`).toBe(stdout.trim());
});
