import { createProgress, type Progress, type ProgressMode, type ProgressOptions } from '../../src/progress/index.ts';
import type { BuildEvent, VertexState } from '../../src/events/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';

/** A display on a recorded output, with a clock that the test moves. */
export class Stage {
  text = '';
  writes: string[] = [];
  time = 1_700_000_000_000;
  columns: number | undefined = 80;
  rows: number | undefined = 24;
  /** Callbacks of writes that the reader has not taken; undefined where it takes them at once. */
  waiting: ((error?: Error | null) => void)[] | undefined;
  readonly progress: Progress;
  #tick: (() => void) | undefined;

  constructor(mode: ProgressMode, options: Partial<ProgressOptions> & { readonly isTTY?: boolean } = {}) {
    const { isTTY = mode === 'tty', ...more } = options;
    const write = (text: string, callback: (error?: Error | null) => void): boolean => {
      this.text += text;
      this.writes.push(text);
      if (this.waiting) this.waiting.push(callback);
      else callback();
      return this.waiting === undefined;
    };
    const size = { columns: { get: () => this.columns }, rows: { get: () => this.rows } };
    this.progress = createProgress({
      mode,
      now: () => this.time,
      every: (_ms, callback) => {
        this.#tick = callback;
        return () => (this.#tick = undefined);
      },
      output: Object.defineProperties({ isTTY, write }, size),
      ...more,
    });
  }

  /** Lets time pass, with a frame at its end. */
  pass(ms: number): this {
    this.time += ms;
    this.#tick?.();
    return this;
  }

  send(event: BuildEvent): this {
    this.progress.events(event);
    return this;
  }

  vertex(name: string, state: VertexState, error?: string): this {
    return this.send({
      type: 'vertex',
      vertex: id(name),
      name,
      inputs: [],
      state,
      at: this.time,
      ...(error === undefined ? {} : { error }),
    });
  }

  log(name: string, data: string | Uint8Array, stream: 1 | 2 = 1): this {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    return this.send({ type: 'log', vertex: id(name), stream, data: bytes, at: this.time });
  }

  status(
    name: string,
    part: string,
    current: number,
    more: { total?: number; completed?: boolean; unit?: 'count' } = {},
  ): this {
    return this.send({ type: 'status', vertex: id(name), id: part, current, at: this.time, ...more });
  }

  warn(name: string | undefined, code: string, message: string, line = 1): this {
    return this.send({
      type: 'diagnostic',
      ...(name === undefined ? {} : { vertex: id(name) }),
      diagnostic: {
        code,
        severity: 'warning',
        message,
        ranges: [{ file: 'Dockerfile', startLine: line, endLine: line }],
      },
      at: this.time,
    });
  }

  async close(): Promise<string> {
    await this.progress.close();
    return this.text;
  }
}

export function id(name: string): Digest {
  return sha256(name);
}
