import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatLock, isRefName, parseLock, type Pin } from '../../src/pins/index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as const;
const COMMIT = '1'.repeat(40);

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'.split('')), { minLength: length, maxLength: length })
    .map((all) => all.join(''));
const digest = hex(64).map((text) => `sha256:${text}` as const);
const ref = fc.string({ minLength: 1, maxLength: 20 });
const pin: fc.Arbitrary<Pin> = fc.oneof(
  fc.record({ type: fc.constant('docker-image' as const), ref, pin: digest }),
  fc.record(
    {
      type: fc.constant('git' as const),
      ref,
      pin: hex(40),
      // Whatever git lets a branch be called.
      name: fc
        .oneof(fc.constantFrom('main', 'v1.0', 'fix#12', 'größe', 'a=b,c', 'x(1)!', '100%', "it's"), fc.string())
        .map((name) => `refs/heads/${name}`)
        .filter(isRefName),
      commit: hex(40),
    },
    { requiredKeys: ['type', 'ref', 'pin'] },
  ),
  fc.record(
    {
      type: fc.constant('http' as const),
      ref,
      pin: digest,
      size: fc.nat(),
      modified: fc.nat(),
      disposition: fc.string({ maxLength: 20 }),
    },
    { requiredKeys: ['type', 'ref', 'pin', 'size'] },
  ),
);

describe('a lock file', () => {
  test('is JSON that a review can read: one field a line, sorted by type and name', () => {
    const pins: readonly Pin[] = [
      { type: 'http', ref: 'https://a/b', pin: DIGEST, size: 3 },
      { type: 'docker-image', ref: 'docker.io/library/z:1', pin: DIGEST },
      { type: 'git', ref: 'https://a/b.git#main', pin: COMMIT, name: 'refs/heads/main' },
      { type: 'docker-image', ref: 'docker.io/library/a:1', pin: DIGEST },
    ];
    const text = formatLock({ sources: pins, network: [] });
    expect(text).toBe(formatLock({ sources: pins.toReversed(), network: [] }));
    expect(text.endsWith('}\n')).toBe(true);
    expect((JSON.parse(text) as { sources: Pin[] }).sources.map(({ ref: name }) => name)).toEqual([
      'docker.io/library/a:1',
      'docker.io/library/z:1',
      'https://a/b.git#main',
      'https://a/b',
    ]);
    expect(text).toContain(`      "ref": "docker.io/library/a:1",\n      "pin": "${DIGEST}"`);
  });

  test('says the same when it is read and written again', () => {
    fc.assert(
      fc.property(fc.uniqueArray(pin, { selector: (one) => `${one.type} ${one.ref}`, maxLength: 10 }), (pins) => {
        const text = formatLock({ sources: pins, network: [] });
        const read = parseLock(text, 'tsbuild.lock');
        const byName = (all: readonly Pin[]): Map<string, Pin> =>
          new Map(all.map((one) => [`${one.type} ${one.ref}`, one]));
        expect(byName(read.sources)).toEqual(byName(pins));
        expect(formatLock(read)).toBe(text);
      }),
    );
  });

  const image = { type: 'docker-image', ref: 'a', pin: DIGEST };
  const bad: readonly (readonly [string, string, string])[] = [
    ['no JSON', 'x', 'it is not JSON'],
    ['a merge conflict', '{\n<<<<<<< HEAD\n', 'merge conflict'],
    ['a list', '[]', 'it is not an object'],
    ['no version', '{"sources":[]}', 'its version is missing'],
    ['another version', '{"version":3,"sources":[]}', 'its version is 3'],
    ['no sources', '{"version":1}', 'not a list'],
    [
      'a file of a time after all years',
      lock([{ type: 'http', ref: 'https://a/b', pin: DIGEST, size: 1, modified: 253_402_300_800 }]),
      'entry 1',
    ],
    ['another type', lock([{ ...image, type: 'file' }]), 'entry 1'],
    ['a short digest', lock([image, { ...image, ref: 'b', pin: 'sha256:00' }]), 'entry 2'],
    ['a digest of an image for a commit', lock([{ type: 'git', ref: 'a', pin: DIGEST }]), 'entry 1'],
    ['an option as name', lock([{ type: 'git', ref: 'a', pin: COMMIT, name: '--upload-pack=x' }]), 'entry 1'],
    ['a negative size', lock([{ type: 'http', ref: 'a', pin: DIGEST, size: -1 }]), 'entry 1'],
    ['an entry twice', lock([image, image]), 'two entries for docker-image "a"'],
    ['nothing for a name', lock([{ ...image, ref: '' }]), 'entry 1'],
  ];
  test.each(bad)('with %s is refused, and how to get out is said', (_what, text, why) => {
    expect(() => parseLock(text, 'dir/tsbuild.lock')).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringContaining(why) as string,
        hint: expect.stringContaining('--update-lock') as string,
      }),
    );
    expect(() => parseLock(text, 'dir/tsbuild.lock')).toThrow('Cannot use "dir/tsbuild.lock"');
  });

  test('any text gives pins or an error for people', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((json) => `{"version":1,"sources":[${json}]}`),
        ),
        (text) => {
          try {
            parseLock(text, 'x');
          } catch (error) {
            expect(error).toMatchObject({ code: 'TSB_USAGE' });
          }
        },
      ),
    );
  });
});

function lock(sources: readonly unknown[]): string {
  return JSON.stringify({ version: 1, sources });
}
