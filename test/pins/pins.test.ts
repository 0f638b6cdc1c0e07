import { describe, expect, test } from 'vitest';
import { changesOf, describeChanges, offlineRefusals, type Pin, Pins } from '../../src/pins/index.ts';
import { TsbuildError } from '../../src/util/index.ts';

const A = `sha256:${'a'.repeat(64)}` as const;
const B = `sha256:${'b'.repeat(64)}` as const;
const debian: Pin = { type: 'docker-image', ref: 'docker.io/library/debian:12', pin: A };
const page: Pin = { type: 'http', ref: 'https://a/b', pin: A, size: 1 };
const repository: Pin = { type: 'git', ref: 'https://a/b.git#main', pin: '1'.repeat(40) };

describe('pins', () => {
  test('what is known is as the lock file says, all else is asked', () => {
    const pins = new Pins([debian]);
    expect(pins.image(debian.ref)).toEqual(debian);
    expect(pins.image('docker.io/library/debian:13')).toBeUndefined();
    expect(pins.http(debian.ref), 'of another type').toBeUndefined();
    pins.record({ ...debian, ref: 'docker.io/library/debian:13' });
    expect(pins.unpinned().map(({ ref }) => ref)).toEqual(['docker.io/library/debian:13']);
  });

  test('locked, nothing else is asked for, and all that is missing is named at once', () => {
    const pins = new Pins([debian], { kind: 'locked' }, 'tsbuild.lock');
    expect(pins.image(debian.ref)).toEqual(debian);
    let first: unknown;
    for (const ask of [() => pins.image('x:1'), () => pins.http('https://x/'), () => pins.image('x:1')])
      try {
        ask();
      } catch (error) {
        first ??= error;
      }
    expect(first).toMatchObject({ code: 'TSB_LOCK', message: expect.stringContaining('image x:1') as string });
    expect(pins.explain(new TsbuildError('TSB_DOCKERFILE', 'wrapped', { cause: first }))).toMatchObject({
      code: 'TSB_LOCK',
      message: 'Cannot build with --locked: tsbuild.lock does not name\n  image x:1\n  web address https://x/',
      hint: expect.stringContaining('--update-lock') as string,
    });
    const other = new TsbuildError('TSB_STEP', 'something else');
    expect(pins.explain(other)).toBe(other);
  });

  test('an update asks for everything, and what is not used any more goes', () => {
    const pins = new Pins([debian, page], { kind: 'update' });
    expect(pins.image(debian.ref)).toBeUndefined();
    pins.record({ ...debian, pin: B });
    expect(pins.toWrite()).toEqual([{ ...debian, pin: B }]);
  });

  test.each(['debian:12', 'docker.io/library/debian:12', 'library/debian:12'])(
    'an update of %s alone leaves the others as they are',
    (name) => {
      const pins = new Pins([debian, page, repository], { kind: 'update', names: [name] });
      expect(pins.http(page.ref)).toEqual(page);
      expect(pins.image(debian.ref)).toBeUndefined();
      pins.record({ ...debian, pin: B });
      expect(new Set(pins.toWrite())).toEqual(new Set([{ ...debian, pin: B }, page, repository]));
    },
  );

  test('a repository may be named without its branch, and an unknown name is an error that lists the known ones', () => {
    const named = new Pins([repository], { kind: 'update', names: ['https://a/b.git'] });
    expect(named.git(repository.ref)).toBeUndefined();
    const unknown = new Pins([debian], { kind: 'update', names: ['debain'] });
    unknown.image(debian.ref);
    expect(() => unknown.toWrite()).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', hint: expect.stringContaining('debian:12') as string }),
    );
  });

  test('what a lock file names and nobody has any more is said with the way out', () => {
    const error = new Pins([], undefined, 'tsbuild.lock').lost(debian, new TsbuildError('TSB_NOT_FOUND', 'gone'));
    expect(error).toMatchObject({
      code: 'TSB_LOCK',
      message: expect.stringContaining(A) as string,
      hint: expect.stringContaining('--update-lock=debian:12') as string,
    });
    const network = new TsbuildError('TSB_NETWORK', 'no answer');
    expect(new Pins().lost(debian, network), 'may be there tomorrow').toBe(network);
  });
});

test('changes are shown one a line', () => {
  const changes = changesOf([debian, page], [{ ...debian, pin: B }, repository]);
  expect(describeChanges(changes)).toEqual([
    '~ docker.io/library/debian:12 aaaaaaaaaaaa -> bbbbbbbbbbbb',
    '+ https://a/b.git#main 111111111111',
    '- https://a/b aaaaaaaaaaaa',
  ]);
  expect(changesOf([debian], [debian])).toEqual([]);
});

test('offline, one failure names all that is missing', () => {
  const offline = offlineRefusals();
  const first = offline.refuse('image b:1');
  expect(offline.explain(first)).toBe(first);
  offline.refuse('image a:1');
  expect(offline.explain(first)).toMatchObject({
    code: 'TSB_NETWORK',
    message: 'Cannot build offline: the store lacks\n  image a:1\n  image b:1',
  });
});
