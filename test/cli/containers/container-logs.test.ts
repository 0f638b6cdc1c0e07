import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { containerLogs, type ContainerLogOptions } from '../../../src/cli/containers/container-logs.ts';
import type { Container, Containers, ContainerState } from '../../../src/containers/index.ts';
import { fakeContext, type FakeContext } from '../../fakes/cli-context.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
let dir = '';
let live = false;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-logs-'));
  live = false;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A minute of the morning, as the log has it. */
const at = (minute: number): string => `2026-01-31T11:${String(minute).padStart(2, '0')}:00.000000000Z`;
const line = (minute: number, text: string, stream = 'stdout', kind = 'F'): string =>
  `${at(minute)} ${stream} ${kind} ${text}\n`;
const write = (...lines: readonly string[]): void => writeFileSync(join(dir, 'log'), lines.join(''));

interface Shown {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function logs(
  options: ContainerLogOptions = {},
  context: FakeContext = fakeContext({ now: () => NOW }),
  record: object = {},
): Promise<Shown> {
  const container = { directory: dir, name: 'web', record } as unknown as Container;
  const state: ContainerState = { status: 'running', pid: 1, exitCode: 0, restarts: 0, started: '', finished: '' };
  const containers = {
    state: () => Promise.resolve(live ? state : { ...state, status: 'exited' as const }),
  } as unknown as Containers;
  const code = await containerLogs(context, { container, containers, signal: new AbortController().signal }, options);
  return { code, out: context.out(), err: context.err() };
}

function terminal(): FakeContext {
  const context = fakeContext({ now: () => NOW });
  Object.assign(context.stdout, { isTTY: true });
  return context;
}

describe('logs of a container', () => {
  test('have both streams apart, byte for byte', async () => {
    write(line(1, 'one'), line(2, 'two', 'stderr'), line(3, '\u001b[31mred\u0000'));
    expect(await logs()).toEqual({ code: 0, out: 'one\n\u001b[31mred\u0000\n', err: 'two\n' });
  });

  test('of one that keeps none are refused, with the reason', async () => {
    const none = logs({}, fakeContext(), { log: { maxBytes: 0, maxFiles: 0 } });
    await expect(none).rejects.toMatchObject({
      code: 'TSB_STEP',
      message: 'Cannot show the log of web: it keeps none (--log-driver none)',
    });
  });

  test('--details has room before each line for what docker has there', async () => {
    write(line(1, 'one'), line(2, 'two'));
    expect((await logs({ details: true })).out).toBe(' one\n two\n');
    expect((await logs({ details: true, timestamps: true, tail: '1' })).out).toBe(`${at(2)}  two\n`);
  });

  test('of a program that printed nothing, or whose log is gone, are empty', async () => {
    expect(await logs()).toEqual({ code: 0, out: '', err: '' });
    write();
    expect(await logs({ follow: true })).toEqual({ code: 0, out: '', err: '' });
  });

  test('leave out what is no line of a log', async () => {
    write('nonsense\n', line(1, 'one'), '2026 stdout X two\n');
    expect((await logs()).out).toBe('one\n');
  });

  test.each([
    ['0', ''],
    ['1', 'three\n'],
    ['2', 'two\nthree\n'],
    ['99', 'one\ntwo\nthree\n'],
    ['all', 'one\ntwo\nthree\n'],
    ['-1', 'one\ntwo\nthree\n'],
  ])('--tail %s', async (tail, text) => {
    write(line(1, 'one'), line(2, 'two'), line(3, 'three'));
    expect((await logs({ tail })).out).toBe(text);
  });

  test.each(['', 'x', '-2', '1.5', '1e3', '0x10', '9999999999'])('--tail %j is refused', async (tail) => {
    write(line(1, 'one'));
    await expect(logs({ tail })).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: `Cannot use --tail ${JSON.stringify(tail)}: expected a number of lines, or all`,
    });
  });

