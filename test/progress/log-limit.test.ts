import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LogLimit } from '../../src/progress/log-limit.ts';
import { sha256 } from '../../src/util/index.ts';

const vertex = sha256('step');
const KIB = 1024;
const take = (limit: LogLimit, data: Uint8Array | string, at: number): string =>
  Buffer.from(limit.take({ type: 'log', vertex, stream: 1, data: Buffer.from(data), at })).toString('latin1');
const bySpeed = '\n[output clipped, log limit 1KiB/s reached]\n';
const bySize = '\n[output clipped, log limit 3KiB reached]\n';

describe('limits of a log', () => {
  test('a step that goes over the speed, recovers, and then over the size is told each once', () => {
    const limit = new LogLimit(0, 3 * KIB, KIB);
    expect(take(limit, 'a'.repeat(1500), 500)).toBe('a'.repeat(KIB) + bySpeed);
    expect(take(limit, 'b'.repeat(100), 900)).toBe('');
    expect(take(limit, 'c'.repeat(100), 1500)).toBe('c'.repeat(100));
    expect(take(limit, 'd'.repeat(2000), 9000)).toBe('d'.repeat(3 * KIB - 1700) + bySize);
    expect(take(limit, 'e'.repeat(2000), 99_000)).toBe('');
    expect(limit.rest()).toHaveLength(476 + 100 + 628 + 2000);
  });

  test('an empty piece does not begin a new time of clipping', () => {
    const limit = new LogLimit(0, 3 * KIB, -1);
    expect(take(limit, 'a'.repeat(3 * KIB), 1)).toBe('a'.repeat(3 * KIB));
    expect(take(limit, 'b', 2)).toBe(bySize);
    expect([take(limit, '', 3), take(limit, 'c', 4), take(limit, '', 5), take(limit, 'd', 6)].join('')).toBe('');
    const slow = new LogLimit(0, -1, KIB);
    expect(take(slow, 'a'.repeat(KIB), 1)).toBe('a'.repeat(KIB));
    expect(take(slow, 'b', 2)).toBe(bySpeed);
    expect([take(slow, '', 3), take(slow, 'c', 4)].join('')).toBe('');
  });

  test('what is shown stays within the limits; of the rest, the end is kept', () => {
    const pieces = fc.array(fc.tuple(fc.nat(3000), fc.nat(700)), { maxLength: 30 });
    fc.assert(
      fc.property(pieces, (all) => {
        const limit = new LogLimit(0, 20 * KIB, 2 * KIB);
        let [at, shown] = [0, 0];
        const written: Buffer[] = [];
        for (const [length, pause] of all) {
          at += pause;
          const data = Buffer.from(Array.from({ length }, (_, index) => 97 + ((index + at) % 26)));
          written.push(data);
          shown += take(limit, data, at).replace(/\n\[output clipped, log limit \S+ reached\]\n$/, '').length;
          expect(shown).toBeLessThanOrEqual(Math.min(20 * KIB, Math.max(1, Math.ceil(at / 1000)) * 2 * KIB));
        }
        const rest = limit.rest();
        expect(shown + rest.length).toBe(Buffer.concat(written).length);
        if (rest.length > 0) expect(limit.rest()).toHaveLength(0);
      }),
    );
  });

  test('of a flood, the last 256 KiB are kept', () => {
    const limit = new LogLimit(0, 0, -1);
    for (let piece = 0; piece < 100; piece++) take(limit, Buffer.alloc(10_000, piece), piece);
    const rest = limit.rest();
    expect(rest).toHaveLength(256 * KIB);
    expect([rest[0], rest.at(-1)]).toEqual([73, 99]);
  });
});
