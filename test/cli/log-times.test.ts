import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { parseTime } from '../../src/cli/options/time-option.ts';
import { changed, waitHealthy } from '../../src/cli/containers/wait-healthy.ts';
import type { Container } from '../../src/containers/index.ts';
import { fakeContext } from '../fakes/cli-context.ts';

const NOW = Date.UTC(2026, 0, 31, 12);

describe('times of --since and --until', () => {
  test.each([
    ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000000000Z'],
    ['2026-01-31', '2026-01-31T00:00:00.000000000Z'],
    ['2026-01-31T14:00:00.5+02:00', '2026-01-31T12:00:00.500000000Z'],
    // Lines of one program are microseconds apart, which a Date cannot tell.
    ['2026-01-31T12:00:00.123456789Z', '2026-01-31T12:00:00.123456789Z'],
    ['1769860800', '2026-01-31T12:00:00.000000000Z'],
    ['1769860800.25', '2026-01-31T12:00:00.250000000Z'],
    ['10m', '2026-01-31T11:50:00.000000000Z'],
    ['0s', '2026-01-31T12:00:00.000000000Z'],
  ])('%s', (text, time) => {
    expect(parseTime('--since', text, NOW)).toBe(time);
  });

  test.each(['', 'yesterday', '2026-13-40', '17698608', '1769860800.', '999999999999h'])('%j is none', (text) => {
    expect(() => parseTime('--since', text, NOW)).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: `Cannot use --since ${JSON.stringify(text)}` }),
    );
  });
});

describe('waiting for a container', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-wait-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const container = { directory: dir, name: 'web', record: { health: {} } } as unknown as Container;
  const say = (state: object): void =>
    writeFileSync(join(dir, 'state.json'), JSON.stringify({ status: 'running', pid: 1, exitCode: 0, restarts: 0, started: '', finished: '', ...state })); // oxfmt-ignore

  test('ends when it is healthy, whoever writes that meanwhile', async () => {
    say({ health: 'starting' });
    const waiting = waitHealthy(fakeContext(), container, undefined);
    say({ health: 'healthy' });
    await waiting;
  });

  test('is over at once where there is no check', async () => {
    await waitHealthy(fakeContext(), { ...container, record: {} } as Container, undefined);
  });

  test.each([
    [{ health: 'unhealthy' }, 'TSB_STEP', 'Container web is unhealthy'],
    [{ status: 'exited', exitCode: 3 }, 'TSB_STEP', 'Container web ended with 3 before it was healthy'],
  ])('fails for %j, and says where to look', async (state, code, message) => {
    say(state);
    await expect(waitHealthy(fakeContext(), container, undefined)).rejects.toMatchObject({
      code,
      message,
      hint: expect.stringContaining('tsbuild logs web') as string,
    });
  });

  test('has an end by --wait-timeout', async () => {
    say({ health: 'starting' });
    const now = vi.fn().mockReturnValueOnce(0).mockReturnValue(60_000);
    await expect(waitHealthy(fakeContext({ now }), container, '1m')).rejects.toMatchObject({ code: 'TSB_TIMEOUT' });
  });

  test('a directory that has gone is waited for no longer than the time', async () => {
    await changed(join(dir, 'gone'), 1);
    await changed(dir, Number.NEGATIVE_INFINITY);
  });
});