  test('--since and --until are about when lines were printed, both ends included', async () => {
    write(line(1, 'one'), line(2, 'two'), line(3, 'three'), line(4, 'four'));
    expect((await logs({ since: at(2), until: at(3) })).out).toBe('two\nthree\n');
    expect((await logs({ since: '57m' })).out).toBe('three\nfour\n');
    expect((await logs({ since: '0', until: '58m', tail: '1' })).out).toBe('two\n');
    expect((await logs({ since: at(5) })).out).toBe('');
    await expect(logs({ since: 'noon' })).rejects.toMatchObject({ message: 'Cannot use --since "noon"' });
    await expect(logs({ until: 'noon' })).rejects.toMatchObject({ message: 'Cannot use --until "noon"' });
  });

  test('--timestamps stand before lines', async () => {
    write(line(1, 'one'), line(2, ''), line(3, 'three', 'stderr'));
    expect(await logs({ timestamps: true })).toMatchObject({
      out: `${at(1)} one\n${at(2)} \n`,
      err: `${at(3)} three\n`,
    });
  });

  test('--timestamps do not stand within a line that is so long that it came in parts', async () => {
    const part = 'x'.repeat(16 * 1024);
    write(
      line(1, part, 'stdout', 'P'),
      // What the other stream says in the meantime is a line of its own.
      line(1, 'meanwhile', 'stderr'),
      line(2, part, 'stdout', 'P'),
      line(3, 'end'),
      line(4, 'next'),
    );
    expect(await logs({ timestamps: true })).toMatchObject({
      out: `${at(1)} ${part}${part}end\n${at(4)} next\n`,
      err: `${at(1)} meanwhile\n`,
    });
  });

  test('the last words of a program that ended without a line feed do not take the time from what follows', async () => {
    write(line(1, 'bye', 'stdout', 'P'), line(2, 'again'));
    expect((await logs({ timestamps: true })).out).toBe(`${at(1)} bye${at(2)} again\n`);
  });

  test('on a terminal keep colours, and nothing else that controls it', async () => {
    write(line(1, '\u001b[31mred\u001b[0m \u001b[2J\u001b]0;title\u0007end'));
    const { out } = await logs({}, terminal());
    expect(out).toContain('\u001b[31mred\u001b[0m');
    expect(out).not.toContain('\u001b[2J');
    expect(out).not.toContain('\u001b]');
    expect(out).not.toContain('\u0007');
  });

  test('on a terminal do not tear a character that two parts of a line share', async () => {
    const bytes = Buffer.from('ä'.repeat(8193));
    const parts = [bytes.subarray(0, 16 * 1024 - 1), bytes.subarray(16 * 1024 - 1)];
    writeFileSync(
      join(dir, 'log'),
      Buffer.concat(
        parts.flatMap((part, index) => [
          Buffer.from(`${at(1)} stdout ${index === 0 ? 'P' : 'F'} `),
          part,
          Buffer.from('\n'),
        ]),
      ),
    );
    expect((await logs({}, terminal())).out).toBe(`${'ä'.repeat(8193)}\n`);
  });

  test('--follow has what is printed until the end, and ends with it', async () => {
    write(line(1, 'one'));
    live = true;
    const context = fakeContext({ now: () => NOW });
    const shown = logs({ follow: true, tail: '0' }, context);
    appendFileSync(join(dir, 'log'), line(2, 'two'));
    await expect.poll(() => context.out(), { interval: 5 }).toBe('two\n');
    appendFileSync(join(dir, 'log'), line(3, 'three'));
    live = false;
    expect(await shown).toEqual({ code: 0, out: 'two\nthree\n', err: '' });
  });

  test('--follow is over at the time of --until, also when nothing more is printed', async () => {
    write(line(1, 'one'));
    live = true;
    expect((await logs({ follow: true, until: '5m' })).out).toBe('one\n');
  });

  test('whoever reads them may go away', async () => {
    write(line(1, 'one'));
    const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE', errno: -32 });
    live = true;
    expect((await logs({ follow: true }, fakeContext({ now: () => NOW, stdoutFails: gone }))).code).toBe(0);
  });
});
