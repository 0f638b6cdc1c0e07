import { Connection } from '../../containers/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { codeOf } from '../containers/container-end.ts';
import type { CliContext } from '../context.ts';
import { converse, outputOf, sendWindow } from '../containers/converse.ts';
import { parseDetachKeys } from '../options/detach-keys.ts';
import { withContainers } from '../containers/each-container.ts';

/** Options of `attach`. */
export interface AttachOptions {
  /** `--no-stdin` */
  readonly stdin: boolean;
  /** `--no-sig-proxy` */
  readonly sigProxy?: boolean;
  readonly detachKeys?: string;
}

/** `tsbuild attach`: gives the container's exit code, or 0 when left with Ctrl-P Ctrl-Q. */
export async function attachCommand(context: CliContext, name: string, options: AttachOptions): Promise<number> {
  const detachKeys = parseDetachKeys(options.detachKeys);
  return withContainers(context, async ({ containers }) => {
    const container = containers.find(name);
    const { status } = await containers.state(container);
    if (status === 'paused')
      throw new TsbuildError('TSB_STEP', `Cannot attach to container ${container.name}: it is paused`, {
        hint: `go on with it: tsbuild unpause ${container.name}`,
      });
    const write = outputOf(context);
    const connection = await Connection.open(container.directory, {
      onOutput: (stream, data) => connection && write(stream, data, connection),
    });
    if (connection === undefined)
      throw new TsbuildError('TSB_STEP', `Cannot attach to container ${container.name}: it is not running`, {
        hint: `start it: tsbuild start -a ${container.name}`,
      });
    using _connection = connection;
    const { tty = false, stdin = false } = container.record.step;
    const input = stdin && options.stdin;
    if (tty) sendWindow(context, connection);
    const outcome = await converse(context, connection, {
      attach: true,
      tty,
      input,
      signals: options.sigProxy !== false,
      detachKeys,
    });
    return outcome.detached ? 0 : await codeOf(context, outcome.end);
  });
}
