import { watch } from 'node:fs';
import { type Container, isLive, readState } from '../../containers/index.ts';
import { parseDuration, TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { named } from '../options/named.ts';

/** ms; what the notice of the kernel may have missed is seen by then. */
const LOOK = 250;

/**
 * Waits until a container is healthy, or without a check runs.
 * @param limit `--wait-timeout`: no longer than that
 * @throws TsbuildError `TSB_STEP` when it ends or is unhealthy first, `TSB_TIMEOUT`
 */
export async function waitHealthy({ now }: CliContext, container: Container, limit: string | undefined): Promise<void> {
  const { directory, name, record } = container;
  if (record.health === undefined) return;
  const most = named('--wait-timeout', limit, parseDuration);
  const end = most === undefined ? Number.POSITIVE_INFINITY : now() + most;
  for (;;) {
    const state = readState(directory);
    if (state.health === 'healthy') return;
    if (!isLive(state))
      throw new TsbuildError('TSB_STEP', `Container ${name} ended with ${state.exitCode} before it was healthy`, {
        hint: `see "tsbuild logs ${name}"`,
      });
    if (state.health === 'unhealthy')
      throw new TsbuildError('TSB_STEP', `Container ${name} is unhealthy`, {
        hint: `see "tsbuild logs ${name}", and "tsbuild inspect ${name}" for what its check says`,
      });
    if (now() >= end)
      throw new TsbuildError('TSB_TIMEOUT', `Container ${name} was not healthy in time`, {
        hint: `it goes on: see "tsbuild logs ${name}", or stop it with "tsbuild stop ${name}"`,
      });
    await changed(directory, Math.min(LOOK, end - now()));
  }
}

/**
 * Resolves when something in a directory has changed, after a time, or when the signal is aborted, at which it leaves nothing: whoever follows
 * a log does this for days.
 */
export function changed(directory: string, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      watcher?.close();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, signal?.aborted === true ? 0 : Math.max(1, ms));
    let watcher: ReturnType<typeof watch> | undefined;
    signal?.addEventListener('abort', done);
    try {
      watcher = watch(directory, done);
      watcher.on('error', done);
    } catch {
      // No more watches on this machine, or the directory has gone: then the time passes.
    }
  });
}
