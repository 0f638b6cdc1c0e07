import { EventEmitter } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { converse, type ConverseOptions, outputOf, sendWindow } from '../../../src/cli/containers/converse.ts';
import type { Connection, ConnectionEnd } from '../../../src/containers/index.ts';
import type { CliContext } from '../../../src/cli/context.ts';
import { fakeContext } from '../../fakes/cli-context.ts';

/** The other end: what is sent to it, and a socket that can be full. */
class OtherEnd {
  readonly sent: [kind: string, data: string][] = [];
  readonly socket = Object.assign(new EventEmitter(), {
    pause: () => void this.calls.push('pause'),
    resume: () => void this.calls.push('resume'),
  });
  readonly calls: string[] = [];
  readonly #end = Promise.withResolvers<ConnectionEnd | undefined>();
  isFull = false;

  readonly connection = {
    socket: this.socket,
    ended: this.#end.promise,
    send: (kind: string, data: Uint8Array | string = '') => {
      this.sent.push([kind, Buffer.from(data).toString()]);
      return !this.isFull;
    },
    attach: async ({ input }: { readonly input: boolean }) => void this.sent.push(['A', input ? 'io' : 'o']),
  } as unknown as Connection;

  end(exitCode?: number): void {
    this.#end.resolve(exitCode === undefined ? undefined : { exitCode });
  }
}

const plain: ConverseOptions = { tty: false, input: false, signals: false, detachKeys: undefined };

/** Standard output or error that takes nothing until it is drained. */
class Slow extends Writable {
  readonly taken: string[] = [];
  readonly #go: (() => void)[] = [];

  constructor() {
    super({ highWaterMark: 1 });
    this.setMaxListeners(3);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.taken.push(chunk.toString());
    this.#go.push(callback);
  }

  async drain(): Promise<void> {
    for (let go = this.#go.shift(); go !== undefined; go = this.#go.shift()) {
      go();
      await new Promise(setImmediate);
    }
  }
}

describe('output of a container', () => {
  const slow = (): CliContext & { stdout: Slow; stderr: Slow } =>
    Object.assign(fakeContext(), { stdout: new Slow(), stderr: new Slow() });

  test('goes where it belongs', () => {
    const context = fakeContext();
    const { connection } = new OtherEnd();
    const take = outputOf(context);
    take(1, Buffer.from('out'), connection);
    take(2, Buffer.from('err'), connection);
    expect([context.out(), context.err()]).toEqual(['out', 'err']);
  });

  test('holds up who sends it while nobody reads, whatever has come already', async () => {
    const context = slow();
    const other = new OtherEnd();
    const take = outputOf(context);
    // One piece of a socket has many lines of a program.
    for (let line = 0; line < 50; line++) take(1, Buffer.from(`${line}`), other.connection);
    expect(other.calls).toEqual(['pause']);
    // Node warns of more than ten, in the midst of what the container prints.
    expect(context.stdout.listenerCount('drain')).toBe(1);
    await context.stdout.drain();
    expect(other.calls).toEqual(['pause', 'resume']);
    expect(context.stdout.taken.join('')).toBe(Array.from({ length: 50 }, (_, line) => line).join(''));
    expect(context.stdout.listenerCount('drain')).toBe(0);
  });

  test('goes on only when both have room', async () => {
    const context = slow();
    const other = new OtherEnd();
    const take = outputOf(context);
    take(1, Buffer.from('a'), other.connection);
    take(2, Buffer.from('b'), other.connection);
    await context.stderr.drain();
    expect(other.calls).not.toContain('resume');
    await context.stdout.drain();
    expect(other.calls.at(-1)).toBe('resume');
  });

  test('goes on when the reader has gone away, which drains nothing', async () => {
    const context = slow();
    const other = new OtherEnd();
    outputOf(context)(1, Buffer.from('a'), other.connection);
    context.stdout.destroy();
    await new Promise((resolve) => context.stdout.once('close', resolve));
    expect(other.calls).toEqual(['pause', 'resume']);
    expect(context.stdout.listenerCount('close')).toBe(0);
  });
});

