import { isatty } from 'node:tty';
import { Connection, type Container, ContainerLookup } from '../../containers/index.ts';
import { environmentOf } from '../../runtime/index.ts';
import { encodeProcess } from '../../sandbox/index.ts';
import { trustedLayout } from '../../store/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { codeOf } from '../containers/container-end.ts';
import type { CliContext } from '../context.ts';
import { converse, outputOf, sendWindow } from '../containers/converse.ts';
import { parseDetachKeys } from '../options/detach-keys.ts';
import { readEnvFile } from '../options/env-file.ts';
import { reportError } from '../report.ts';
import { storeRoot } from '../store-root.ts';

/** Options of `exec`. */
export interface ExecOptions {
  readonly detach?: boolean;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly envFile?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly privileged?: boolean;
  readonly detachKeys?: string;
}

/** `tsbuild exec`: the program's own exit code, or 126 and 127 where it did not run. */
export async function execCommand(
  context: CliContext,
  name: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const { tty = false, interactive = false, detach = false } = options;
  if (tty && interactive && !detach && !isatty(0))
    throw new TsbuildError('TSB_USAGE', 'Cannot give the program a terminal: standard input is not one', {
      hint: 'leave out -t, or -i',
    });
  const detachKeys = parseDetachKeys(options.detachKeys);
  // Without the index, which takes as long to open as all else here.
  const container = new ContainerLookup(trustedLayout(storeRoot(context)).containers).find(name);
  const request = describe(context, container, command, options);
  const write = outputOf(context);
  const ran = Promise.withResolvers<void>();
  const connection = await Connection.open(container.directory, {
    onOutput: (stream, data) => connection && write(stream, data, connection),
    onRan: () => ran.resolve(),
  });
  if (connection === undefined) throw await notRunning(context, container);
  using _connection = connection;
  // As one, so that the terminal has its size before the program asks for it.
  connection.socket.cork();
  connection.send('X', request);
  if (tty && !detach) sendWindow(context, connection);
  connection.socket.uncork();
  if (detach) {
    // Its output goes nowhere, and nobody waits for its end.
    const failed = await Promise.race([ran.promise, connection.ended]);
    return failed === undefined ? 0 : await codeOf(context, failed);
  }
  const outcome = await converse(context, connection, {
    tty,
    input: interactive,
    signals: true,
    detachKeys: tty && interactive ? detachKeys : undefined,
  });
  if (outcome.detached) return 0;
  const { end } = outcome;
  // What the user said of it is wrong: docker's code for a program that cannot be run.
  if (end?.error === undefined || end.exitCode === 1 || !isTsbuildError(end.error, 'TSB_STEP'))
    return await codeOf(context, end);
  await reportError(context, end.error);
  return 126;
}

async function notRunning(context: CliContext, container: Container): Promise<TsbuildError> {
  const { withContainers } = await import('../containers/each-container.ts');
  // Puts right what a killed supervisor has left.
  await withContainers(context, async ({ containers }) => containers.state(container));
  return new TsbuildError('TSB_STEP', `Container ${container.name} is not running`, {
    hint: `start it: tsbuild start ${container.name}`,
  });
}

/** What the supervisor is told: whether the program outlives its client, and fields as of a step. */
function describe(
  context: CliContext,
  { record }: Container,
  command: readonly string[],
  options: ExecOptions,
): Buffer {
  const { step } = record;
  const files = (options.envFile ?? []).flatMap((file) => readEnvFile(context, file));
  const env = environmentOf({
    config: { Env: [...step.env] },
    env: [...files, ...(options.env ?? [])],
    callerEnv: context.env,
    hostname: step.hostname,
    tty: options.tty ?? false,
  });
  const cwd = options.workdir ?? step.cwd;
  if (!cwd.startsWith('/'))
    throw new TsbuildError('TSB_USAGE', `Cannot use working directory "${cwd}": it is not an absolute path`);
  const fields = encodeProcess({
    args: command,
    env,
    cwd,
    user: options.user ?? step.user,
    tty: options.tty ?? false,
    stdin: options.interactive ?? false,
    ...(options.privileged ? { security: { mode: 'insecure', seccompPath: '' } } : {}),
  });
  return Buffer.concat([Buffer.from(options.detach ? 'd' : 'a'), fields]);
}
