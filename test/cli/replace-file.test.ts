import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { replaceFile } from '../../src/cli/replace-file.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-replace-'));
  mkdirSync(join(dir, 'root'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('a file that is no longer what was read is left alone', () => {
  const path = join(dir, 'root/f');
  writeFileSync(path, 'somebody else was here');
  const replace = (): void => replaceFile({ path, root: join(dir, 'root'), before: 'old', after: 'new' });
  expect(replace).toThrow(expect.objectContaining({ code: 'TSB_CHANGED' }));
  expect(readFileSync(path, 'utf8')).toBe('somebody else was here');
  expect(readdirSync(join(dir, 'root'))).toEqual(['f']);
});

test('a link out of the directory is not followed', () => {
  writeFileSync(join(dir, 'outside'), 'old');
  symlinkSync('../outside', join(dir, 'root/f'));
  const replace = (): void =>
    replaceFile({ path: join(dir, 'root/f'), root: join(dir, 'root'), before: 'old', after: 'new' });
  expect(replace).toThrow(/a link to a file outside/);
  expect(readFileSync(join(dir, 'outside'), 'utf8')).toBe('old');
});

test('a file that is gone is not made again', () => {
  const replace = (): void =>
    replaceFile({ path: join(dir, 'root/f'), root: join(dir, 'root'), before: 'old', after: 'new' });
  expect(replace).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
  expect(readdirSync(join(dir, 'root'))).toEqual([]);
});
