import { StringDecoder } from 'node:string_decoder';
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
  readonly details?: boolean;
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
  if (container.record.log?.maxFiles === 0)
    throw new TsbuildError('TSB_STEP', `Cannot show the log of ${container.name}: it keeps none (--log-driver none)`);
  const now = context.now();
  const range = {
    ...(options.since === undefined ? {} : { since: parseTime('--since', options.since, now) }),
    ...(options.until === undefined ? {} : { until: parseTime('--until', options.until, now) }),
  };
  const tail = parseTail(options.tail);
  using reader = new LogReader(container.directory);
  const lines = new OpenLines();
  const first = selectEntries(reader.read(), { ...range, ...(tail === undefined ? {} : { tail }) });
  if (!(await show(context, first, lines, options)) || !options.follow) return 0;
  for (;;) {
    // Asked before what is there is read: after the end nothing comes any more.
    const live = isLive(await containers.state(container));
    if (!(await show(context, selectEntries(reader.read(), range), lines, options))) return 0;
    if (!live || signal.aborted || (range.until !== undefined && new Date(context.now()).toISOString() > range.until))
      return 0;
    await changed(container.directory, LOOK, signal);
  }
}

const NEWLINE = 10;
/** Bytes of a part of a line (LOG_LINE in native/src/contain.h). */
const PART = 16 * 1024;

/** Bytes that are written at once: a log may have millions of lines. */
const PIECE = 64 * 1024;

/** Where the lines of both streams stand. Long ones come in parts, of which none begins a line and none may tear a character. */
class OpenLines {
  readonly #open = new Set<LogEntry['stream']>();
  readonly #decoders = { 1: new StringDecoder('utf8'), 2: new StringDecoder('utf8') };

  /** Takes the next part. @returns whether it begins a line */
  begins({ stream, data }: LogEntry): boolean {
    const begins = !this.#open.has(stream);
    // What is shorter and has no end is the last line of a program that ended: another one may follow.
    if (data.at(-1) === NEWLINE || data.length < PART) this.#open.delete(stream);
    else this.#open.add(stream);
    return begins;
  }

  text({ stream, data }: LogEntry): string {
    return this.#decoders[stream].write(data);
  }
}

/** @returns false when whoever reads has gone away, such as head(1) */
async function show(
  context: CliContext,
  entries: readonly LogEntry[],
  lines: OpenLines,
  { timestamps, details }: ContainerLogOptions,
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
  for (const entry of entries) {
    const { time, stream, data } = entry;
    if ((stream !== last || bytes > PIECE) && !(await flush())) return false;
    last = stream;
    const isTerminal = (stream === 1 ? context.stdout : context.stderr).isTTY === true;
    const text = isTerminal ? Buffer.from(sanitize(lines.text(entry), { colors: true })) : data;
    const begins = lines.begins(entry);
    if (timestamps && begins) piece.push(Buffer.from(`${time} `));
    // Docker's place for what --log-opt labels and env add, of which there is nothing.
    if (details && begins) piece.push(Buffer.from(' '));
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
