import { PassThrough } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ask, isInteractive, readSecret } from '../../src/cli/prompt.ts';
import { type FakeContext, fakeContext } from '../fakes/cli-context.ts';

/** A terminal at which these pieces are typed, with what was asked of it. */
function terminal(...typed: readonly (string | Uint8Array)[]): FakeContext & { readonly raw: boolean[] } {
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => raw.push(on) });
  for (const piece of typed) stdin.write(piece);
  return Object.assign(fakeContext(), { stdin, raw });
}

describe('a question on a terminal', () => {
  test('shows what is typed, and gives the terminal back as it was', async () => {
    const context = terminal('ali', 'ce\r');
    expect(await ask(context, 'User: ', { secret: false })).toBe('alice');
    expect(context.err()).toBe('User: alice\n');
    expect(context.out()).toBe('');
    expect(context.raw).toEqual([true, false]);
  });

  test('shows nothing of a secret, not even how long it is', async () => {
    const context = terminal('pass', '\u007f', 'word\n');
    expect(await ask(context, 'Password: ', { secret: true })).toBe('pasword');
    expect(context.err()).toBe('Password: \n');
  });

  test.each([
    ['backspace', 'abc\u007f\bd\r', 'ad', 'abc\b \b\b \bd'],
    ['backspace at the beginning', '\u007fa\r', 'a', 'a'],
    ['Ctrl-U', 'abc\u0015d\r', 'd', `abc${'\b \b'.repeat(3)}d`],
    ['keys that are no characters', '\u0001a\u001b\tb\r', 'ab', 'ab'],
    ['Ctrl-D within a line', 'a\u0004b\r', 'ab', 'ab'],
    ['no answer', '\r', '', ''],
  ])('takes %s', async (_key, typed, answer, shown) => {
    const context = terminal(typed);
    expect(await ask(context, '', { secret: false })).toBe(answer);
    expect(context.err()).toBe(`${shown}\n`);
  });

  test('letters may come in two pieces', async () => {
    const bytes = Buffer.from('é\r');
    expect(await ask(terminal(bytes.subarray(0, 1), bytes.subarray(1)), '', { secret: false })).toBe('é');
  });

  test.each([
    ['Ctrl-C', 'abc\u0003'],
    ['Ctrl-D', '\u0004'],
  ])('%s cancels, and the terminal is as before', async (_key, typed) => {
    const context = terminal(typed);
    await expect(ask(context, '', { secret: true })).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    expect(context.raw).toEqual([true, false]);
  });

  test('so does the end of the input before a line', async () => {
    const context = terminal('abc');
    (context.stdin as unknown as PassThrough).end();
    await expect(ask(context, '', { secret: true })).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    expect(context.raw).toEqual([true, false]);
  });

  test('a second question is answered by what comes after the first', async () => {
    const context = terminal('alice\r');
    expect(await ask(context, '', { secret: false })).toBe('alice');
    (context.stdin as unknown as PassThrough).write('secret\r');
    expect(await ask(context, '', { secret: true })).toBe('secret');
  });

  test('an answer without end is cut, and does not fill the memory', async () => {
    const answer = await ask(terminal('x'.repeat(200_000), '\r'), '', { secret: true });
    expect(answer).toHaveLength(64 * 1024);
  });
});

describe('a secret on standard input', () => {
  test('is all of it, without the line break at its end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, unit: 'grapheme' }), fc.constantFrom('', '\n', '\r\n'), async (text, end) => {
        fc.pre(!/\r?\n$/.test(text) && !(end === '\n' && text.endsWith('\r')));
        const bytes = Buffer.from(text + end);
        const stdin = [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)];
        expect(await readSecret(fakeContext({ stdin }), '--password-stdin')).toBe(text);
      }),
    ); // oxfmt-ignore
  });

  test('is none when there is nothing, or no end of it', async () => {
    for (const nothing of [[], ['\n'], ['']])
      await expect(readSecret(fakeContext({ stdin: nothing }), '--password-stdin')).rejects.toMatchObject({
        code: 'TSB_USAGE',
        message: 'Cannot use --password-stdin: standard input is empty',
        hint: expect.stringContaining('< token.txt') as string,
      });
    await expect(readSecret(fakeContext({ stdin: ['x'.repeat(65_537)] }), '--x')).rejects.toThrow('more than 65536');
  });

  test('nobody is asked where nobody sits', () => {
    expect(isInteractive(fakeContext())).toBe(false);
    expect(isInteractive(terminal())).toBe(true);
  });
});
