import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import { isRealRoot, testAsRoot as test } from '../support/real-root.ts';
import {
  writeRootfsDirectory,
  type WriteDirectoryOptions,
  writeRootfsTar,
  type WriteRootfsOptions,
} from '../../src/rootfs/index.ts';

let folder: string;
let out: string;
const at = (...names: string[]): string => join(folder, ...names);
const label = 'linux/amd64';
const T = 1_700_000_000;

beforeEach(() => {
  if (!isRealRoot) return;
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-rootfs-'));
  out = at('out');
  mkdirSync(out);
  for (const path of ['lower/etc', 'lower/gone', 'lower/bin', 'upper/etc', 'upper/new'])
    mkdirSync(at(path), { recursive: true });
  writeFileSync(at('lower/etc/passwd'), 'root:x:0:0\n');
  writeFileSync(at('lower/etc/old'), 'old');
  writeFileSync(at('lower/gone/x'), 'x');
  writeFileSync(at('lower/bin/tool'), 'tool');
  chmodSync(at('lower/bin/tool'), 0o4755);
  linkSync(at('lower/bin/tool'), at('lower/bin/other'));
  symlinkSync('../../../etc/shadow', at('lower/etc/link'));
  execFileSync('mknod', [at('upper/etc/old'), 'c', '0', '0']);
  execFileSync('mknod', [at('upper/gone'), 'c', '0', '0']);
  writeFileSync(at('upper/etc/passwd'), 'root:x:0:0\napp:x:1:1\n');
  chownSync(at('upper/etc/passwd'), 5, 6);
  execFileSync('mknod', [at('upper/new/null'), 'c', '1', '3']);
  execFileSync('mkfifo', [at('upper/new/fifo')]);
  writeFileSync(Buffer.concat([Buffer.from(`${at('upper/new')}/`), Buffer.from([0xff, 0x0a, 0x41])]), 'odd');
  chmodSync(at('upper/new'), 0o555);
  for (const path of ['lower/bin/tool', 'upper/etc/passwd', 'upper/etc', 'upper/new', 'lower/bin'])
    utimesSync(at(path), T, T);
  lutimesSync(at('lower/etc/link'), T, T);
});
afterEach(() => isRealRoot && rmSync(folder, { recursive: true }));

const trees = () => [{ layers: [at('lower'), at('upper')], label }];
function toTar(options: Partial<WriteRootfsOptions> = {}): ReturnType<typeof writeRootfsTar> {
  return writeRootfsTar(at('x.tar'), { trees: trees(), idShift: 0, ...options });
}
function toDirectory(options: Partial<WriteDirectoryOptions> = {}): ReturnType<typeof writeRootfsDirectory> {
  return writeRootfsDirectory(out, { trees: trees(), idShift: 0, mode: 'copy', ...options });
}
const listing = (): string[] =>
  execFileSync('tar', ['--numeric-owner', '--full-time', '-tvf', at('x.tar')], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  })
    .trim()
    .split('\n');

