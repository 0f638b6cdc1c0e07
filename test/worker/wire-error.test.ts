import { describe, expect, test } from 'vitest';
import { TsbuildError } from '../../src/util/index.ts';
import { fromWire, toWire } from '../../src/worker/wire-error.ts';

describe('errors on their way from the worker', () => {
  test('keep what a user is told', () => {
    const sent = fromWire(toWire(new TsbuildError('TSB_DIGEST', 'Cannot', { hint: 'do' })));
    expect(sent).toMatchObject({ code: 'TSB_DIGEST', message: 'Cannot', hint: 'do' });
  });

  test.each([
    [Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN' }), /processes or threads/],
    [Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' }), /processes or threads/],
    [Object.assign(new Error('EMFILE: too many open files, open'), { code: 'EMFILE' }), /files/],
  ])('%s is a limit of the machine, not a fault of tsbuild', (error, says) => {
    const sent = fromWire(toWire(error));
    expect(sent.code).toBe('TSB_SANDBOX');
    expect(sent.message).toMatch(says);
    expect(sent.hint).toContain('ulimit');
  });

  test('names of files do not make it another error', () => {
    for (const name of ['EMFILE', 'a EAGAIN b', 'ENOMEM/x', 'ENOSPC']) {
      const error = Object.assign(new Error(`ENOENT: no such file or directory, open '/context/${name}'`), { code: 'ENOENT' });
      expect(toWire(error)).toMatchObject({ code: 'TSB_INTERNAL', message: `The worker failed: ${error.message}` });
    }
  }); // oxfmt-ignore

  test('a full disk is told as such', () => {
    for (const code of ['ENOSPC', 'EDQUOT'])
      expect(toWire(Object.assign(new Error(`${code}: write`), { code }))).toMatchObject({
        code: 'TSB_NO_SPACE',
        hint: expect.stringContaining('tsbuild prune') as string,
      });
  });

  test('what is no error is told, too', () => {
    expect(toWire('just text')).toEqual({ code: 'TSB_INTERNAL', message: 'The worker failed: just text' });
    expect(toWire(undefined)).toMatchObject({ code: 'TSB_INTERNAL', message: 'The worker failed: undefined' });
    expect(toWire({ code: 'EMFILE' }).code).toBe('TSB_SANDBOX');
    expect(fromWire({ code: 'TSB_STEP', message: 'm' })).toMatchObject({ code: 'TSB_STEP', hint: undefined });
  });

  test('anything else is a fault of tsbuild, with the place', () => {
    const sent = fromWire(toWire(new TypeError('x is not a function')));
    expect(sent).toMatchObject({ code: 'TSB_INTERNAL', message: 'The worker failed: x is not a function' });
    expect((sent.cause as Error).message).toContain('wire-error.test.ts');
  });
});
