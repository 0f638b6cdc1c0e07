import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeLockFile } from '../../src/pins/index.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-lock-'));
  path = join(folder, 'tsbuild.lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a lock file', () => {
  test('is written where there is none, and nothing else is left beside it', () => {
    expect(writeLockFile(path, 'new\n')).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('new\n');
    expect(readdirSync(folder)).toEqual(['tsbuild.lock']);
  });

  test('that says the same stays as it is, times included: it is a part of contexts', () => {
    writeFileSync(path, 'same\n');
    utimesSync(path, 1000, 1000);
    const before = statSync(path);
    expect(writeLockFile(path, 'same\n')).toBe(false);
    expect(statSync(path)).toMatchObject({ ino: before.ino, mtimeMs: 1_000_000 });
  });

  test('is replaced as a whole, and keeps its mode', () => {
    writeFileSync(path, 'old and longer\n');
    chmodSync(path, 0o640);
    expect(writeLockFile(path, 'new\n')).toBe(true);
    expect(readFileSync(path, 'utf8')).toBe('new\n');
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  test('that is a link stays one', () => {
    writeFileSync(join(folder, 'real'), 'old\n');
    symlinkSync('real', path);
    expect(writeLockFile(path, 'new\n')).toBe(true);
    expect(readFileSync(join(folder, 'real'), 'utf8')).toBe('new\n');
  });

  test('that cannot be written says which, and why', () => {
    mkdirSync(path);
    expect(() => writeLockFile(path, 'new\n')).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`${JSON.stringify(path)}: `) as string }),
    );
    const lost = join(folder, 'none', 'tsbuild.lock');
    expect(() => writeLockFile(lost, 'new\n')).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^Cannot write .*tsbuild\.lock": /) as string }),
    );
  });
});
