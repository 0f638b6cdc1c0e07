import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ContainerState, isLive, isSupervised } from '../../src/containers/index.ts';
import { checkName, generateName } from '../../src/containers/names.ts';
import { readState, writeLost } from '../../src/containers/state.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
beforeEach(() => void (dir = new TempDir()));
afterEach(() => dir[Symbol.dispose]());

const RUNNING: ContainerState = {
  status: 'running',
  pid: 4711,
  exitCode: 0,
  restarts: 2,
  started: '2026-01-01T00:00:00Z',
  finished: '',
};

describe('a container whose supervisor was killed', () => {
  // 137 is 128 + SIGKILL, which is how all of it has ended.
  test('has ended with 137, when that was found out, and for everybody who looks later', () => {
    const lost = writeLost(dir.path, RUNNING, new Date('2026-01-02T03:04:05.678Z'));
    expect(lost).toMatchObject({
      status: 'exited',
      pid: 0,
      exitCode: 137,
      lost: true,
      restarts: 2,
      started: RUNNING.started,
    });
    expect(Date.parse(lost.finished)).toBe(Date.parse('2026-01-02T03:04:05.678Z'));
    expect(readState(dir.path)).toEqual(lost);
    expect(isLive(lost)).toBe(false);
    expect(readdirSync(dir.path)).toEqual(['state.json']);
  });

  test('has nobody who listens', async () => expect(await isSupervised({ directory: dir.path })).toBe(false));

  test('is not said to have failed to start because it did so before', () => {
    writeLost(dir.path, { ...RUNNING, failure: { errno: 2, stage: 'exec', text: '/none' } }, new Date(0));
    expect(readState(dir.path)).not.toHaveProperty('failure');
    expect(readFileSync(join(dir.path, 'state.json'), 'utf8')).not.toContain('/none');
  });
});

test('why a program was not executed is read from what the supervisor wrote', () => {
  const written = { ...RUNNING, status: 'exited', exitCode: 127, errno: 2, stage: 'exec', text: '/none' };
  writeFileSync(join(dir.path, 'state.json'), JSON.stringify(written));
  expect(readState(dir.path).failure).toEqual({ errno: 2, stage: 'exec', text: '/none' });
});

test.each<[ContainerState['status'], boolean]>([
  ['created', false],
  ['running', true],
  ['paused', true],
  ['restarting', true],
  ['exited', false],
])('%s is live: %s', (status, live) => expect(isLive({ ...RUNNING, status })).toBe(live));

describe('the name of a container', () => {
  // Docker: [a-zA-Z0-9][a-zA-Z0-9_.-]+
  test.each(['ab', 'web-1', 'A.b_c', '00', `a${'b'.repeat(127)}`])('can be %j', (name) => {
    expect(checkName(name)).toBe(name);
  });
  test.each(['', 'a', '-web', '.web', '_web', 'we b', 'web/1', 'web:1', 'wéb', 'web\n', '../x', `a${'b'.repeat(128)}`])(
    'cannot be %j',
    (name) => {
      expect(() => checkName(name)).toThrow(`Cannot name a container ${JSON.stringify(name)}`);
    },
  );
  test('that is made up is one, and seldom the same', () => {
    const names = new Set(Array.from({ length: 200 }, generateName));
    for (const name of names) expect(checkName(name)).toMatch(/^[a-z]+_[a-z]+$/);
    expect(names.size).toBeGreaterThan(100);
  });
}); // oxfmt-ignore
