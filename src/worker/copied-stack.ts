import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { AT_FDCWD, fchownat } from '../sys/index.ts';
import { makeDirectory, TsbuildError } from '../util/index.ts';
import type { WorkerConfig } from './protocol.ts';
import type { MountedStack, Upper } from './mounted-stack.ts';
import { newTreeDirectory } from './trees.ts';

/**
 * What `mountStack` gives, where nothing can be mounted: a copy of the layers. What was changed in it is written to `upper` when it is
 * disposed of.
 * @throws TsbuildError `TSB_STORE`
 */
export function copiedStack(config: WorkerConfig, layers: readonly string[], upper?: Upper): MountedStack {
  const own = newTreeDirectory(config.treesDir);
  const [path, state] = [`${own}/root`, `${own}/state`];
  const { idShift } = config.plan;
  makeDirectory(path, 0o755);
  fchownat(AT_FDCWD, path, idShift, idShift);
  runHelper(config, ['assemble', path, state], layers.map((layer) => `${layer}\0`).join(''));
  return {
    path,
    [Symbol.dispose](): void {
      if (upper) runHelper(config, ['capture', path, state, upper.fs], '');
      rmSync(own, { recursive: true, force: true });
    },
  };
}

/** Waits for it: whoever mounts a stack waits, too, and is in the middle of something. */
function runHelper({ helperPath }: WorkerConfig, args: readonly string[], input: string): void {
  const { status, stderr, error } = spawnSync(helperPath, args, { env: {}, input, encoding: 'utf8' });
  if (status === 0) return;
  const said = error?.message ?? stderr.trim();
  throw new TsbuildError('TSB_STORE', `Cannot copy layers: ${said === '' ? `exit code ${status}` : said}`);
}
