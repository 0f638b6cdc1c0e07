import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changesOf, describeChanges, type Pin } from '../../src/pins/index.ts';
import { lockedRefusals } from '../../src/pins/refusals.ts';
import { sha256, TsbuildError } from '../../src/util/index.ts';

const digest = fc.nat(3).map((seed) => sha256(String(seed)));
const commit = fc.nat(3).map((seed) => sha256(String(seed)).slice(7, 47));
const ref = fc.constantFrom('a', 'b', 'c');
const pin: fc.Arbitrary<Pin> = fc.oneof(
  fc.record({ type: fc.constant('docker-image' as const), ref, pin: digest }),
  fc.record({ type: fc.constant('git' as const), ref, pin: commit }),
  fc.record({ type: fc.constant('http' as const), ref, pin: digest, size: fc.nat(9) }),
);
const pins = fc.uniqueArray(pin, { selector: ({ type, ref: name }) => `${type} ${name}`, maxLength: 9 });

describe('what a lock file says otherwise than the one before', () => {
  test('is told by type and name, and leads from one to the other (property)', () => {
    fc.assert(
      fc.property(pins, pins, (before, after) => {
        const changes = changesOf(before, after);
        const names = changes.map(({ type, ref: name }) => `${type} ${name}`);
        expect(names).toEqual([...new Set(names)].toSorted());
        const state = new Map(before.map((one) => [`${one.type} ${one.ref}`, one.pin]));
        for (const [at, { before: was, after: is }] of changes.entries()) {
          const name = names[at] ?? '';
          expect(state.get(name)).toBe(was);
          if (is === undefined) state.delete(name);
          else state.set(name, is);
        }
        expect(state).toEqual(new Map(after.map((one) => [`${one.type} ${one.ref}`, one.pin])));
        // Back it is the same, the other way round.
        const back = changesOf(after, before).map(({ before: was, after: is }) => [is, was]);
        expect(back).toEqual(changes.map(({ before: was, after: is }) => [was, is]));
      }),
    );
  });

  test('is shown with twelve digits of what is pinned, a commit as a digest', () => {
    const image: Pin = { type: 'docker-image', ref: 'docker.io/library/a:1', pin: sha256('a') };
    const git: Pin = { type: 'git', ref: 'https://h/r.git#main', pin: 'c'.repeat(40) };
    expect(describeChanges(changesOf([git], [image]))).toEqual([
      `+ docker.io/library/a:1 ${sha256('a').slice(7, 19)}`,
      `- https://h/r.git#main ${'c'.repeat(12)}`,
    ]);
  });
});

describe('refusals of a build', () => {
  test('are one failure that names each once, in order, whichever of them ended it', () => {
    const refusals = lockedRefusals('my.lock');
    const errors = ['image b:1', 'image a:1', 'image b:1'].map((what) => refusals.refuse(what));
    expect(errors[0]?.message).toBe('Cannot use image b:1: my.lock does not name it, and --locked takes nothing else');
    for (const error of errors)
      expect(refusals.explain(new Error('outer', { cause: error }))).toMatchObject({
        code: 'TSB_LOCK',
        message: 'Cannot build with --locked: my.lock does not name\n  image a:1\n  image b:1',
        cause: expect.objectContaining({ message: 'outer' }) as Error,
      });
  });

  test('are not the reason of a failure that none of them caused, nor of one of another build', () => {
    const refusals = lockedRefusals('my.lock');
    for (const what of ['a', 'b']) refusals.refuse(what);
    const others = lockedRefusals('my.lock').refuse('a');
    for (const failure of [others, new TsbuildError('TSB_LOCK', 'my.lock is damaged'), 'a text', undefined])
      expect(refusals.explain(failure)).toBe(failure);
  });

  test('of one thing are that error itself, with all that it was wrapped in', () => {
    const refusals = lockedRefusals('my.lock');
    const [first] = [refusals.refuse('a'), refusals.refuse('a')];
    const wrapped = new TsbuildError('TSB_DOCKERFILE', 'Dockerfile:3', { cause: first });
    expect(refusals.explain(wrapped)).toBe(wrapped);
  });
});
