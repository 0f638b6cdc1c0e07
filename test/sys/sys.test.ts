import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { testAsRoot } from '../support/real-root.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RESOLVE_IN_ROOT } from './constants.ts';
import * as sys from '../../src/sys/index.ts';

let base: string;
let root: string;
let dir: number;
let counter = 0;

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'tsbuild-sys-'));
});

beforeEach(() => {
  root = join(base, String(counter++));
  sys.mkdirat(sys.AT_FDCWD, root, 0o755);
  dir = sys.openat(sys.AT_FDCWD, root, sys.O_RDONLY | sys.O_DIRECTORY);
  return () => closeSync(dir);
});

afterAll(() => rmSync(base, { recursive: true }));

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}

describe('files beneath a directory fd', () => {
  test('names are raw bytes', () => {
    const name = Buffer.from([0x61, 0xff, 0x0a, 0x1b]);
    sys.mkdirat(dir, name, 0o700);
    expect(sys.statat(dir, name).mode).toBe(sys.S_IFDIR | 0o700);
    sys.symlinkat(Buffer.from([0xfe]), dir, 'link');
    expect([...sys.readlinkat(dir, 'link')]).toEqual([0xfe]);
    sys.renameat2(dir, name, dir, 'ä');
    expect(lstatSync(join(root, 'ä')).isDirectory()).toBe(true);
    sys.unlinkat(dir, 'ä', sys.AT_REMOVEDIR);
    expect(sys.statatIfExists(dir, 'ä')).toBeUndefined();
  });

  test.each([
    ['', 'ENOENT'],
    ['a\0b', 'EINVAL'],
    ['x'.repeat(256), 'ENAMETOOLONG'],
    ['x'.repeat(5000), 'ENAMETOOLONG'],
    ['ä'.repeat(3000), 'ENAMETOOLONG'],
    [Buffer.alloc(5000, 0x61), 'ENAMETOOLONG'],
    [Buffer.from('a\0b'), 'EINVAL'],
    ['none/x', 'ENOENT'],
  ])('mkdirat of %j fails with %s', (name, code) => {
    expect(codeOf(() => sys.mkdirat(dir, name, 0o755))).toBe(code);
  });

  test('errors look like those of node:fs', () => {
    expect(() => sys.openat(dir, 'none', sys.O_RDONLY)).toThrow(
      expect.objectContaining({
        code: 'ENOENT',
        errno: -2,
        syscall: 'openat',
        path: 'none',
        message: "ENOENT: no such file or directory, openat 'none'",
      }) as Error,
    );
  });

  test('a hard link of a symlink is a symlink', () => {
    symlinkSync('target', join(root, 'a'));
    sys.linkat(dir, 'a', dir, 'b');
    expect(readlinkSync(join(root, 'b'))).toBe('target');
    expect(sys.inodeKey(sys.statat(dir, 'a'))).toBe(sys.inodeKey(sys.statat(dir, 'b')));
  });

  testAsRoot('whiteout devices, other devices and fifos', () => {
    sys.mknodat(dir, 'whiteout', sys.S_IFCHR);
    expect(sys.statat(dir, 'whiteout')).toMatchObject({ mode: sys.S_IFCHR, rdevMajor: 0, rdevMinor: 0 });
    sys.mknodat(dir, 'fifo', sys.S_IFIFO | 0o600);
    expect(lstatSync(join(root, 'fifo')).isFIFO()).toBe(true);
    sys.mknodat(dir, 'device', sys.S_IFBLK | 0o600, 259, 70_000);
    expect(sys.statat(dir, 'device')).toMatchObject({ rdevMajor: 259, rdevMinor: 70_000 });
  });

  test('rename flags', () => {
    writeFileSync(join(root, 'a'), 'a');
    writeFileSync(join(root, 'b'), 'b');
    expect(codeOf(() => sys.renameat2(dir, 'a', dir, 'b', RENAME_NOREPLACE))).toBe('EEXIST');
    sys.renameat2(dir, 'a', dir, 'b', RENAME_EXCHANGE);
    expect(readFileSync(join(root, 'a'), 'utf8')).toBe('b');
  });
});

