import { type NewContainer, openSession, type Session } from '../../engine/index.ts';
import {
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  parsePlatform,
  type Platform,
  runsOn,
} from '../../image/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import type { LifeOptions, ProcessOptions } from '../options/container-options.ts';
import { hasNamedDevices } from '../options/mount-options.ts';
import { isolationOptions } from '../options/isolation-option.ts';
import { sessionOptions } from '../session-options.ts';
import type { pullFirst } from './pull-first.ts';

/** Options of `run` as commander gives them. */
export interface RunOptions extends ProcessOptions, LifeOptions {
  readonly detach?: boolean;
  readonly waitHealthy?: boolean;
  readonly waitTimeout?: string;
  readonly detachKeys?: string;
  readonly sigProxy?: boolean;
  readonly quiet?: boolean;
}

/** The session of a command that makes a container of an image. */
export function openRunSession(
  context: CliContext,
  signal: AbortSignal,
  options: LifeOptions & ProcessOptions,
): Session {
  return openSession({
    ...sessionOptions(context, signal),
    ...isolationOptions(options),
    ...(options.pull === 'never' ? { neverPull: true } : {}),
    leavesIndex: true,
  });
}

/** `--pull=always`, which few say: what it takes is loaded for them alone. */
export async function pulled(...wanted: Parameters<typeof pullFirst>): Promise<void> {
  const { pullFirst: pull } = await import('./pull-first.ts');
  await pull(...wanted);
}

/** For which platform an image is wanted. @throws TsbuildError `TSB_USAGE` */
export function platformOf({ platform }: ProcessOptions): Platform {
  return platform === undefined ? hostPlatform() : parsePlatform(platform);
}

/** Images of one platform are found for all of them. @throws TsbuildError `TSB_USAGE` where another one was asked for */
export function requirePlatform(image: string, { platform }: ProcessOptions, config: ImageConfig): void {
  if (platform === undefined || runsOn(config, parsePlatform(platform))) return;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot run ${JSON.stringify(image)} for ${platform}: the image is for ${formatPlatform(config)}`,
    { hint: 'leave --platform out, or bring one for it: tsbuild pull --platform, tsbuild build --platform' },
  );
}

/** Devices that are known by their names, which few ask for: what finds them is loaded for these alone. */
export async function withDevices(
  session: Session,
  process: NewContainer['process'],
  options: ProcessOptions,
): Promise<NewContainer['process']> {
  if (!hasNamedDevices(options)) return process;
  const { withDeviceOptions } = await import('../options/named-devices.ts');
  return withDeviceOptions(session, process, options);
}