describe('as tar', () => {
  test('the merged tree in byte order with owners, modes, links and devices', () => {
    const report = toTar();
    const lines = listing().map((line) => line.replaceAll(/\s+/g, ' ').replace(/ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, ''));
    expect(lines.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'drwxr-xr-x 0/0',
      '-rwsr-xr-x 0/0',
      'hrwsr-xr-x 0/0',
      'drwxr-xr-x 0/0',
      'lrwxrwxrwx 0/0',
      '-rw-r--r-- 5/6',
      'dr-xr-xr-x 0/0',
      'prw-r--r-- 0/0',
      'crw-r--r-- 0/0',
      '-rw-r--r-- 0/0',
    ]);
    expect(lines[2]).toContain('bin/tool link to bin/other');
    expect(lines[4]).toContain('etc/link -> ../../../etc/shadow');
    expect(lines.join('\n')).not.toMatch(/gone|etc\/old/);
    expect(report).toMatchObject({ files: 10, skipped: [] });
  });

  test('the same tree gives the same bytes; an epoch sets every time', () => {
    toTar({ epoch: 0 });
    const first = readFileSync(at('x.tar'));
    toTar({ epoch: 0 });
    expect(readFileSync(at('x.tar')).equals(first)).toBe(true);
    for (const line of listing()) expect(line).toContain('1970-01-01 00:00:00');
  });

  test('ids are those of the image', () => {
    for (const path of ['bin/tool', 'etc/passwd']) chownSync(at('lower', path), 100_007, 100_008);
    chownSync(at('upper/etc/passwd'), 100_005, 100_006);
    toTar({ idShift: 100_000 });
    expect(listing().find((line) => line.includes('passwd'))).toContain(' 5/6 ');
  });

  test('platforms go to directories of their own', () => {
    toTar({
      trees: [
        { ...trees()[0]!, prefix: 'linux_amd64' },
        { layers: [at('lower')], label: 'linux/arm64', prefix: 'linux_arm64' },
      ],
    });
    const names = listing().map((line) => line.split(' ').at(-1));
    expect(names).toContain('linux_amd64/etc/passwd');
    expect(names).toContain('linux_arm64/gone/x');
    // Hard links stay within their platform.
    expect(listing().filter((line) => line.startsWith('h'))).toEqual([
      expect.stringContaining('link to linux_amd64/bin/other'),
      expect.stringContaining('link to linux_arm64/bin/other'),
    ]);
  });

  test('without directories of their own, platforms may share directories but no files', () => {
    mkdirSync(at('extra/etc'), { recursive: true });
    writeFileSync(at('extra/etc/more'), 'more');
    const extra = { layers: [at('extra')], label: 'linux/arm64' };
    toTar({ trees: [...trees(), extra] });
    expect(listing().filter((line) => line.endsWith(' etc/'))).toHaveLength(1);
    writeFileSync(at('extra/etc/passwd'), 'mine');
    expect(() => toTar({ trees: [...trees(), extra] })).toThrow(
      'cannot overwrite etc/passwd from linux/amd64 with linux/arm64 when split option is disabled',
    );
    expect(() => toDirectory({ trees: [...trees(), extra] })).toThrow(
      'cannot overwrite etc/passwd from linux/amd64 with linux/arm64 when split option is disabled',
    );
  });

  test('a full disk is an error', () => {
    writeFileSync(at('lower/big'), Buffer.alloc(3 << 20));
    const open = (): number => readdirSync('/proc/self/fd').length;
    const before = open();
    expect(() => writeRootfsTar('/dev/full', { trees: trees(), idShift: 0 })).toThrow(
      expect.objectContaining({ code: 'TSB_NO_SPACE' }),
    );
    // The worker goes on, for other exports: nothing stays open.
    expect(open()).toBe(before);
  });

  test('the checkpoint can stop it', () => {
    const stop = (): void => {
      throw new Error('enough');
    };
    expect(() => writeRootfsTar(at('x.tar'), { trees: trees(), idShift: 0 }, stop)).toThrow('enough');
  });
});

