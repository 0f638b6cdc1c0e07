import {
  type Container,
  type Containers,
  isLive,
  type LogEntry,
  LogReader,
  selectEntries,
} from '../../containers/index.ts';
import { sanitize, TsbuildError } from '../../util/index.ts';
import { type CliContext, handOver } from '../context.ts';
import { parseTime } from '../options/time-option.ts';
import { changed } from './wait-healthy.ts';

/** Options of `logs` that are for containers. */
export interface ContainerLogOptions {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly timestamps?: boolean;
  readonly since?: string;
  readonly until?: string;
}

/** ms; what the notice of the kernel may have missed is seen by then. */
const LOOK = 500;

/** Prints a container's log: what it wrote to standard error goes there. */
export async function containerLogs(
  context: CliContext,
  {
    container,
    containers,
    signal,
  }: { readonly container: Container; readonly containers: Containers; readonly signal: AbortSignal },
  options: ContainerLogOptions,
): Promise<number> {
  const now = context.now();
  const range = {
    ...(options.since === undefined ? {} : { since: parseTime('--since', options.since, now) }),
    ...(options.until === undefined ? {} : { until: parseTime('--until', options.until, now) }),
  };
  const tail = parseTail(options.tail);
  using reader = new LogReader(container.directory);
  const first = selectEntries(reader.read(), { ...range, ...(tail === undefined ? {} : { tail }) });
  if (!(await show(context, first, options)) || !options.follow) return 0;
  for (;;) {
    // Asked before what is there is read: after the end nothing comes any more.
    const live = isLive(await containers.state(container));
    if (!(await show(context, selectEntries(reader.read(), range), options))) return 0;
    if (!live || signal.aborted || (range.until !== undefined && new Date(context.now()).toISOString() > range.until))
      return 0;
    await changed(container.directory, LOOK, signal);
  }
}

/** Bytes that are written at once: a log may have millions of lines. */
const PIECE = 64 * 1024;

/** @returns false when whoever reads has gone away, such as head(1) */
async function show(
  context: CliContext,
  entries: readonly LogEntry[],
  { timestamps }: ContainerLogOptions,
): Promise<boolean> {
  let piece: Uint8Array[] = [];
  let bytes = 0;
  let last: LogEntry['stream'] | undefined;
  const flush = async (): Promise<boolean> => {
    const text = Buffer.concat(piece);
    piece = [];
    bytes = 0;
    return text.length === 0 || handOver(last === 1 ? context.stdout : context.stderr, text, 'Cannot write the log');
  };
  for (const { time, stream, data } of entries) {
    if ((stream !== last || bytes > PIECE) && !(await flush())) return false;
    last = stream;
    const isTerminal = (stream === 1 ? context.stdout : context.stderr).isTTY === true;
    const text = isTerminal ? Buffer.from(sanitize(data.toString('utf8'), { colors: true })) : data;
    if (timestamps) piece.push(Buffer.from(`${time} `));
    piece.push(text);
    bytes += text.length;
  }
  return flush();
}

function parseTail(text: string | undefined): number | undefined {
  if (text === undefined || text === 'all' || text === '-1') return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new TsbuildError('TSB_USAGE', `Cannot use --tail ${JSON.stringify(text)}: expected a number of lines, or all`);
}
