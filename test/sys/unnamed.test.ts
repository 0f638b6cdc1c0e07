import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileBatch, fileBatch, nameFile, O_TMPFILE, tryFlock } from '../../src/sys/index.ts';
import { TempDir } from '../tree/support.ts';

/** Not every file system has such files. */
function canOpenUnnamed(): boolean {
  try {
    fs.closeSync(fs.openSync(tmpdir(), O_TMPFILE | fs.constants.O_RDWR, 0o600));
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!canOpenUnnamed())('files that were made without a name', () => {
  let dir: TempDir;
  let fd: number;
  beforeEach(() => {
    dir = new TempDir();
    fd = fs.openSync(dir.path, O_TMPFILE | fs.constants.O_RDWR, 0o600);
    fs.writeSync(fd, 'text');
  });
  afterEach(() => {
    fs.closeSync(fd);
    dir[Symbol.dispose]();
  });

  test('get one, of any characters', () => {
    nameFile(fd, `${dir.path}/ä b`);
    expect(fs.readFileSync(`${dir.path}/ä b`, 'utf8')).toBe('text');
  });

  test('do not get one that something has, or that leads nowhere', () => {
    dir.write('taken', 'other');
    fs.symlinkSync('nowhere', `${dir.path}/link`);
    expect(() => nameFile(fd, `${dir.path}/taken`)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
    expect(() => nameFile(fd, `${dir.path}/link`)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
    expect(() => nameFile(fd, `${dir.path}/missing/name`)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    expect(() => nameFile(fd, `${dir.path}/a\0b`)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    expect(fs.readdirSync(dir.path).toSorted()).toEqual(['link', 'taken']);
    expect(fs.readFileSync(`${dir.path}/taken`, 'utf8')).toBe('other');
  });

  test('have one lock', () => {
    nameFile(fd, `${dir.path}/locked`);
    const other = fs.openSync(`${dir.path}/locked`, 'r');
    try {
      expect(tryFlock(fd)).toBe('locked');
      expect(tryFlock(fd)).toBe('locked');
      expect(tryFlock(other)).toBe('busy');
    } finally {
      fs.closeSync(other);
    }
    expect(() => tryFlock(other)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test('arguments of another kind are refused by the add-on', () => {
    const batch = fileBatch() as FileBatch;
    const refused = 'Not the arguments';
    expect(() => batch.name(fd, Buffer.from('/no-end'))).toThrow(refused);
    expect(() => batch.name(fd, Buffer.from('a\0b\0'))).toThrow(refused);
    expect(() => batch.name(fd, new Uint8Array(0))).toThrow(refused);
    expect(() => batch.lock('1' as unknown as number)).toThrow(refused);
  });
});
