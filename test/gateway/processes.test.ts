import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { execMessageSchema } from '../../src/gateway/container-messages.ts';
import type { ContainerProcess, OnOutput, ProcessEnd } from '../../src/gateway/container.ts';
import { Containers } from '../../src/gateway/containers.ts';
import type { StreamCall } from '../../src/gateway/grpc-stream.ts';
import { type GatewayLimits, gatewayLimits } from '../../src/gateway/limits.ts';
import { Processes } from '../../src/gateway/processes.ts';
import { References } from '../../src/gateway/references.ts';
import type { ExecInput, ExecMessage } from '../../src/gateway/types.ts';
import { decodeMessage, encodeMessage } from '../../src/llb/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { hostOf } from './support.ts';

/** A program that does what the test says. */
interface Program {
  readonly print: OnOutput;
  end(end: ProcessEnd): void;
  /** What it was fed, and which signals it got. */
  readonly log: string[];
}

/** A call, of which the test is the other side. */
class Conversation {
  readonly programs: Program[] = [];
  readonly heard: ExecMessage[] = [];
  readonly ended: Promise<void>;
  /** What the caller waits for. */
  working = 0;
  readonly #gone = new AbortController();
  readonly #queue: Uint8Array[] = [];
  #wake: () => void = () => undefined;
  #isOver = false;