describe('as directory', () => {
  test('contents, modes, times and links are kept, owners are not', () => {
    const report = toDirectory();
    expect(readdirSync(out).sort()).toEqual(['bin', 'etc', 'new']);
    expect(readFileSync(join(out, 'etc/passwd'), 'utf8')).toContain('app');
    expect(statSync(join(out, 'etc/passwd')).uid).toBe(process.getuid?.());
    expect(statSync(join(out, 'bin/tool')).mode & 0o7777).toBe(0o4755);
    expect(statSync(join(out, 'bin/tool')).ino).toBe(statSync(join(out, 'bin/other')).ino);
    expect(statSync(join(out, 'etc/passwd')).mtimeMs).toBe(T * 1000);
    expect(statSync(join(out, 'new')).mtimeMs).toBe(T * 1000);
    expect(statSync(join(out, 'new')).mode & 0o777).toBe(0o555);
    expect(readlinkSync(join(out, 'etc/link'))).toBe('../../../etc/shadow');
    expect(lstatSync(join(out, 'etc/link')).mtimeMs).toBe(T * 1000);
    expect(lstatSync(join(out, 'new/fifo')).isFIFO()).toBe(true);
    expect(readdirSync(join(out, 'new'), 'latin1')).toContain('\u00ff\nA');
    expect(report.skipped).toEqual(['new/null']);
  });

  test('twice gives the same, and an epoch sets every time', () => {
    toDirectory();
    toDirectory({ epoch: 5 });
    expect(statSync(join(out, 'etc/passwd')).mtimeMs).toBe(5000);
    expect(statSync(join(out, 'etc')).mtimeMs).toBe(5000);
    expect(lstatSync(join(out, 'etc/link')).mtimeMs).toBe(5000);
    expect(statSync(join(out, 'bin/tool')).nlink).toBe(2);
    expect(readdirSync(join(out, 'etc')).sort()).toEqual(['link', 'passwd']);
  });

  test('links that wait in the directory are replaced, not followed (CTX-11)', () => {
    mkdirSync(at('victim'));
    writeFileSync(at('victim/passwd'), 'canary');
    writeFileSync(at('canary'), 'canary');
    symlinkSync(at('victim'), join(out, 'etc'));
    mkdirSync(join(out, 'bin'));
    symlinkSync(at('canary'), join(out, 'bin/tool'));
    symlinkSync(at('victim'), join(out, 'bin/other'));
    symlinkSync(at('gone-target'), join(out, 'new'));
    toDirectory();
    expect(readdirSync(at('victim'))).toEqual(['passwd']);
    expect(readFileSync(at('victim/passwd'), 'utf8')).toBe('canary');
    expect(readFileSync(at('canary'), 'utf8')).toBe('canary');
    expect(existsSync(at('gone-target'))).toBe(false);
    expect(lstatSync(join(out, 'etc')).isDirectory()).toBe(true);
    expect(readFileSync(join(out, 'bin/tool'), 'utf8')).toBe('tool');
  });

  test("a link of the image is not followed by the image's own files", () => {
    mkdirSync(at('victim'));
    mkdirSync(at('evil1'));
    symlinkSync(at('victim'), at('evil1/x'));
    mkdirSync(at('evil2/x'), { recursive: true });
    writeFileSync(at('evil2/x/file'), 'evil');
    const two = [
      { layers: [at('evil1')], label: 'a' },
      { layers: [at('evil2')], label: 'b' },
    ];
    expect(() => toDirectory({ trees: two })).toThrow('cannot overwrite x from a with b');
    expect(readdirSync(at('victim'))).toEqual([]);
    expect(lstatSync(join(out, 'x')).isSymbolicLink()).toBe(true);
    // And in a later export a directory takes the link's place.
    toDirectory({ trees: [{ layers: [at('evil2')], label }] });
    expect(readdirSync(at('victim'))).toEqual([]);
    expect(readFileSync(join(out, 'x/file'), 'utf8')).toBe('evil');
  });

  test('a file replaces what is in its way; other files stay with mode copy and go with mode delete', () => {
    mkdirSync(join(out, 'bin/tool/deep'), { recursive: true });
    mkdirSync(join(out, 'keep/me'), { recursive: true });
    writeFileSync(join(out, 'etc'), 'a file');
    writeFileSync(join(out, 'keep/me/x'), 'x');
    toDirectory();
    expect(readFileSync(join(out, 'bin/tool'), 'utf8')).toBe('tool');
    expect(existsSync(join(out, 'keep/me/x'))).toBe(true);
    writeFileSync(join(out, 'etc/stale'), 'x');
    mkdirSync(at('victim'));
    writeFileSync(at('victim/x'), 'canary');
    symlinkSync(at('victim'), join(out, 'stale'));
    toDirectory({ mode: 'delete' });
    expect(readdirSync(out).sort()).toEqual(['bin', 'etc', 'new']);
    expect(readdirSync(join(out, 'etc')).sort()).toEqual(['link', 'passwd']);
    expect(statSync(join(out, 'etc')).mtimeMs).toBe(T * 1000);
    expect(readFileSync(at('victim/x'), 'utf8')).toBe('canary');
  });

  test('platforms go to directories of their own, and delete knows them', () => {
    writeFileSync(join(out, 'stale'), 'x');
    toDirectory({
      mode: 'delete',
      trees: [
        { ...trees()[0]!, prefix: 'linux_amd64' },
        { layers: [at('lower')], label: 'linux/arm64', prefix: 'linux_arm64' },
      ],
    });
    expect(readdirSync(out).sort()).toEqual(['linux_amd64', 'linux_arm64']);
    expect(readFileSync(join(out, 'linux_arm64/gone/x'), 'utf8')).toBe('x');
    const tool = statSync(join(out, 'linux_arm64/bin/tool'));
    expect(tool.nlink).toBe(2);
    expect(tool.ino).not.toBe(statSync(join(out, 'linux_amd64/bin/tool')).ino);
  });

  test('a tree without layers is empty', () => {
    expect(toDirectory({ trees: [{ layers: [], label }] })).toEqual({ files: 0, bytes: 0, skipped: [] });
  });
});
