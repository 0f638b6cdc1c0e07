import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DETACH_KEYS, DetachWatch, parseDetachKeys } from '../../../src/cli/options/detach-keys.ts';

test('keys as docker writes them', () => {
  for (const [text, bytes] of [
    [undefined, [...DETACH_KEYS]],
    ['ctrl-p,ctrl-q', [0x10, 0x11]],
    ['ctrl-x,x', [0x18, 0x78]],
    ['a', [0x61]],
    ['ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_', [0, 27, 28, 29, 30, 31]],
    ['CTRL-A', [1]],
    ['', []],
  ] as const)
    expect([...parseDetachKeys(text)]).toEqual(bytes);
  for (const wrong of ['ctrl-', 'ctrl-1', 'ab', 'a,,b', ' ', 'ä', 'ctrl-p ,q'])
    expect(() => parseDetachKeys(wrong)).toThrow('--detach-keys');
});

test('what is typed is passed on up to the sequence, however it comes in pieces', () => {
  const key = fc.constantFrom(1, 2, 3);
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 4 }), fc.array(fc.array(key)), (keys, pieces) => {
      const watch = new DetachWatch(Uint8Array.from(keys));
      const typed = pieces.flat().join('');
      const at = typed.indexOf(keys.join(''));
      let passed = '';
      let detached = false;
      for (const piece of pieces) {
        const taken = watch.take(Uint8Array.from(piece));
        detached = taken === undefined;
        if (taken === undefined) break;
        passed += [...taken].join('');
      }
      expect(detached).toBe(at >= 0);
      // Nothing is lost or comes in another order: what has not been passed on may be the beginning of the sequence.
      expect(typed.startsWith(passed)).toBe(true);
      if (detached) return;
      expect(keys.join('').startsWith(typed.slice(passed.length))).toBe(true);
      expect(typed.length - passed.length).toBeLessThan(keys.length);
    }),
  );
});

test('without keys nothing detaches', () => {
  const watch = new DetachWatch(parseDetachKeys(''));
  expect(watch.take(DETACH_KEYS)).toEqual(Buffer.from(DETACH_KEYS));
});
