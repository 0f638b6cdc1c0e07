import { execFileSync } from 'node:child_process';
import {
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AT_FDCWD,
  fchown,
  fchownat,
  fstat,
  listXattrs,
  mknodat,
  OWNER_LIMIT,
  recordOwners,
  S_IFCHR,
  S_IFMT,
  statat,
  utimensat,
} from '../../src/sys/index.ts';
import { formatOwner, ownerOfTime, parseOwner, timeOfOwner } from '../../src/sys/owners.ts';

const id = fc.nat({ max: OWNER_LIMIT - 1 });

describe('how an owner is remembered', () => {
  test('every owner comes back from an attribute, and from a time', () => {
    const device = fc.record({
      type: fc.constantFrom(S_IFCHR, 0o060000),
      major: fc.nat(4095),
      minor: fc.nat(1_048_575),
    });
    fc.assert(
      fc.property(id, id, fc.option(device, { nil: undefined }), (uid, gid, what) => {
        const owner = { uid, gid, ...(what && { device: what }) };
        expect(parseOwner(formatOwner(owner) ?? '')).toEqual(owner);
        const time = timeOfOwner({ uid, gid });
        expect(time === undefined ? { uid: 0, gid: 0 } : ownerOfTime(time.sec, time.nsec)).toEqual({ uid, gid });
      }),
    );
  });

  test('what a step writes there by itself is an owner, or root', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('0', '1', '9', ':', 'c', 'b', '-') })),
        (text) => {
          const { uid, gid } = parseOwner(text);
          expect([uid, gid].every((one) => Number.isInteger(one) && one >= 0 && one < OWNER_LIMIT)).toBe(true);
        },
      ),
    );
    for (const text of ['', '1', '1:', '-1:0', '1:2:x:3:4', '1:2 ', '1:2\n', '1000000000:0', '1:2:c:3'])
      expect(parseOwner(text), text).toEqual({ uid: 0, gid: 0 });
  });

  test('times of today say nothing', () => {
    expect(ownerOfTime(1_700_000_000, 5)).toBeUndefined();
    expect(ownerOfTime(-1, 0)).toBeUndefined();
    expect(ownerOfTime(2 ** 33 + OWNER_LIMIT, 0)).toBeUndefined();
  });
});

describe('calls that remember owners', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-owners-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  beforeEach(() => recordOwners(true));
  afterEach(() => recordOwners(false));
  const ownerAt = (path: string): readonly number[] => {
    const { uid, gid } = statat(AT_FDCWD, path);
    return [uid, gid];
  };

  test('files, directories, links and fifos have them, through renames and hard links', () => {
    const [file, sub, link, fifo] = ['file', 'sub', 'link', 'fifo'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
      string,
    ];
    writeFileSync(file, 'x');
    mkdirSync(sub);
    symlinkSync('file', link);
    execFileSync('mkfifo', [fifo]);
    for (const [index, path] of [file, sub, link, fifo].entries()) {
      const before = lstatSync(path);
      fchownat(AT_FDCWD, path, 1000 + index, 50);
      expect(ownerAt(path)).toEqual([1000 + index, 50]);
      // Nothing that a layer has is another for it.
      expect([lstatSync(path).mtimeMs, lstatSync(path).mode]).toEqual([before.mtimeMs, before.mode]);
      const moved = `${path}.moved`;
      renameSync(path, moved);
      if (path !== sub) linkSync(moved, path);
      expect(ownerAt(moved)).toEqual([1000 + index, 50]);
      utimensat(AT_FDCWD, moved, { sec: 5, nsec: 6 }, { sec: 7, nsec: 8 });
      expect(lstatSync(moved, { bigint: true }).mtimeNs).toBe(7_000_000_008n);
      expect(ownerAt(moved)).toEqual([1000 + index, 50]);
      fchownat(AT_FDCWD, moved, -1, 7);
      expect(ownerAt(moved)).toEqual([1000 + index, 7]);
      fchownat(AT_FDCWD, moved, 0, 0);
      expect(ownerAt(moved)).toEqual([0, 0]);
      if (path !== link && path !== fifo) expect(listXattrs(moved)).toEqual([]);
    }
  });

  test('an open file and what is beneath a directory', () => {
    writeFileSync(join(dir, 'open'), '');
    const [fd, dirfd] = [openSync(join(dir, 'open'), 'r'), openSync(dir, 'r')];
    fchown(fd, 3, 4);
    expect([fstat(fd).uid, statat(dirfd, 'open').gid]).toEqual([3, 4]);
    closeSync(fd);
    closeSync(dirfd);
  });

  test('a device is an empty file that says what it is', () => {
    mknodat(AT_FDCWD, join(dir, 'null'), S_IFCHR | 0o666, 1, 3);
    fchownat(AT_FDCWD, join(dir, 'null'), 0, 6);
    const stat = statat(AT_FDCWD, join(dir, 'null'));
    expect([stat.mode & S_IFMT, stat.rdevMajor, stat.rdevMinor, stat.gid]).toEqual([S_IFCHR, 1, 3, 6]);
    expect(lstatSync(join(dir, 'null')).isFile()).toBe(true);
  });

  test('without them a file has the owner that it has', () => {
    writeFileSync(join(dir, 'plain'), '');
    fchownat(AT_FDCWD, join(dir, 'plain'), 9, 9);
    recordOwners(false);
    expect(ownerAt(join(dir, 'plain'))).toEqual([process.getuid?.(), process.getgid?.()]);
  });
});
