import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FileBatch, openFileBatch } from '../../src/sys/index.ts';
import { LightHash, lightRandomHex, type LightCrypto, useLightCrypto } from '../../src/util/light-crypto.ts';

const calls = openFileBatch() as FileBatch & LightCrypto;

describe('SHA-256 without node:crypto', () => {
  test('is that of node:crypto, whatever the pieces', () => {
    const piece = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 100 }));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const light = new LightHash(calls);
        const heavy = createHash('sha256');
        for (const one of pieces) {
          light.update(one);
          heavy.update(one);
        }
        expect(light.digest()).toBe(heavy.digest('hex'));
      }),
    );
  });

  test('of many bytes, of which each piece is another part of the same memory', () => {
    const bytes = Buffer.alloc(3_000_001, 'some text');
    const light = new LightHash(calls);
    for (let at = 0; at < bytes.length; at += 1 << 20) light.update(bytes.subarray(at, at + (1 << 20)));
    expect(light.digest()).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('nothing is added after the digest', () => {
    const hash = new LightHash(calls).update('a');
    hash.digest();
    expect(() => hash.update('b')).toThrow('already');
    expect(() => hash.digest()).toThrow('already');
  });

  test('it is not used where it is missing or wrong', () => {
    expect(useLightCrypto({ random: () => 0 } as unknown as LightCrypto)).toBe(false);
    expect(useLightCrypto({ ...calls, hashFinal: () => 0 })).toBe(false);
    expect(() => new LightHash({ ...calls, hashUpdate: () => 5 }).update('a')).toThrow('SHA-256 fails (5)');
    expect(useLightCrypto(calls)).toBe(true);
  });

  test('states and digests of another size are refused', () => {
    expect(() => calls.hashInit(new Uint8Array(112))).toThrow('Not the arguments');
    expect(() => calls.hashFinal(new Uint8Array(256), new Uint8Array(31))).toThrow('Not the arguments');
    expect(() => calls.hashUpdate(new Uint8Array(256), 'text' as unknown as Uint8Array)).toThrow('Not the arguments');
  });
});

test('random bytes are of the length asked for, and others each time', () => {
  const drawn = Array.from({ length: 50 }, () => lightRandomHex(calls, 16));
  for (const hex of drawn) expect(hex).toMatch(/^[0-9a-f]{32}$/);
  expect(new Set(drawn).size).toBe(50);
  expect(lightRandomHex(calls, 257)).toBeUndefined();
  expect(() => calls.random(new Uint8Array(257))).toThrow('Not the arguments');
});
