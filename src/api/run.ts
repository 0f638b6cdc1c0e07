import { openImage } from '../engine/index.ts';
import { hostPlatform, parsePlatform } from '../image/index.ts';
import { runContainer } from '../runtime/index.ts';
import { randomHostId } from '../util/index.ts';
import { type Resources, resourcesOf } from './resources.ts';
import { type CommonOptions, openCall } from './session.ts';

/** Options of `run`. */
export interface RunOptions extends CommonOptions, Resources {
  /** Words that replace the image's CMD. */
  readonly command?: readonly string[];
  /** Replaces ENTRYPOINT and drops the image's CMD. */
  readonly entrypoint?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** `HOST:CONTAINER[:ro]` each. */
  readonly volumes?: readonly string[];
  readonly workdir?: string;
  /** `name|uid[:group|gid]` */
  readonly user?: string;
  readonly hostname?: string;
  readonly readOnly?: boolean;
  readonly network?: 'host' | 'none';
  readonly platform?: string;
  /** Told what the container prints, as it comes: 1 is standard output, 2 standard error. Default: this process's own streams. */
  readonly onOutput?: (stream: 1 | 2, data: Uint8Array) => void;
}

/**
 * Runs a command in a new container of an image and waits for its end; nothing of it is kept. It has no standard input, and signals of this
 * process are left to their own: `signal` ends it.
 * @param image as for `inspect`, or a name that a registry has
 * @returns its exit code; 128 plus the number of a signal that ended it
 * @throws TsbuildError when it could not be started, or was ended by `signal`
 */
export async function run(image: string, options: RunOptions = {}): Promise<{ readonly exitCode: number }> {
  const { command = [], env = {}, volumes, platform, onOutput } = options;
  await using call = openCall(options);
  const { session, task } = call;
  await using opened = await openImage(
    session,
    task,
    image,
    platform === undefined ? hostPlatform() : parsePlatform(platform),
    process.cwd(),
  );
  const { exitCode, error } = await runContainer({
    ...opened.runtime,
    callerEnv: {},
    cwd: process.cwd(),
    hostname: options.hostname ?? randomHostId(6),
    network: options.network ?? 'host',
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    attendsSignals: false,
    ...resourcesOf(options),
    limiter: session.limiter,
    ...(command.length === 0 ? {} : { command }),
    ...(options.entrypoint === undefined ? {} : { entrypoint: options.entrypoint }),
    ...(volumes === undefined ? {} : { volumes }),
    ...(options.workdir === undefined ? {} : { workdir: options.workdir }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.readOnly ? { readonly: true } : {}),
    ...(onOutput === undefined ? {} : { onOutput }),
    signal: task.signal,
  });
  if (error) throw error;
  return { exitCode };
}
