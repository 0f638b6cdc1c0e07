import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { lastErrno, libc } from '../../src/sys/native.ts';
import { getXattr } from '../../src/sys/index.ts';

const close = libc('close', 'int', ['int']);

test('the error of a call stays what it was, whatever else fails in this process before it is asked for', () => {
  expect(close(-1)).toBe(-1);
  // Node's own calls set the C library's variable as well.
  expect(existsSync('/nowhere/at/all')).toBe(false);
  expect(lastErrno()).toBe(constants.errno.EBADF);
});

test('an attribute that cannot be read of an open file is told of with the call', () => {
  expect(() => getXattr(-1, 'user.x')).toThrow('EBADF: bad file descriptor, getxattr');
});
