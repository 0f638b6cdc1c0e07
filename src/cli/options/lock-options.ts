import { join, resolve } from 'node:path';
import type { BuildRequest } from '../../engine/index.ts';
import { TsbuildError } from '../../util/index.ts';

/** What decides about the lock file. */
export interface LockOptions {
  readonly locked?: boolean;
  readonly updateLock?: boolean;
  /** `--update-lock=NAME`. */
  readonly updateLockName?: readonly string[];
  readonly lockFile?: string;
  readonly offline?: boolean;
  readonly pull?: boolean;
  readonly network?: string;
}

/** Beside the Dockerfile, as package managers have theirs. */
const NAME = 'tsbuild.lock';

/**
 * `--locked`, `--update-lock[=NAME]` and `--lock-file`. The file lies in the context, or where the command was typed when the context
 * comes from elsewhere; there it is looked for only on request, as it may be another project's.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseLockOptions(
  cwd: string,
  { locked, updateLock, updateLockName = [], lockFile, offline, pull, network }: LockOptions,
  contextDir: string | undefined,
): BuildRequest['lock'] {
  const update = updateLock === true || updateLockName.length > 0;
  const conflict = (one: string, other: string, hint: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use ${one} with ${other}`, { hint });
  if (locked && update)
    throw conflict('--locked', '--update-lock', '--locked is for builds that must not look anything up');
  if (offline && update) throw conflict('--offline', '--update-lock', 'what things are now is known to others only');
  if (offline && pull) throw conflict('--offline', '--pull', 'leave one of them out');
  if (lockFile === '') throw new TsbuildError('TSB_USAGE', 'Cannot use --lock-file "": it is no path');
  const named = lockFile !== undefined;
  const records = network === 'record' || network === 'locked';
  if (contextDir === undefined && !named && !locked && !update && !records) return undefined;
  const path = named ? resolve(cwd, lockFile) : join(contextDir ?? cwd, NAME);
  if (locked) return { path, named, policy: { kind: 'locked' } };
  // One that is to be written need not be there.
  if (!update) return { path, named: named && network !== 'record', policy: { kind: 'use' } };
  return { path, named, policy: { kind: 'update', ...(updateLock ? {} : { names: updateLockName }) } };
}