describe('attributes', () => {
  test.each([
    [0, 0],
    [1, 999_999_999],
    [-1, 500_000_000],
    [2 ** 33, 654_321_000],
    [-(2 ** 31), 0],
  ])('mtime %d s %d ns, on a file, an open file and a symlink', (sec, nsec) => {
    writeFileSync(join(root, 'f'), '');
    symlinkSync('f', join(root, 'l'));
    sys.utimensat(dir, 'l', { sec, nsec }, { sec, nsec });
    expect(sys.statat(dir, 'l')).toMatchObject({ mtimeSec: sec, mtimeNsec: nsec });
    const fd = openSync(join(root, 'f'), 'r');
    sys.utimensat(fd, null, { sec, nsec }, { sec, nsec });
    expect(sys.fstat(fd)).toMatchObject({ mtimeSec: sec, mtimeNsec: nsec });
    closeSync(fd);
  });

  testAsRoot('ownership of a symlink itself; -1 keeps an id', () => {
    symlinkSync('none', join(root, 'l'));
    sys.fchownat(dir, 'l', 70_000, 4_294_967_294);
    sys.fchownat(dir, 'l', -1, 5);
    expect(sys.statat(dir, 'l')).toMatchObject({ uid: 70_000, gid: 5 });
  });

  test('fchmodat sets all bits and refuses symlinks', () => {
    writeFileSync(join(root, 'f'), '');
    sys.fchmodat(dir, 'f', 0o6755);
    expect(sys.statat(dir, 'f').mode).toBe(sys.S_IFREG | 0o6755);
    symlinkSync('f', join(root, 'l'));
    expect(codeOf(() => sys.fchmodat(dir, 'l', 0o777))).toMatch(/^(ELOOP|ENOTSUP)$/);
    expect(sys.statat(dir, 'f').mode).toBe(sys.S_IFREG | 0o6755);
  });

  test('stat agrees with node:fs', () => {
    writeFileSync(join(root, 'f'), 'x'.repeat(5000));
    const mine = sys.statat(dir, 'f');
    const theirs = lstatSync(join(root, 'f'), { bigint: true });
    expect(mine).toMatchObject({
      mode: Number(theirs.mode),
      nlink: 1,
      size: 5000,
      ino: Number(theirs.ino),
      blocks: Number(theirs.blocks),
    });
    expect(BigInt(mine.mtimeSec) * 10n ** 9n + BigInt(mine.mtimeNsec)).toBe(theirs.mtimeNs);
    expect(BigInt(mine.ctimeSec) * 10n ** 9n + BigInt(mine.ctimeNsec)).toBe(theirs.ctimeNs);
  });
});

describe('extended attributes', () => {
  test('set, list and get by name and by fd', () => {
    writeFileSync(join(root, 'f'), '');
    const value = Buffer.from([0, 1, 0xff, 0x0a]);
    sys.setXattr(sys.fdPath(dir, 'f'), 'user.one', value);
    const fd = openSync(join(root, 'f'), 'r');
    sys.setXattr(fd, 'user.two', 'x'.repeat(2000));
    expect(
      sys
        .listXattrs(fd)
        .filter((name) => name.startsWith('user.'))
        .sort(),
    ).toEqual(['user.one', 'user.two']);
    expect(sys.getXattr(fd, 'user.one')).toEqual(value);
    expect(sys.getXattr(sys.fdPath(dir, 'f'), 'user.two')?.length).toBe(2000);
    expect(sys.getXattr(join(root, 'f'), 'user.three')).toBeUndefined();
    expect(sys.listXattrs(sys.fdPath(dir, 'f'))).toEqual(sys.listXattrs(fd));
    closeSync(fd);
  });

  test('a symlink is not followed', () => {
    writeFileSync(join(root, 'f'), '');
    symlinkSync('f', join(root, 'l'));
    expect(codeOf(() => sys.setXattr(sys.fdPath(dir, 'l'), 'user.x', 'y'))).toBe('EPERM');
    expect(sys.getXattr(join(root, 'f'), 'user.x')).toBeUndefined();
  });
});

describe('openat2', () => {
  test.each([
    ['RESOLVE_IN_ROOT', 'abs', RESOLVE_IN_ROOT, 'inside'],
    ['RESOLVE_IN_ROOT', 'up', RESOLVE_IN_ROOT, 'inside'],
    ['RESOLVE_IN_ROOT', '../../f', RESOLVE_IN_ROOT, 'inside'],
    ['RESOLVE_BENEATH', 'abs', sys.RESOLVE_BENEATH, 'EXDEV'],
    ['RESOLVE_BENEATH', '../f', sys.RESOLVE_BENEATH, 'EXDEV'],
    ['RESOLVE_NO_SYMLINKS', 'up', sys.RESOLVE_NO_SYMLINKS, 'ELOOP'],
  ])('%s of %j', (_name, path, resolve, expected) => {
    writeFileSync(join(root, 'f'), 'inside');
    symlinkSync('/f', join(root, 'abs'));
    symlinkSync('../../../f', join(root, 'up'));
    let got: string | undefined;
    const code = codeOf(() => {
      const fd = sys.openat2(dir, path, { flags: sys.O_RDONLY, resolve });
      got = readFileSync(fd, 'utf8');
      closeSync(fd);
    });
    expect(code ?? got).toBe(expected);
  });
});

describe('mounts', () => {
  test('overlay with many lower directories, tmpfs, bind, umount', () => {
    // In a mount namespace of its own, so that nothing is left behind.
    const script = join(import.meta.dirname, 'mounts.ts');
    const child = spawnSync('unshare', ['-m', process.execPath, script, root], { encoding: 'utf8' });
    expect(child.stderr.replaceAll(/.*Warning:.*\n|.*--trace-warnings.*\n/g, '')).toBe('');
    expect(JSON.parse(child.stdout)).toEqual({
      bottom: 'bottom',
      top: 'top',
      upper: ['new'],
      tmpfs: true,
      errors: ['EINVAL', 'ENOENT'],
    });
  });
});