  constructor(processes: Processes) {
    const call: StreamCall = {
      messages: this.#read(),
      signal: this.#gone.signal,
      send: async (bytes) => void this.heard.push(decodeMessage(execMessageSchema, bytes) as unknown as ExecMessage),
      work: () => {
        this.working++;
        return { [Symbol.dispose]: () => void this.working-- };
      },
    };
    this.ended = processes.converse(call);
    this.ended.catch(() => undefined);
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else if (this.#isOver) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  say(processId: string, input: ExecInput): void {
    this.#queue.push(encodeMessage(execMessageSchema, { processId, input }));
    this.#wake();
  }

  /** Nothing more is said. */
  over(): void {
    this.#isOver = true;
    this.#wake();
  }

  leave(): void {
    this.#gone.abort();
    this.over();
  }

  async kinds(id: string, count: number): Promise<readonly string[]> {
    await expect
      .poll(() => this.heard.filter(({ processId }) => processId === id).length)
      .toBeGreaterThanOrEqual(count);
    return this.heard.flatMap(({ processId, input }) => (processId === id && input ? [input.kind] : []));
  }

  printed(id: string, fd: number): string {
    const pieces = this.heard.flatMap(({ processId, input }) => (processId === id && input?.kind === 'file' && input.fd === fd ? [input.data] : [])); // oxfmt-ignore
    return Buffer.concat(pieces).toString('latin1');
  }
}

/** A container `c`, and calls for programs in it. @param prints what a program says before anybody knows that it runs */
async function contained(
  limits: Partial<GatewayLimits> = {},
  prints = '',
): Promise<{ readonly converse: () => Conversation; readonly programs: readonly Program[] }> {
  // oxfmt-ignore
  const programs: Program[] = [];
  const host = hostOf(
    {},
    {
      container: async () => ({
        start: async (_request, print) => {
          const { promise: ended, resolve } = Promise.withResolvers<ProcessEnd>();
          const log: string[] = [];
          const process: ContainerProcess = {
            ended,
            write: async (data) => void log.push(`< ${Buffer.from(data).toString()}`),
            closeInput: () => void log.push('eof'),
            resize: () => undefined,
            signal: (name) => {
              log.push(name);
              if (name === 'KILL') resolve({ exitCode: 137 });
            },
          };
          programs.push({ print, end: resolve, log });
          if (prints !== '') void print(1, Buffer.from(prints));
          return process;
        },
        files: () => {
          throw new TsbuildError('TSB_USAGE', 'no files');
        },
        [Symbol.asyncDispose]: async () => undefined,
      }),
    },
  );
  const all = { ...gatewayLimits, ...limits };
  const containers = new Containers(host, new References(host, all), all);
  const root = { type: 'bind', input: -1, selector: '', dest: '/', output: 0, readonly: false, resultId: '', contentCache: 'default' } as const; // oxfmt-ignore
  const request = { containerId: 'c', mounts: [root], network: 'sandbox', extraHosts: [], hostname: '' } as const;
  await containers.create(request, new AbortController().signal);
  const processes = new Processes(containers, host, all);
  return { converse: () => new Conversation(processes), programs };
}

const init = (fds: readonly number[] = [0, 1, 2]): ExecInput => ({
  kind: 'init',
  containerId: 'c',
  meta: { args: ['run'] } as never,
  fds,
  tty: false,
  security: 'sandbox',
  secretEnv: [],
});
const input = (text: string, eof = false): ExecInput => ({ kind: 'file', fd: 0, eof, data: Buffer.from(text) });

describe('a program of a frontend', () => {
  test('is said to have started before anything that it prints, however early that is', async () => {
    const { converse, programs } = await contained({}, 'early');
    const call = converse();
    call.say('1', init());
    expect(await call.kinds('1', 2)).toEqual(['started', 'file']);
    programs[0]?.end({ exitCode: 0 });
    // As in BuildKit: the end of it, those of what it prints, and that nothing more comes.
    expect(await call.kinds('1', 6)).toEqual(['started', 'file', 'exit', 'file', 'file', 'done']);
    expect(call.printed('1', 1)).toBe('early');
    call.over();
    await call.ended;
  });

  test('has all that it prints told, in order and where it was asked for alone (property)', async () => {
    const piece = fc.tuple(fc.constantFrom(1 as const, 2 as const), fc.string({ unit: 'binary-ascii', maxLength: 5 }));
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), fc.subarray([0, 1, 2]), async (pieces, fds) => {
        const { converse, programs } = await contained();
        const call = converse();
        call.say('1', init(fds));
        await call.kinds('1', 1);
        for (const [stream, text] of pieces) await programs[0]?.print(stream, Buffer.from(text, 'latin1'));
        programs[0]?.end({ exitCode: 0 });
        call.over();
        await call.ended;
        for (const fd of [1, 2] as const) {
          const all = pieces.map(([stream, text]) => (stream === fd ? text : '')).join('');
          expect(call.printed('1', fd)).toBe(fds.includes(fd) ? all : '');
          const ends = call.heard.filter(({ input: one }) => one?.kind === 'file' && one.fd === fd && one.eof);
          expect(ends).toHaveLength(fds.includes(fd) ? 1 : 0);
        }
        expect(call.heard.at(-1)?.input?.kind).toBe('done');
      }),
      { numRuns: 40 },
    );
  });

  test('that has ended takes nothing more, and whoever crossed its end with a message is not punished for it', async () => {
    const { converse, programs } = await contained();
    const call = converse();
    call.say('1', init([0]));
    await call.kinds('1', 1);
    programs[0]?.end({ exitCode: 3 });
    await call.kinds('1', 3);
    call.say('1', input('late'));
    call.say('1', { kind: 'signal', name: 'TERM' });
    call.say('1', { kind: 'resize', rows: 1, columns: 1 });
    call.over();
    await call.ended;
    expect(programs[0]?.log).toEqual([]);
    expect(call.heard.map(({ input: one }) => one?.kind)).toEqual(['started', 'exit', 'done']);
  });

  test('gets no input after its end, nor any that nobody asked to give', async () => {
    for (const [fds, say] of [
      [[0], [input('a', true), input('b')]],
      [[1, 2], [input('a')]],
    ] as const) {
      const { converse, programs } = await contained();
      const call = converse();
      call.say('1', init(fds));
      for (const one of say) call.say('1', one);
      await expect(call.ended).rejects.toThrow('fd 0 unavailable to write');
      // What it ran is ended with it.
      expect(programs[0]?.log.at(-1)).toBe('KILL');
    }
  });

  test('keeps its id after its end, and no other can have it', async () => {
    const { converse, programs } = await contained();
    const call = converse();
    call.say('1', init());
    await call.kinds('1', 1);
    programs[0]?.end({ exitCode: 0 });
    await call.kinds('1', 5);
    call.say('1', init());
    await expect(call.ended).rejects.toThrow('Process 1 already exists');
    expect(programs).toHaveLength(1);
  });

  test('counts while it runs, and once for all calls together', async () => {
    const { converse, programs } = await contained({ maxProcesses: 1, maxStarts: 3 });
    const [first, second] = [converse(), converse()];
    first.say('1', init());
    await first.kinds('1', 1);
    second.say('1', init());
    await expect(second.ended).rejects.toThrow('1 programs at a time, and 3 in all');
    for (const id of ['2', '3']) {
      programs.at(-1)?.end({ exitCode: 0 });
      await first.kinds(String(Number(id) - 1), 5);
      first.say(id, init());
      await first.kinds(id, 1);
    }
    programs.at(-1)?.end({ exitCode: 0 });
    await first.kinds('3', 5);
    first.say('4', init());
    await expect(first.ended).rejects.toThrow('3 in all');
    expect(programs).toHaveLength(3);
  });

  test('is what a call waits for as long as it runs, and ends with a call that is given up', async () => {
    const { converse, programs } = await contained();
    const call = converse();
    for (const id of ['1', '2']) call.say(id, init());
    await call.kinds('2', 1);
    expect(call.working).toBe(2);
    programs[0]?.end({ exitCode: 0 });
    await call.kinds('1', 5);
    expect(call.working).toBe(1);
    call.leave();
    await call.ended;
    expect([programs.map(({ log }) => log), call.working]).toEqual([[[], ['KILL']], 0]);
  });
});
