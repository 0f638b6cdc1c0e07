import { getEventListeners } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { changed, waitHealthy } from '../../../src/cli/containers/wait-healthy.ts';
import type { Container } from '../../../src/containers/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-changed-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const FOREVER = 2 ** 30;

describe('waiting for a change in a directory', () => {
  test('ends when a file is made, written or taken away', async () => {
    const path = join(dir, 'state');
    for (const act of [() => writeFileSync(path, 'a'), () => writeFileSync(path, 'b'), () => rmSync(path)]) {
      const waiting = changed(dir, FOREVER);
      act();
      await waiting;
    }
  });

  test('ends when its time is over, also where there is nothing to watch', async () => {
    await changed(dir, 1);
    await changed(join(dir, 'none'), 1);
    await changed(dir, -5);
  });

  test('ends when nobody wants to know any more, and leaves nothing behind at the signal', async () => {
    const stop = new AbortController();
    const { signal } = stop;
    for (let times = 0; times < 20; times++) await changed(dir, 1, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const waiting = changed(dir, FOREVER, signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    stop.abort();
    await waiting;
    await changed(dir, FOREVER, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('waiting until a container is healthy', () => {
  const container = (health: object | undefined): Container =>
    ({ directory: dir, name: 'web', record: health === undefined ? {} : { health } }) as unknown as Container;
  // As supervisors do it: nobody reads half of one.
  const state = (more: object): void => {
    writeFileSync(join(dir, 'new'), JSON.stringify({ status: 'running', exitCode: 0, ...more }));
    renameSync(join(dir, 'new'), join(dir, 'state.json'));
  };

  test('is over at once for one without a check', async () => {
    await waitHealthy(fakeContext(), container(undefined), undefined);
  });

  test('is over when it is', async () => {
    state({ health: 'starting' });
    const waiting = waitHealthy(fakeContext(), container({}), undefined);
    state({ health: 'healthy' });
    await waiting;
  });

  test.each([
    [{ health: 'unhealthy' }, 'TSB_STEP', 'Container web is unhealthy'],
    [{ status: 'exited', exitCode: 3 }, 'TSB_STEP', 'Container web ended with 3 before it was healthy'],
  ])('fails when it is %j', async (now, code, message) => {
    state(now);
    await expect(waitHealthy(fakeContext(), container({}), undefined)).rejects.toThrow(
      expect.objectContaining({ code, message, hint: expect.stringContaining('tsbuild logs web') as string }),
    );
  });

  test('takes no longer than was said', async () => {
    state({ health: 'starting' });
    let now = 0;
    const context = fakeContext({ now: () => (now += 400) });
    await expect(waitHealthy(context, container({}), '1s')).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_TIMEOUT', message: 'Container web was not healthy in time' }),
    );
    await expect(waitHealthy(context, container({}), 'soon')).rejects.toThrow(/soon/);
  });
});
