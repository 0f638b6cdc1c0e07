import { describe, expect, test } from 'vitest';
import type { TreeUsage } from '../../src/sandbox/index.ts';
import { everyone, runScenario } from '../sandbox/support/run-as.ts';

describe.each(everyone)('the worker (%s)', (who) => {
  test('measures and deletes trees whatever their owners, modes and depth', async () => {
    const { usage, refused, exists, gone } = await runScenario<{
      usage: TreeUsage[];
      refused: boolean;
      exists: boolean;
      gone: boolean;
    }>(who, 'trees');
    expect(exists).toBe(true);
    if (who === 'user') expect(refused).toBe(true);
    // a, b, c, one file with two names, a link, tmp, 200 levels (deeper ones are not counted), the root, etc
    expect(usage[0]?.inodes).toBeGreaterThan(200);
    expect(usage[0]?.bytes).toBeGreaterThan(200 * 4096);
    expect(usage[1]).toMatchObject({ path: '/does/not/exist', bytes: 0, inodes: 0 });
    expect(gone).toBe(true);
  });

  test('deleting follows no link', async () => {
    expect(await runScenario(who, 'removeLinks')).toEqual({ left: ['kept', 'false'] });
  });

  test('reads files of a stack', async () => {
    const { stats, text, names, few, none, errors } = await runScenario<{
      stats: unknown[];
      text: string;
      names: string[];
      few: string[];
      none: unknown;
      errors: string[];
    }>(who, 'stackFiles');
    expect(stats).toEqual([
      { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 4 },
      expect.objectContaining({ type: 'symlink', link: '../usr/lib/os-release' }),
      expect.objectContaining({ type: 'file' }),
      expect.objectContaining({ type: 'directory', uid: 0 }),
      null,
      null,
    ]);
    expect(text).toBe('ID=x');
    // What each is, and where links lead, in one answer.
    const directories = ['d', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp'].map((name) => `${name} directory`);
    expect(names).toEqual(['bin directory', ...directories, 'up ../../../../etc', 'usr directory']);
    expect([few, none]).toEqual([['bin'], null]);
    expect(errors).toEqual([expect.stringMatching(/larger than 3 bytes/), expect.stringMatching(/it is a directory/)]);
  });

  test('holds up steps whose output nobody takes', async () => {
    expect(await runScenario(who, 'backPressure')).toEqual({
      heldUp: true,
      total: 8_000_000,
      status: { kind: 'exited', code: 0 },
      canceled: 'TSB_CANCELED',
    });
  });

  test('takes both streams of a step on when both were held up', async () => {
    expect(await runScenario(who, 'bothStreams')).toEqual({
      bytes: [4_000_000, 4_000_000],
      status: { kind: 'exited', code: 0 },
    });
  });

  test('a consumer of output that fails ends its step with that, not the process', async () => {
    expect(await runScenario(who, 'brokenConsumer')).toEqual({
      said: 'the consumer is broken',
      after: { kind: 'exited', code: 0 },
    });
  });

  test('failures arrive as what they are', async () => {
    expect(await runScenario(who, 'failures')).toEqual({
      unknown: 'TSB_INTERNAL',
      step: { code: 'TSB_STEP', error: expect.stringMatching(/user "nobody-here" is not in the image/) },
      ended: 'TSB_SANDBOX',
      later: 'TSB_SANDBOX',
      again: 'done',
    });
  });

  test('prepares a layer directory like the one beneath', async () => {
    expect(await runScenario(who, 'prepared')).toEqual({ mode: 0o1751, mtime: 1_234_567, uid: 0, again: true });
  });

  test('merges layers beyond a depth so that nothing hidden comes up again', async () => {
    const { runs, hidden, inFiles, error } = await runScenario<
      Record<'runs' | 'hidden' | 'inFiles', number> & { error: string }
    >(who, 'deepStacks');
    expect(runs).toBe(60);
    // Stacks whose middle hides nothing would prove nothing.
    expect(hidden).toBeGreaterThan(20);
    expect(inFiles).toBeGreaterThan(20);
    expect(error).toBe('Cannot mount 21297 layers: they are too many');
  });

  test('mounts stacks where only its namespace sees them', async () => {
    expect(await runScenario(who, 'mounts')).toEqual({
      hidden: ['58', '59'],
      unmounted: ['58', '59'],
      one: ['own', 'same', 'EROFS'],
      none: 0,
      all: ['59', 'written'],
      again: ['new', 'same'],
      open: 1,
      left: [],
      outside: [],
      written: ['new', 'own'],
      work: [],
    });
  });
});
