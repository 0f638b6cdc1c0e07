import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  atPlace,
  collect,
  errnoOf,
  exitCodeOf,
  firstError,
  fromErrno,
  messageOf,
  messageWithHint,
  statIfThere,
  TsbuildError,
} from '../../src/util/index.ts';
import { TempDir } from '../tree/support.ts';

const usage = new TsbuildError('TSB_USAGE', 'Wrong', { hint: 'do it so' });
const thrownBy = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('what is told of a failure', () => {
  test.each<[string, unknown, number]>([
    ['a wrong command line', usage, 2],
    ['an interrupt', new TsbuildError('TSB_CANCELED', 'x'), 130],
    ['a build that took too long, as timeout(1) has it', new TsbuildError('TSB_TIMEOUT', 'x'), 124],
    ['a step', new TsbuildError('TSB_STEP', 'x'), 1],
    ['a fault', new TypeError('x'), 1],
    ['anything', undefined, 1],
    ['what was first, where giving back failed, too', new SuppressedError(new Error('then'), usage), 2],
    ['what was first of three', new SuppressedError(new Error('c'), new SuppressedError(new Error('b'), usage)), 2],
  ])('%s has an exit code', (_what, error, code) => expect(exitCodeOf(error)).toBe(code));

  test('the first failure counts, and what is none of several is itself', () => {
    const first = new Error('first');
    expect(firstError(new SuppressedError(new Error('second'), first))).toBe(first);
    expect(firstError(first)).toBe(first);
    expect(firstError(undefined)).toBeUndefined();
  });

  test('its text, whatever was thrown', () => {
    expect([new Error('a'), 'b', undefined, null, 5, { toString: () => 'c' }].map(messageOf)).toEqual(['a', 'b', 'undefined', 'null', '5', 'c']);
    expect(messageWithHint(usage)).toBe('Wrong (do it so)');
    expect(messageWithHint(new TsbuildError('TSB_STEP', 'Bad'))).toBe('Bad');
    expect(messageWithHint(new Error('Bad'))).toBe('Bad');
  }); // oxfmt-ignore

  test('a place, where it has none yet', () => {
    const place = [{ file: 'Dockerfile', startLine: 3, endLine: 4 }];
    const other = [{ file: 'Dockerfile', startLine: 9, endLine: 9 }];
    const placed = atPlace(usage, place);
    expect(placed).toMatchObject({
      code: 'TSB_USAGE',
      message: 'Wrong',
      hint: 'do it so',
      ranges: place,
      cause: usage,
    });
    expect(atPlace(placed, other)).toBe(placed);
    expect(atPlace(usage, [])).toBe(usage);
    const fault = new Error('x');
    expect(atPlace(fault, place)).toBe(fault);
  });
});

describe('an errno', () => {
  test('is that of a system call, and of nothing else', () => {
    expect(errnoOf(thrownBy(() => fs.readFileSync('/none/here')))).toBe('ENOENT');
    expect(errnoOf(Object.assign(new Error('x'), { code: 'Unknown system error -122' }))).toBe('EDQUOT');
    for (const other of [undefined, null, 'ENOENT', 5, {}, { code: 5 }, new Error('ENOENT')]) expect(errnoOf(other)).toBeUndefined();
  }); // oxfmt-ignore

  test('is told once: what was told already stays', () => {
    expect(fromErrno(usage, 'Cannot read', 'TSB_CONTEXT')).toBe(usage);
    const error = thrownBy(() => fs.readFileSync('/none/here'));
    expect(fromErrno(error, 'Cannot read "x"', 'TSB_CONTEXT', { hint: 'usual', hints: { ENOENT: 'make it' } })).toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: 'Cannot read "x": it does not exist',
      hint: 'make it',
      cause: error,
    });
    expect(fromErrno('just text', 'Cannot do it', 'TSB_STORE').message).toBe('Cannot do it: just text');
  }); // oxfmt-ignore
});

describe('what is at a path that somebody typed', () => {
  test('is told, or that nothing is', () => {
    using dir = new TempDir();
    dir.write('file', 'text');
    dir.link('file', 'link');
    dir.link('nowhere', 'dangling');
    expect(statIfThere(join(dir.path, 'file'))?.isFile()).toBe(true);
    expect(statIfThere(join(dir.path, 'link'))?.isFile()).toBe(true);
    expect(statIfThere(join(dir.path, 'link'), false)?.isSymbolicLink()).toBe(true);
    expect(statIfThere(join(dir.path, 'dangling'))).toBeUndefined();
    expect(statIfThere(join(dir.path, 'dangling'), false)?.isSymbolicLink()).toBe(true);
    expect(statIfThere(join(dir.path, 'none'))).toBeUndefined();
    // No file can be called so.
    expect(statIfThere(join(dir.path, 'x'.repeat(300)))).toBeUndefined();
    expect(statIfThere(`/${'y/'.repeat(3000)}`)).toBeUndefined();
    expect(statIfThere(join(dir.path, 'file/below'))).toBeUndefined();
    dir.link('loop', 'loop');
    expect(() => statIfThere(join(dir.path, 'loop'))).toThrow(/^Cannot look at ".*loop": too many symbolic links/);
  });
});

describe('a stream in one piece', () => {
  async function* chunks(...all: readonly string[]): AsyncGenerator<Uint8Array> {
    // Whoever makes them uses the same memory for all.
    const memory = Buffer.alloc(16);
    for (const text of all) {
      await Promise.resolve();
      yield memory.subarray(0, memory.write(text));
    }
  }
  const limit = (maxBytes: number) => ({ maxBytes, tooMuch: () => new Error('too much') });

  test('is all of it', async () => {
    expect((await collect(chunks('one', 'two', '', 'three'))).toString()).toBe('onetwothree');
    expect(await collect(chunks())).toEqual(Buffer.alloc(0));
    expect((await collect(chunks('ab', 'c'), limit(3))).toString()).toBe('abc');
  });

  test('is not read further than there is room for', async () => {
    let made = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        made++;
        await Promise.resolve();
        yield Buffer.alloc(10);
      }
    }
    await expect(collect(endless(), limit(25))).rejects.toThrow('too much');
    expect(made).toBe(3);
  });
});
