import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fstat, getXattr, isInState, listXattrs, setXattr, statatIfExists, AT_FDCWD } from '../../src/sys/index.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
let path: string;
let fd: number;
beforeEach(() => {
  dir = new TempDir();
  path = join(dir.path, 'file');
  fs.writeFileSync(path, 'content');
  fs.utimesSync(path, 1_000_000_000, 1_000_000_000);
  fd = fs.openSync(path, 'r+');
});
afterEach(() => {
  fs.closeSync(fd);
  dir[Symbol.dispose]();
});

describe('the state of a file', () => {
  test('stays the same while it is read and looked at', () => {
    const state = fstat(fd);
    fs.readFileSync(path);
    fs.statSync(path);
    expect(isInState(fd, state)).toBe(true);
    // By another descriptor it is the same file.
    const other = fs.openSync(path, 'r');
    expect(isInState(other, state)).toBe(true);
    fs.closeSync(other);
  });

  test.each<[string, () => void]>([
    ['more in it', () => fs.appendFileSync(path, '!')],
    ['another mode', () => fs.fchmodSync(fd, 0o611)],
    ['another part of a second', () => fs.utimesSync(path, 1_000_000_000, 1_000_000_000.25)],
    ['a further name', () => fs.linkSync(path, `${path}-too`)],
  ])('is another with %s', (_what, change) => {
    const state = fstat(fd);
    change();
    expect(isInState(fd, state)).toBe(false);
  });

  test('is another where the content was replaced and all times set back, for nobody can set that of the change', () => {
    const state = fstat(fd);
    fs.writeFileSync(path, 'CONTENT');
    fs.utimesSync(path, 1_000_000_000, 1_000_000_000);
    const now = fstat(fd);
    expect([now.size, now.mtimeSec, now.mtimeNsec]).toEqual([state.size, state.mtimeSec, state.mtimeNsec]);
    expect(isInState(fd, state)).toBe(false);
  });

  test('is another for a file with the same content, mode and time', () => {
    const state = fstat(fd);
    fs.copyFileSync(path, `${path}-copy`);
    fs.utimesSync(`${path}-copy`, 1_000_000_000, 1_000_000_000);
    const copy = fs.openSync(`${path}-copy`, 'r');
    expect(isInState(copy, state)).toBe(false);
    fs.closeSync(copy);
  });

  test.each([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 32 + 5, 2 ** 40])('has a size of %i bytes', (size) => {
    fs.ftruncateSync(fd, size);
    expect(fstat(fd).size).toBe(size);
    expect(isInState(fd, fstat(fd))).toBe(true);
    expect(isInState(fd, { ...fstat(fd), size: size + 2 ** 32 })).toBe(false);
  });

  test.each([-1, -1_000_000_000, 0, 1, 2 ** 31 - 1])('has a time %i seconds from 1970', (seconds) => {
    // Numbers below 0 are the present for Node.
    fs.futimesSync(fd, new Date(seconds * 1000), new Date(seconds * 1000));
    expect(fstat(fd)).toMatchObject({ mtimeSec: seconds, mtimeNsec: 0 });
  });
});

describe('what is not there', () => {
  test.each(['none', 'none/below', 'file/below'])('%s has no state', (name) => {
    expect(statatIfExists(AT_FDCWD, join(dir.path, name))).toBeUndefined();
  });

  test('a name that is too long is an error', () => {
    expect(() => statatIfExists(AT_FDCWD, join(dir.path, 'x'.repeat(256)))).toThrow(/ENAMETOOLONG/);
  });
});

describe('extended attributes', () => {
  test('are read whole, however long, after short ones and before them', () => {
    setXattr(fd, 'user.short', 'x');
    // ext4 has room for little more than its block.
    const long = Buffer.alloc(3000, 'y');
    setXattr(fd, 'user.long', long);
    for (const name of ['short', 'long', 'short'] as const)
      expect(getXattr(fd, `user.${name}`)?.toString()).toBe(name === 'short' ? 'x' : long.toString());
    expect(new Set(listXattrs(path))).toEqual(new Set(['user.short', 'user.long']));
  });

  test('of which there are many are all listed', () => {
    const names = Array.from({ length: 40 }, (_, index) => `user.${String(index).padStart(40, 'n')}`);
    for (const name of names) setXattr(path, name, '');
    expect(listXattrs(fd)).toHaveLength(names.length);
    expect(new Set(listXattrs(fd))).toEqual(new Set(names));
    expect(getXattr(fd, names[7] ?? '')).toEqual(Buffer.alloc(0));
  });

  test('that are not there are undefined, and none; binary ones stay as they are', () => {
    expect(getXattr(fd, 'user.none')).toBeUndefined();
    expect(listXattrs(fd)).toEqual([]);
    const bytes = Buffer.from([0, 255, 10, 0]);
    setXattr(path, 'user.bytes', bytes);
    expect(getXattr(path, 'user.bytes')).toEqual(bytes);
    setXattr(path, 'user.bytes', 'text');
    expect(getXattr(path, 'user.bytes')?.toString()).toBe('text');
  });

  test('of a file that is gone are an error with its name', () => {
    expect(() => getXattr(join(dir.path, 'none'), 'user.a')).toThrow(/ENOENT.*none/);
    expect(() => setXattr(join(dir.path, 'none'), 'user.a', '')).toThrow(/ENOENT.*none/);
  });
});
