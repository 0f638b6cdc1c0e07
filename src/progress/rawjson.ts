import type { BuildEvent, StatusEvent, UsageEvent, VertexEvent } from '../events/index.ts';
import { type Diagnostic, type Digest, HIDDEN } from '../util/index.ts';
import { LogLimit } from './log-limit.ts';
import type { Renderer } from './types.ts';
import { warningLine } from './warnings.ts';
import type { Writer } from './writer.ts';

/** One BuildKit `SolveStatus` per event and line. Texts are as they are: JSON keeps them from harm. */
export class RawJsonRenderer implements Renderer {
  readonly #writer: Writer;
  readonly #limits: { readonly logMaxSize: number; readonly logMaxSpeed: number };
  readonly #started = new Map<Digest, number>();
  readonly #statuses = new Map<string, number>();
  readonly #streams = new Map<string, LogLimit>();

  constructor(writer: Writer, limits: { readonly logMaxSize: number; readonly logMaxSpeed: number }) {
    this.#writer = writer;
    this.#limits = limits;
  }

  event(event: BuildEvent): void {
    switch (event.type) {
      case 'vertex':
        this.#vertex(event);
        break;
      case 'status':
        this.#say({ statuses: [this.#status(event)] });
        break;
      case 'log': {
        const key = `${event.stream} ${event.vertex}`;
        let limit = this.#streams.get(key);
        if (limit === undefined) {
          const started = this.#started.get(event.vertex) ?? event.at;
          limit = new LogLimit(started, this.#limits.logMaxSize, this.#limits.logMaxSpeed);
          this.#streams.set(key, limit);
        }
        this.#log(event.vertex, event.stream, limit.take(event), event.at);
        break;
      }
      case 'diagnostic':
        this.#say({ warnings: [warning(event.vertex, event.diagnostic)] });
        break;
      case 'usage':
        this.#say({ usages: [usage(event)] });
        break;
      case 'reason':
        // A `SolveStatus` has no place for it.
        break;
    }
  }

  tick(): void {
    // Nothing is held back.
  }

  close(): void {
    // Nothing is held back.
  }

  /** A vertex in BuildKit's form: times instead of states. */
  #vertex({ vertex, name, inputs, state, at, error }: VertexEvent): void {
    if (state !== 'pending' && !this.#started.has(vertex)) this.#started.set(vertex, at);
    const started = this.#started.get(vertex);
    const over = state !== 'pending' && state !== 'started';
    if (over) {
      for (const stream of [1, 2] as const) {
        const key = `${stream} ${vertex}`;
        this.#log(vertex, stream, this.#streams.get(key)?.rest() ?? new Uint8Array(), at);
        this.#streams.delete(key);
      }
      this.#started.delete(vertex);
    }
    const failure = state === 'canceled' ? 'context canceled' : state === 'failed' ? (error ?? 'failed') : undefined;
    this.#say({
      vertexes: [
        {
          digest: vertex,
          ...(inputs.length > 0 ? { inputs } : {}),
          name,
          ...(started === undefined ? {} : { started: time(started) }),
          ...(over ? { completed: time(at) } : {}),
          ...(state === 'cached' ? { cached: true } : {}),
          ...(failure === undefined ? {} : { error: failure }),
        },
      ],
    });
  }

  /** A transfer; BuildKit names it by its id within the vertex. */
  #status({ vertex, id, current, total, at, completed }: StatusEvent): object {
    const key = `${id} ${vertex}`;
    const started = this.#statuses.get(key) ?? at;
    this.#statuses.set(key, started);
    return {
      id,
      vertex,
      ...(total === undefined ? {} : { total }),
      current,
      timestamp: time(at),
      started: time(started),
      ...(completed ? { completed: time(at) } : {}),
    };
  }

  #log(vertex: Digest, stream: 1 | 2, data: Uint8Array, at: number): void {
    if (data.length > 0) this.#say({ logs: [{ vertex, stream, data: base64(data), timestamp: time(at) }] });
  }

  #say(status: object): void {
    const json = JSON.stringify(status).replaceAll(
      HIDDEN,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    this.#writer.write(`${json}\n`);
  }
}

/** A field of tsbuild's own: programs that read a `SolveStatus` pass over what they do not know. Times are nanoseconds, as in Go. */
function usage({ vertex, usage: used, at }: UsageEvent): object {
  const { userMs, systemMs, peakMemory, groupMemory, readBytes, writtenBytes } = used;
  return {
    vertex,
    cpuUser: Math.round(userMs * 1e6),
    cpuSystem: Math.round(systemMs * 1e6),
    peakMemory,
    ...(groupMemory === undefined ? {} : { groupMemory }),
    readBytes,
    writtenBytes,
    timestamp: time(at),
  };
}

function warning(vertex: Digest | undefined, diagnostic: Diagnostic): object {
  const { description, url, ranges } = diagnostic;
  return {
    ...(vertex === undefined ? {} : { vertex }),
    level: 1,
    short: base64(warningLine(diagnostic)),
    ...(description === undefined ? {} : { detail: [base64(description)] }),
    ...(url === undefined ? {} : { url }),
    ...(ranges[0] === undefined ? {} : { sourceInfo: { filename: ranges[0].file } }),
    ...(ranges.length === 0 ? {} : { range: ranges.map(rangeOf) }),
  };
}

function rangeOf({ startLine, endLine, startColumn, endColumn }: Diagnostic['ranges'][number]): object {
  const position = (line: number, column: number | undefined): object =>
    column === undefined ? { line } : { line, character: column - 1 };
  return { start: position(startLine, startColumn), end: position(endLine, endColumn) };
}

function base64(data: Uint8Array | string): string {
  return (
    typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.length)
  ).toString('base64');
}

function time(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? new Date(0).toISOString() : date.toISOString();
}
