import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type OpenImage, openImage, openSession, type Session } from '../../engine/index.ts';
import type { Isolation } from '../../sandbox/index.ts';
import { parseEnvFile, runContainer } from '../../runtime/index.ts';
import { firstError, fromErrno, isTsbuildError, randomHex } from '../../util/index.ts';
import { hostPlatform, parsePlatform, type Platform } from '../../image/index.ts';
import { lateProgress } from '../late-progress.ts';
import { reportError } from '../report.ts';
import type { CliContext } from '../context.ts';
import { parsePidsLimit } from '../build-request.ts';
import { parseHosts } from '../hosts.ts';
import { isolationOptions } from '../isolation-option.ts';
import { sessionOptions } from '../session-options.ts';

/** Options of `run` as commander gives them. */
export interface RunOptions {
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly volume?: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly entrypoint?: string;
  readonly readOnly?: boolean;
  readonly hostname?: string;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly network: 'host' | 'none';
  readonly addHost?: readonly string[];
  readonly platform?: string;
  readonly pidsLimit?: string;
  readonly isolation?: Isolation;
}

/** `tsbuild run`: gives the container's exit code; 125 when it could not be started. */
export async function runCommand(
  context: CliContext,
  image: string,
  command: readonly string[],
  options: RunOptions,
): Promise<number> {
  const controller = new AbortController();
  try {
    await using session = openSession({
      ...sessionOptions(context, controller.signal),
      ...isolationOptions(options),
    });
    const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
    await using opened = await openShown(context, session, image, platform, controller.signal);
    const files = (options.envFile ?? []).flatMap((file) => readEnvFile(context, file));
    const env = [...files, ...(options.env ?? [])];
    const end = await runContainer({
      ...opened.runtime,
      callerEnv: context.env,
      cwd: context.cwd,
      hostname: options.hostname ?? randomHex(6),
      network: options.network,
      ...(command.length === 0 ? {} : { command }),
      ...(options.entrypoint === undefined ? {} : { entrypoint: options.entrypoint }),
      ...(env.length === 0 ? {} : { env }),
      ...(options.volume === undefined ? {} : { volumes: options.volume }),
      ...(options.workdir === undefined ? {} : { workdir: options.workdir }),
      ...(options.user === undefined ? {} : { user: options.user }),
      ...(options.pidsLimit === undefined ? {} : { processLimit: parsePidsLimit(options.pidsLimit) }),
      ...(options.readOnly ? { readonly: true } : {}),
      ...(options.interactive ? { interactive: true } : {}),
      ...(options.tty ? { tty: true } : {}),
      ...(options.addHost === undefined ? {} : { extraHosts: await parseHosts(options.addHost) }),
    });
    if (end.error) await reportError(context, end.error);
    return isTsbuildError(end.error, 'TSB_USAGE') ? 2 : end.exitCode;
  } catch (error) {
    await reportError(context, error);
    return isTsbuildError(firstError(error), 'TSB_USAGE') ? 2 : 125;
  }
}

/** Finds the image, saying what is done where that takes long. */
async function openShown(
  context: CliContext,
  session: Session,
  image: string,
  platform: Platform,
  signal: AbortSignal,
): Promise<OpenImage> {
  const progress = lateProgress(context, `preparing ${image}`);
  try {
    return await openImage(session, { signal, events: progress.events }, image, platform, context.cwd);
  } finally {
    await progress.close();
  }
}

/** `--env-file`, in docker's form. */
function readEnvFile(context: CliContext, file: string): readonly string[] {
  try {
    return parseEnvFile(file, readFileSync(resolve(context.cwd, file), 'utf8'), context.env);
  } catch (error) {
    throw fromErrno(error, `Cannot read env file ${JSON.stringify(file)}`, 'TSB_USAGE');
  }
}
