import { describe, expect, test } from 'vitest';
import {
  exitCodeOfSignal,
  interruptible,
  print,
  printForeign,
  processContext,
  written,
} from '../../src/cli/context.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { fakeContext } from '../fakes/cli-context.ts';

describe('what a command sees of the outside', () => {
  test('variables of the environment, and nothing else under their names', () => {
    const { env } = processContext();
    expect(env['PATH']).toBe(process.env['PATH']);
    for (const name of ['valueOf', 'constructor', 'toString', '__proto__']) expect(env[name]).toBeUndefined();
  });

  test('output is written whole, and a reader that went away is no failure', async () => {
    const context = fakeContext();
    await print(context, 'one\n');
    await print(context, Buffer.from('two\n'));
    await written(context.stdout);
    expect(context.out()).toBe('one\ntwo\n');
    const gone = fakeContext({ stdoutFails: Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }) });
    await print(gone, 'three');
  });

  test('what images say of themselves is as it is for a program, and no command for a terminal', async () => {
    const text = 'a\u001b[31m\u009b2J\n';
    const program = fakeContext();
    await printForeign(program, text);
    expect(program.out()).toBe(text);
    const terminal = fakeContext();
    Object.assign(terminal.stdout, { isTTY: true });
    await printForeign(terminal, Buffer.from(text));
    expect(terminal.out()).toBe('a^[[31m\\u{9b}2J\n');
  });

  test('a full disk under standard output is a failure that says so', async () => {
    const full = fakeContext({ stdoutFails: Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' }) });
    await expect(print(full, 'x')).rejects.toMatchObject({
      code: 'TSB_NO_SPACE',
      message: 'Cannot write to standard output: no space left on device',
    });
  });
});

describe('signals', () => {
  test('the first one cancels with its name, and they are given back', () => {
    const before = process.listenerCount('SIGTERM');
    {
      using interrupt = interruptible();
      expect(interrupt.received()).toBeUndefined();
      process.emit('SIGTERM', 'SIGTERM');
      expect(interrupt.received()).toBe('SIGTERM');
      const reason: unknown = interrupt.signal.reason;
      expect(isTsbuildError(reason, 'TSB_CANCELED') && reason.message).toBe('Canceled by SIGTERM');
    }
    expect(process.listenerCount('SIGTERM')).toBe(before);
  });

  test.each([
    ['SIGHUP', 129],
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends with %i, as in shells', (name, code) => {
    expect(exitCodeOfSignal(name)).toBe(code);
  });
});
