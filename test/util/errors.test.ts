import { describe, expect, test } from 'vitest';
import { fromErrno, reasonOf, TsbuildError } from '../../src/util/index.ts';
import { storeError } from '../../src/store/index.ts';

const system = (code: string): Error => Object.assign(new Error(`${code}: it failed`), { code });

test.each([
  ['Cannot use size "x": it is no number', 'it is no number'],
  ['Cannot read "a": it is at b: c', 'it is at b: c'],
  ['It is no number', 'It is no number'],
])('why %j', (message, reason) => {
  expect(reasonOf(new TsbuildError('TSB_USAGE', message))).toBe(reason);
});

describe('errors of the system', () => {
  test.each([
    ['ENOSPC', 'TSB_NO_SPACE', 'no space left on device', /prune/],
    ['Unknown system error -122', 'TSB_NO_SPACE', 'the disk quota is used up', /prune/],
    ['EMFILE', 'TSB_INTERNAL', 'too many files are open', /ulimit -n/],
    ['ENFILE', 'TSB_CONTEXT', 'too many files are open on this machine', /ulimit -n/],
    ['EIO', 'TSB_CONTEXT', 'the disk reports an error (EIO)', /dmesg/],
    ['EACCES', 'TSB_PERMISSION', 'permission denied', /^make it readable$/],
    ['EISDIR', 'TSB_CONTEXT', 'it is a directory', /^make it readable$/],
    ['EWHATEVER', 'TSB_CONTEXT', 'EWHATEVER: it failed', /^make it readable$/],
  ])('%s tells what it means and what helps against it, not against something else', (errno, code, reason, hint) => {
    const error = fromErrno(system(errno), 'Cannot read "x"', 'TSB_CONTEXT', { hint: 'make it readable' });
    expect(error).toMatchObject({ code, message: `Cannot read "x": ${reason}` });
    expect(error.hint).toMatch(hint);
  });

  test.each([
    ['ENOSPC', /tsbuild prune/],
    ['EDQUOT', /tsbuild prune/],
    ['EISDIR', /store check --repair/],
    ['ENOTDIR', /store check --repair/],
    ['ENOENT', /store check --repair/],
    ['EACCES', /TSBUILD_ROOT/],
    ['EROFS', /TSBUILD_ROOT/],
    ['EIO', /dmesg/],
  ])('%s in the store has its own remedy', (errno, hint) => {
    expect(storeError(system(errno), 'Cannot write "x"', '/x').hint).toMatch(hint);
  });
});

test('a message has an end, whatever it quotes', () => {
  const error = new TsbuildError('TSB_IMAGE', `Cannot use ${JSON.stringify('\u001b'.repeat(20_000))}`);
  expect(error.message.length).toBeLessThan(10_000);
  expect(error.message).toMatch(/…$/);
});
