import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { closeLock, explainRefusals, openLock } from '../../../src/engine/building/lock-file.ts';
import { type BuildRequest, emptyRequest } from '../../../src/engine/request.ts';
import type { Session } from '../../../src/engine/session.ts';
import { formatLock, offlineRefusals, type Pin, type PinPolicy, Pins } from '../../../src/pins/index.ts';
import { TsbuildError } from '../../../src/util/index.ts';
import { testTask } from '../../support/task.ts';
import { TempDir } from '../../tree/support.ts';

const debian = { type: 'docker-image', ref: 'docker.io/library/debian:12', pin: `sha256:${'a'.repeat(64)}` } as const;
const alpine = { type: 'docker-image', ref: 'docker.io/library/alpine:3', pin: `sha256:${'b'.repeat(64)}` } as const;
/** The first one by another digest. */
const moved: Pin = { type: 'docker-image', ref: debian.ref, pin: alpine.pin };

/** A session that takes pins as the real one does. */
class FakeSession {
  pins = new Pins();
  offline: ReturnType<typeof offlineRefusals> | undefined;
  refused = 0;
  readonly looked: string[] = [];
  readonly witness = { refuse: () => void this.refused++, tree: (dir: string) => void this.looked.push(dir) };
  readonly now = () => 5;

  usePins(pins: Pins): void {
    this.pins = pins;
  }
}

function open(dir: TempDir, policy: PinPolicy, named = false) {
  const fake = new FakeSession();
  const session = fake as unknown as Session;
  const request: BuildRequest = { ...emptyRequest, lock: { path: join(dir.path, 'tsbuild.lock'), named, policy } };
  return { fake, session, request, opened: openLock(session, request) };
}

describe('a lock file', () => {
  test('that is there is stood on; one that nobody named need not be', () => {
    using dir = new TempDir();
    const without = open(dir, { kind: 'use' });
    expect(without.opened).toEqual({ known: [], network: [], found: false });
    expect(without.fake.pins.image(debian.ref)).toBeUndefined();
    dir.write('tsbuild.lock', formatLock({ sources: [debian], network: [] }));
    const { fake, opened } = open(dir, { kind: 'use' });
    expect(opened).toEqual({ known: [debian], network: [], found: true });
    expect(fake.pins.image(debian.ref)).toEqual(debian);
    expect(fake.looked).toEqual([dir.path]);
    expect(fake.refused).toBe(0);
  });

  test('must be there where it was named, or where nothing else counts', () => {
    using dir = new TempDir();
    for (const run of [() => open(dir, { kind: 'use' }, true), () => open(dir, { kind: 'locked' })])
      expect(run).toThrow(
        expect.objectContaining({
          code: 'TSB_LOCK',
          message: `Cannot find the lock file ${JSON.stringify(join(dir.path, 'tsbuild.lock'))}`,
          hint: expect.stringContaining('--update-lock') as string,
        }),
      );
    expect(open(dir, { kind: 'update' }, true).opened.found).toBe(false);
  });

  test('that cannot be read as one is an error, and a link out of its directory is none', () => {
    using dir = new TempDir();
    dir.write('tsbuild.lock', 'nonsense');
    expect(() => open(dir, { kind: 'use' })).toThrow(/tsbuild\.lock/);
    using other = new TempDir();
    mkdirSync(join(other.path, 'tsbuild.lock'));
    expect(() => open(other, { kind: 'use' })).toThrow(/Cannot read .*it is not a regular file but a directory/);
    using linked = new TempDir();
    symlinkSync(join(dir.path, 'tsbuild.lock'), join(linked.path, 'tsbuild.lock'));
    expect(open(linked, { kind: 'use' }).opened.found).toBe(false);
  });

  test('that is updated is written, with what changed, and a memory of the build is no answer', () => {
    using dir = new TempDir();
    dir.write('tsbuild.lock', formatLock({ sources: [debian], network: [] }));
    const { fake, session, request, opened } = open(dir, { kind: 'update' });
    expect(fake.refused).toBe(1);
    expect(fake.pins.image(debian.ref)).toBeUndefined();
    fake.pins.record(moved);
    fake.pins.record(alpine);
    const outcome = closeLock(session, testTask(), request, opened);
    expect(outcome?.path).toBe(request.lock?.path);
    expect(outcome?.changes).toHaveLength(2);
    expect(readFileSync(outcome?.path ?? '', 'utf8')).toBe(formatLock({ sources: [moved, alpine], network: [] }));
  });

  test('that lacks something is said to, and is left as it is', () => {
    using dir = new TempDir();
    const text = formatLock({ sources: [debian], network: [] });
    dir.write('tsbuild.lock', text);
    const { fake, session, request, opened } = open(dir, { kind: 'use' });
    fake.pins.record(debian);
    fake.pins.record(alpine);
    const task = testTask();
    expect(closeLock(session, task, request, opened)).toBeUndefined();
    expect(task.seen).toEqual([
      {
        type: 'diagnostic',
        diagnostic: {
          code: 'NotLocked',
          severity: 'warning',
          message: 'tsbuild.lock does not name docker.io/library/alpine:3; --update-lock adds what is new',
          ranges: [],
        },
        at: 5,
      },
    ]);
    expect(readFileSync(request.lock?.path ?? '', 'utf8')).toBe(text);
  });

  test('that there is not is not said to lack anything, nor one that nobody looks for', () => {
    using dir = new TempDir();
    const { fake, session, request, opened } = open(dir, { kind: 'use' });
    fake.pins.record(alpine);
    const task = testTask();
    expect(closeLock(session, task, request, opened)).toBeUndefined();
    expect(closeLock(session, task, emptyRequest, opened)).toBeUndefined();
    expect(openLock(session, emptyRequest)).toEqual({ known: [], network: [], found: false });
    expect(task.seen).toEqual([]);
  });
});

test('a failure for want of several things names them all, whoever refused them', () => {
  const fake = new FakeSession();
  const session = fake as unknown as Session;
  const other = new TsbuildError('TSB_STEP', 'something else');
  expect(explainRefusals(session, other)).toBe(other);
  fake.offline = offlineRefusals();
  const first = fake.offline.refuse('image a:1');
  fake.offline.refuse('image b:1');
  expect(explainRefusals(session, first)).toMatchObject({
    code: 'TSB_NETWORK',
    message: expect.stringMatching(/\n {2}image a:1\n {2}image b:1$/) as string,
  });
  expect(explainRefusals(session, other)).toBe(other);
});