describe('a conversation', () => {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const;
  const before = new Map(signals.map((name) => [name, process.listeners(name)]));
  /** What a conversation listens to, and nobody else. */
  const ours = (name: (typeof signals)[number]): readonly NodeJS.SignalsListener[] =>
    process.listeners(name).filter((listener) => before.get(name)?.includes(listener) === false);
  afterEach(() => {
    for (const name of signals) expect(ours(name), name).toEqual([]);
  });
  const turn = (): Promise<void> => new Promise(setImmediate);

  test('ends as the container does, or without a word', async () => {
    const other = new OtherEnd();
    const conversation = converse(fakeContext(), other.connection, plain);
    other.end(7);
    expect(await conversation).toEqual({ detached: false, end: { exitCode: 7 } });
    const lost = new OtherEnd();
    lost.end();
    expect(await converse(fakeContext(), lost.connection, plain)).toEqual({ detached: false, end: undefined });
    expect(other.sent).toEqual([]);
  });

  test('passes signals on by their numbers, and kills what was asked three times', async () => {
    const other = new OtherEnd();
    const context = fakeContext();
    const conversation = converse(context, other.connection, { ...plain, signals: true });
    const raise = (name: (typeof signals)[number]): void => {
      for (const listener of ours(name)) listener(name);
    };
    for (const name of ['SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGINT', 'SIGTERM'] as const)
      raise(name);
    expect(other.sent).toEqual(['1', '3', '10', '12', '14', '2', '15'].map((number) => ['k', number]));
    expect(context.err()).toBe('');
    raise('SIGINT');
    raise('SIGINT');
    expect(other.sent.slice(7)).toEqual([
      ['k', '9'],
      ['k', '9'],
    ]);
    // It is said once.
    expect(context.err()).toBe('tsbuild: asked three times, so the container is killed\n');
    other.end(137);
    await conversation;
  });

  test('listens to signals before the container can start', async () => {
    const other = new OtherEnd();
    const attached = Promise.withResolvers<void>();
    Object.assign(other.connection, { attach: () => attached.promise });
    const conversation = converse(fakeContext(), other.connection, { ...plain, signals: true, attach: true });
    expect(ours('SIGINT')).toHaveLength(1);
    attached.resolve();
    other.end(0);
    await conversation;
  });

  test('asks for output, and to be the input where there is one', async () => {
    for (const input of [true, false]) {
      const other = new OtherEnd();
      const conversation = converse(fakeContext(), other.connection, { ...plain, attach: true, input });
      await turn();
      expect(other.sent[0]).toEqual(['A', input ? 'io' : 'o']);
      other.end(0);
      await conversation;
    }
  });

  test('passes input on, and its end', async () => {
    const other = new OtherEnd();
    const context = fakeContext({ stdin: ['one', 'two'] });
    const conversation = converse(context, other.connection, { ...plain, input: true });
    await new Promise((resolve) => context.stdin.once('end', resolve));
    expect(other.sent).toEqual([
      ['i', 'one'],
      ['i', 'two'],
      ['c', ''],
    ]);
    other.end(0);
    await conversation;
    expect(context.stdin.listenerCount('data')).toBe(0);
  });

  const typed = (): { readonly context: CliContext; readonly stdin: PassThrough } => {
    const stdin = new PassThrough();
    return { context: { ...fakeContext(), stdin }, stdin };
  };

  test('waits with input while the container takes none, and goes on with it', async () => {
    const { context, stdin } = typed();
    const other = new OtherEnd();
    other.isFull = true;
    const conversation = converse(context, other.connection, { ...plain, input: true });
    stdin.write('first');
    await turn();
    stdin.write('second');
    await turn();
    expect(other.sent).toEqual([['i', 'first']]);
    other.isFull = false;
    other.socket.emit('drain');
    await turn();
    expect(other.sent).toEqual([
      ['i', 'first'],
      ['i', 'second'],
    ]);
    other.end(0);
    await conversation;
  });

  test('that is over reads nothing more, though the other end has room now', async () => {
    const { context, stdin } = typed();
    const other = new OtherEnd();
    other.isFull = true;
    const conversation = converse(context, other.connection, { ...plain, input: true });
    stdin.write('first');
    await turn();
    other.end(0);
    await conversation;
    other.socket.emit('drain');
    expect(stdin.isPaused()).toBe(true);
    expect(other.socket.listenerCount('drain')).toBe(0);
  });

  test('is left by the keys for that, with what was typed before them sent', async () => {
    const { context, stdin } = typed();
    const other = new OtherEnd();
    const detachKeys = Buffer.from([16, 17]);
    const conversation = converse(context, other.connection, { ...plain, tty: true, input: true, detachKeys });
    stdin.write('ls');
    stdin.write(Buffer.from([16]));
    stdin.write(Buffer.from([17]));
    expect(await conversation).toEqual({ detached: true });
    expect(other.sent.filter(([kind]) => kind === 'i')).toEqual([['i', 'ls']]);
  });

  test('without a terminal knows no such keys', async () => {
    const { context, stdin } = typed();
    const other = new OtherEnd();
    const detachKeys = Buffer.from([16, 17]);
    const conversation = converse(context, other.connection, { ...plain, input: true, detachKeys });
    stdin.write(Buffer.from([16, 17]));
    await turn();
    expect(other.sent).toEqual([['i', '\u0010\u0011']]);
    other.end(0);
    await conversation;
  });

  test('tells the size of the terminal whenever it changes', async () => {
    const context = fakeContext();
    const other = new OtherEnd();
    Object.assign(context.stdout, { isTTY: true, rows: 24, columns: 80 });
    const conversation = converse(context, other.connection, { ...plain, tty: true });
    Object.assign(context.stdout, { rows: 50 });
    context.stdout.emit('resize');
    // One that is no size is not told.
    Object.assign(context.stdout, { rows: 0 });
    context.stdout.emit('resize');
    expect(other.sent).toEqual([['w', '50 80']]);
    other.end(0);
    await conversation;
    expect(context.stdout.listenerCount('resize')).toBe(0);
  });

  test('looks at the terminal of standard error where the output goes into a file', async () => {
    const context = fakeContext();
    Object.assign(context.stderr, { isTTY: true, rows: 30, columns: 100 });
    const other = new OtherEnd();
    sendWindow(context, other.connection);
    const conversation = converse(context, other.connection, { ...plain, tty: true });
    Object.assign(context.stderr, { columns: 120 });
    context.stderr.emit('resize');
    expect(other.sent).toEqual([
      ['w', '30 100'],
      ['w', '30 120'],
    ]);
    other.end(0);
    await conversation;
    expect(context.stderr.listenerCount('resize')).toBe(0);
  });
});
