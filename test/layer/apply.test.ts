import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { testAsRoot } from '../support/real-root.ts';
import { diffLayer, emptyDir, extractArchive } from '../../src/layer/index.ts';
import { applyLayer, type ApplyOptions } from './support/apply-layer.ts';
import {
  AT_FDCWD,
  close,
  getXattr,
  listXattrs,
  O_DIRECTORY,
  O_RDONLY,
  openat,
  setXattr,
  statat,
} from '../../src/sys/index.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';
import { MemorySink } from './support/memory-sink.ts';
import { readTar } from './support/read-tar.ts';
import { archive, dir, entry, file, hardlink, header, pax, symlink } from './support/tar-vectors.ts';
import { describeTree, fingerprint } from './support/trees.ts';
import { processorTime } from '../support/processor-time.ts';

let base: string;
let work: string;
let victim: string;
let canary: string;
let before: string;
let counter = 0;

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'tsbuild-apply-'));
});
afterAll(() => rmSync(base, { recursive: true }));

beforeEach(() => {
  work = join(base, String(counter++));
  victim = join(work, 'victim');
  mkdirSync(victim, { recursive: true });
  canary = randomBytes(20).toString('hex');
  writeFileSync(join(victim, 'hello'), canary, { mode: 0o640 });
  mkdirSync(join(work, 'layers-evil'));
  mkdirSync(join(work, 'layers'));
  before = fingerprint(victim);
});

/** CANARY: nothing outside of the root was touched or read. */
afterEach(() => {
  expect(fingerprint(victim)).toBe(before);
  expect(readdirSync(work).sort()).toEqual(['layers', 'layers-evil', 'victim']);
  expect(readdirSync(join(work, 'layers-evil'))).toEqual([]);
  for (const layer of readdirSync(join(work, 'layers'))) {
    for (const line of describeTree(join(work, 'layers', layer)))
      expect(line).not.toContain(sha256(canary).slice(7, 19));
  }
});

/** Applies layers one above the other; gives their directories. The last may fail. */
async function apply(...tars: readonly Buffer[]): Promise<string[]> {
  const dirs: string[] = [];
  for (const tar of tars) {
    const target = join(work, 'layers', String(dirs.length));
    mkdirSync(target);
    await applyLayer({ blob: [tar], compression: 'none', target, lowers: dirs, idShift: 0 });
    dirs.push(target);
  }
  return dirs;
}

/** The message of the error that applying gives. The directory must be empty then. */
async function errorOf(...tars: readonly Buffer[]): Promise<string> {
  try {
    await apply(...tars);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    expect(error.code).toBe('TSB_ARCHIVE');
    expect(readdirSync(join(work, 'layers', String(tars.length - 1)))).toEqual([]);
    return error.message;
  }
  return 'no error';
}

const names = (root: string | undefined): string[] =>
  describeTree(root ?? '').map((line) => line.split(' ').slice(0, 2).join(' '));
const read = (root: string | undefined, path: string): string => readFileSync(join(root ?? '', path), 'utf8');
const opaque = (root: string | undefined, path: string): string | undefined =>
  getXattr(join(root ?? '', path), 'user.overlay.opaque')?.toString();
const mode = (root: string | undefined, path: string): number => statat(AT_FDCWD, join(root ?? '', path)).mode;

describe('what is extracted', () => {
  test('types, modes, owners, times, links, xattrs', async () => {
    const capability = Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const [root] = await apply(
      archive(
        dir('./', { mode: '0000711\0', mtime: '00000000010\0' }),
        dir('d', { mode: '0001777\0', mtime: '00000000144\0', uid: '0000017\0' }),
        pax({
          mtime: '1.123456789',
          'SCHILY.xattr.user.mine': Buffer.from([0, 255]),
          'SCHILY.xattr.security.capability': capability,
        }),
        file('d/su', 'content', { mode: '0004755\0', uid: '0000001\0', gid: '0000002\0' }),
        hardlink('d/link', './d//su'),
        symlink('sym', '../../../../../etc/pki'),
        header({ name: 'fifo', type: '6', mode: '0000622\0' }),
        header({ name: 'sda', type: '4', major: '0000010\0' }),
        header({ name: 'zero', type: '3' }),
      ),
    );
    expect(describeTree(root ?? '')).toEqual([
      'd 4 1777 15:0 100.0',
      'd/link 10 4755 1:2 1.123456789 ed7002b439e9 security.capability=0100000200200000000000000000000000000000 user.mine=00ff same as none',
      'd/su 10 4755 1:2 1.123456789 ed7002b439e9 security.capability=0100000200200000000000000000000000000000 user.mine=00ff same as d/link',
      'fifo 1 622 0:0 0.0',
      'sym 12 777 0:0 0.0 -> ../../../../../etc/pki',
    ]);
    expect(mode(root, '.') & 0o7777).toBe(0o711);
  });

  test('counts, skipped devices, digests and progress', async () => {
    const tar = archive(file('a', 'aaa'), hardlink('b', 'a'), header({ name: 'dev', type: '3', major: '0000001\0' }));
    const blob = gzipSync(tar);
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    const progress: number[] = [];
    const result = await applyLayer({
      blob: [blob.subarray(0, 20), blob.subarray(20)],
      compression: 'gzip',
      expected: { digest: sha256(blob), size: blob.length, diffId: sha256(tar) },
      target,
      lowers: [],
      idShift: 0,
      onProgress: (bytes) => progress.push(bytes),
    });
    expect(result).toEqual({
      diffId: sha256(tar),
      digest: sha256(blob),
      size: blob.length,
      bytes: 3,
      inodes: 1,
      skipped: ['dev'],
    });
    expect(progress).toEqual([20, blob.length]);
  });

  testAsRoot('owners are shifted, and those out of range are an error', async () => {
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    const tar = archive(file('a', '', { uid: '0000007\0' }), symlink('l', 'x'), file('implied/f'));
    await applyLayer({ blob: [tar], compression: 'none', target, lowers: [], idShift: 100_000 });
    expect(describeTree(target, { times: 'none' })).toEqual([
      'a 10 644 100007:100000 e3b0c44298fc',
      'implied 4 755 100000:100000',
      'implied/f 10 644 100000:100000 e3b0c44298fc',
      'l 12 777 100000:100000 -> x',
    ]);
    expect(statat(AT_FDCWD, target)).toMatchObject({ uid: 100_000, gid: 100_000 });
    rmSync(target, { recursive: true });
    expect(await errorOf(archive(file('big', '', { uid: '0200000\0' })))).toContain(
      '"big": its owner 65536:0 is outside of the 65536 ids',
    );
  });

  testAsRoot('TAR-31: a capability is tied to the shifted root', async () => {
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const tar = archive(pax({ 'SCHILY.xattr.security.capability': capability }), file('ping'));
    await applyLayer({ blob: [tar], compression: 'none', target, lowers: [], idShift: 100_000 });
    expect(getXattr(join(target, 'ping'), 'security.capability')?.toString('hex')).toBe(
      '0100000300200000000000000000000000000000a0860100',
    );
  });

  test('TAR-32: modes do not depend on the umask, and closed directories take children', async () => {
    const tar = archive(
      dir('closed', { mode: '0000000\0' }),
      file('closed/f', 'x', { mode: '0000000\0' }),
      file('open', '', { mode: '0000777\0' }),
      file('implied/f'),
    );
    const trees = [];
    for (const umask of [0o077, 0o000]) {
      const old = process.umask(umask);
      const [root] = await apply(tar);
      process.umask(old);
      trees.push(describeTree(root ?? ''));
      rmSync(root ?? '', { recursive: true });
    }
    expect(trees[0]).toEqual(trees[1]);
    expect(trees[0]?.slice(0, 2).map((line) => line.slice(0, 14))).toEqual(['closed 4 0 0:0', 'closed/f 10 0 ']);
  });

  test('TAR-33: names are bytes; 255 of them fit, 256 do not; long paths work', async () => {
    const odd = Buffer.from([0xff, 0x0a, 0x1b, 0x2d, 0x25, 0x30, 0x30]);
    const long = 'n'.repeat(255);
    const deep = Array.from({ length: 20 }, () => 'p'.repeat(250)).join('/');
    const [root] = await apply(
      archive(
        file(odd),
        file('-rf'),
        file('name%00'),
        pax({ path: long }),
        file('x'),
        pax({ path: deep }),
        file('x', 'deep'),
      ),
    );
    const found = readdirSync(root ?? '', { encoding: 'latin1' }).sort();
    expect(found).toEqual([odd.toString('latin1'), '-rf', 'name%00', long, 'p'.repeat(250)].sort());
    rmSync(root ?? '', { recursive: true });
    expect(await errorOf(archive(pax({ path: 'n'.repeat(256) }), file('x')))).toContain(
      'a name in it is longer than 255 bytes',
    );
  });

  test('TAR-09: names that look alike are different', async () => {
    const [root] = await apply(
      archive(
        symlink(Buffer.from('café'), '../victim'),
        file(Buffer.from('cafe\u0301/hello'), 'nfd'),
        symlink('Foo', '../victim'),
        file('foo/hello', 'lower'),
      ),
    );
    expect(read(root, 'cafe\u0301/hello')).toBe('nfd');
    expect(read(root, 'foo/hello')).toBe('lower');
  });

  test('sparse files have their holes', async () => {
    const [root] = await apply(
      archive(pax({ 'GNU.sparse.size': '1000000', 'GNU.sparse.map': '500000,3' }), file('sparse', 'abc')),
    );
    const data = Buffer.alloc(1_000_000);
    data.write('abc', 500_000);
    expect(readFileSync(join(root ?? '', 'sparse')).equals(data)).toBe(true);
    expect(statat(AT_FDCWD, join(root ?? '', 'sparse')).blocks).toBeLessThan(100);
  });
});

describe('names and links that try to leave the root', () => {
  test.each(['../victim/x', '/../victim/x', 'a/../../victim/x', '../../x', './../x'])(
    'TAR-01: %s stays inside',
    async (name) => {
      const [root] = await apply(archive(file(name, 'x')));
      expect(names(root).some((line) => line.endsWith('x 10'))).toBe(true);
    },
  );

  test.each(['..', '.', '', '/.', './', '/'])('TAR-01, TAR-10: %j can be nothing but a directory', async (name) => {
    expect(await errorOf(archive(file(name, 'x')))).toContain('only a directory can stand for the root');
    rmSync(join(work, 'layers', '0'), { recursive: true });
    expect(await errorOf(archive(symlink(name, '../victim')))).toContain('only a directory can stand for the root');
  });

  test('TAR-02: absolute and foreign names', async () => {
    const [root] = await apply(archive(file('/victim/x'), file('////victim/y'), file('C:/x'), file(String.raw`\\x`)));
    expect(names(root)).toEqual(['C: 4', 'C:/x 10', String.raw`\\x 10`, 'victim 4', 'victim/x 10', 'victim/y 10']);
  });

  test.each(['../victim', '/victim', '../../../../../../victim'])('TAR-03: through a symlink to %s', async (target) => {
    const [root] = await apply(archive(symlink('d', target), file('d/x', 'x'), file('d/hello', 'mine')));
    expect(read(root, 'victim/hello')).toBe('mine');
    expect(readlinkSync(join(root ?? '', 'd'))).toBe(target);
  });

  test('TAR-03: through a symlink to an absolute host path', async () => {
    const [root] = await apply(archive(symlink('d', victim), file('d/hello', 'mine')));
    expect(read(root, `.${victim}/hello`)).toBe('mine');
  });

  test('TAR-04, TAR-05: hard links to outside', async () => {
    for (const target of [
      '../victim/hello',
      '/../victim/hello',
      join(victim, 'hello'),
      'hello',
      '..',
      '../victim',
      '',
      '/',
    ]) {
      expect(await errorOf(archive(hardlink('l', target)))).toMatch(
        /its link target ".*" (does not exist|is a directory)/,
      );
      rmSync(join(work, 'layers', '0'), { recursive: true });
    }
  });

  test('TAR-06: hard links through symlinks', async () => {
    expect(await errorOf(archive(symlink('s', '../victim'), hardlink('h', 's/hello')))).toContain('does not exist');
    rmSync(join(work, 'layers', '0'), { recursive: true });
    const chain = [symlink('a', 'b'), symlink('b', 'c'), symlink('c', '../victim')];
    expect(await errorOf(archive(...chain, hardlink('h', 'a/hello')))).toContain('does not exist');
  });

  test('TAR-07: a hard link of a symlink is a symlink, and a file in its place is a new file', async () => {
    const [root] = await apply(
      archive(symlink('ep', join(victim, 'hello')), hardlink('k', 'ep'), file('k', 'mine', { mode: '0000777\0' })),
    );
    expect(names(root)).toEqual(['ep 12', 'k 10']);
    rmSync(root ?? '', { recursive: true });
    const [other] = await apply(archive(symlink('ep', join(victim, 'hello')), hardlink('k', 'ep')));
    expect(lstatSync(join(other ?? '', 'k')).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(other ?? '', 'k')).nlink).toBe(2);
  });

  test('TAR-08: a directory that turns into a symlink and back', async () => {
    const [root] = await apply(
      archive(dir('d/'), file('d/a'), symlink('d', '../victim'), file('d/hello', 'x'), dir('d/'), file('d/b')),
    );
    expect(names(root)).toEqual(['d 4', 'd/b 10', 'victim 4', 'victim/hello 10']);
  });

  test('TAR-11: a symlink of the layer below', async () => {
    const dirs = await apply(
      archive(symlink('etc', '../../victim'), file('victim/hello', 'below')),
      archive(file('etc/new', 'x'), header({ name: 'etc/.wh.hello' }), header({ name: 'etc/.wh..wh..opq' })),
    );
    expect(names(dirs[1])).toEqual(['victim 4', 'victim/hello 2', 'victim/new 10']);
    expect(opaque(dirs[1], 'victim')).toBe('y');
    const replaced = await apply2(archive(dir('etc/'), file('etc/hello', 'x')), dirs);
    expect(names(replaced)).toEqual(['etc 4', 'etc/hello 10']);
  });

  test('TAR-13: a sibling that starts like the root', async () => {
    const [root] = await apply(
      archive(symlink('l', '../layers-evil'), file('l/x', 'x'), file('../layers-evil/y', 'y')),
    );
    expect(names(root)).toEqual(['l 12', 'layers-evil 4', 'layers-evil/x 10', 'layers-evil/y 10']);
  });

  test('TAR-14: a resolved path beyond PATH_MAX', async () => {
    const part = 'x'.repeat(240);
    const parts: Buffer[] = [];
    let path = '';
    for (let level = 0; level < 17; level++) {
      parts.push(
        pax({ path: `${path}${part}` }),
        dir('x'),
        pax({ path: `${path}l`, linkpath: part }),
        symlink('l', 'x'),
      );
      path = `${path}l/`;
    }
    parts.push(
      pax({ path: `${path}out`, linkpath: '../../../victim' }),
      symlink('x', 'x'),
      pax({ path: `${path}out/hello` }),
      file('x', 'x'),
    );
    await apply(archive(...parts));
  });

  test('TAR-15: loops', async () => {
    const loops = [
      archive(symlink('a', 'b'), symlink('b', 'a'), file('a/x')),
      archive(symlink('a', 'a'), file('a/x')),
      archive(...Array.from({ length: 42 }, (_, index) => symlink(`l${index}`, `l${index + 1}`)), file('l0/x')),
    ];
    for (const loop of loops) {
      expect(await errorOf(loop)).toContain('it leads through too many symlinks');
      rmSync(join(work, 'layers', '0'), { recursive: true });
    }
  });

  test('TAR-16: symlinks that lead up', async () => {
    const [root] = await apply(
      archive(
        symlink('escape', '..'),
        symlink('absolute', '/target'),
        file('escape/absolute/file', 'x'),
        symlink('sym/', 'a'),
        symlink('sym/.', 'b'),
      ),
    );
    expect(names(root)).toEqual(['absolute 12', 'escape 12', 'sym 12', 'target 4', 'target/file 10']);
  });

  test('TAR-17: legal symlinks on the way', async () => {
    const dirs = await apply(
      archive(dir('run', { mode: '0000700\0', mtime: '00000000005\0' }), dir('var'), symlink('var/run', '/run')),
      archive(
        file('var/run/a/b/file', 'x'),
        hardlink('copy', 'var/run/a/b/file'),
        file('run/dangling'),
        symlink('gone', '/nowhere'),
        file('gone/f'),
      ),
    );
    expect(describeTree(dirs[1] ?? '', { times: 'none' })).toEqual([
      'copy 10 644 0:0 2d711642b726 same as none',
      'gone 12 777 0:0 -> /nowhere',
      'nowhere 4 755 0:0',
      'nowhere/f 10 644 0:0 e3b0c44298fc',
      'run 4 700 0:0',
      'run/a 4 755 0:0',
      'run/a/b 4 755 0:0',
      'run/a/b/file 10 644 0:0 2d711642b726 same as copy',
      'run/dangling 10 644 0:0 e3b0c44298fc',
      'var 4 755 0:0',
    ]);
  });
});

/** Applies one more layer above others. */
async function apply2(tar: Buffer, lowers: readonly string[], options: Partial<ApplyOptions> = {}): Promise<string> {
  const target = join(work, 'layers', `more${counter++}`);
  mkdirSync(target);
  await applyLayer({ blob: [tar], compression: 'none', target, lowers, idShift: 0, ...options });
  return target;
}

describe('whiteouts', () => {
  const wh = (name: string): Buffer => header({ name });

  test.each(['.wh.', '.wh..', '.wh...', 'etc/.wh..', 'etc/.wh...', 'etc/.wh.'])(
    'TAR-12: %s is refused',
    async (name) => {
      expect(await errorOf(archive(dir('etc')), archive(wh(name)))).toContain('it is a whiteout of no valid name');
    },
  );

  test('TAR-12: names that only look like whiteouts', async () => {
    const dirs = await apply(archive(file('etc/passwd', 'x')), archive(file('.wh.etc/somefile', 'x')));
    expect(names(dirs[1])).toEqual(['.wh.etc 4', '.wh.etc/somefile 10']);
    expect(names(await apply2(archive(wh('dne/../.wh.etc')), dirs))).toEqual(['etc 2']);
    expect(names(await apply2(archive(wh('.wh..wh.plnk'), file('.wh..wh.aufs/x')), dirs))).toEqual([]);
  });

  test('only what is below is hidden, never what is in the layer itself', async () => {
    const lower = archive(file('f', 'old'), file('d/old', 'old'), file('o/old', 'old'));
    for (const tar of [
      archive(
        file('f', 'new'),
        wh('.wh.f'),
        dir('d'),
        file('d/new', 'new'),
        wh('.wh.d'),
        file('o/new', 'new'),
        wh('o/.wh..wh..opq'),
      ),
      archive(
        wh('.wh.f'),
        file('f', 'new'),
        wh('.wh.d'),
        dir('d'),
        file('d/new', 'new'),
        wh('o/.wh..wh..opq'),
        file('o/new', 'new'),
      ),
    ]) {
      const [below, layer] = await apply(lower, tar);
      expect(names(layer)).toEqual(['d 4', 'd/new 10', 'f 10', 'o 4', 'o/new 10']);
      expect([opaque(layer, 'd'), opaque(layer, 'o')]).toEqual(['y', 'y']);
      rmSync(below ?? '', { recursive: true });
      rmSync(layer ?? '', { recursive: true });
    }
  });

  test('a root that hides everything below is taken out of a blob and put back into one', async () => {
    const lower = archive(file('old'), file('d/old'));
    const [below, layer] = await apply(lower, archive(wh('.wh..wh..opq'), file('d/new', 'new')));
    expect(opaque(layer, '')).toBe('y');
    const sink = new MemorySink();
    const options = { upper: layer ?? '', lowers: [below ?? ''], idShift: 0, compression: { kind: 'none' } } as const;
    await diffLayer({ ...options, sink });
    expect(readTar(sink.bytes).map(({ path }) => path)).toEqual(['.wh..wh..opq', 'd/', 'd/new']);
    const windows = new MemorySink();
    await diffLayer({ ...options, sink: windows, windows: true });
    const names = readTar(windows.bytes).map(({ path }) => path);
    expect(names.filter((name) => name.includes('.wh.'))).toEqual(['Files/.wh.old', 'Files/d/.wh.old']);
  });

  test('what does not exist below needs no whiteout', async () => {
    const dirs = await apply(
      archive(file('a')),
      archive(wh('.wh.a')),
      archive(wh('.wh.a'), wh('.wh.b'), wh('none/.wh.x'), wh('none/.wh..wh..opq')),
    );
    expect(names(dirs[1])).toEqual(['a 2']);
    expect(names(dirs[2])).toEqual([]);
  });

  test('file, directory, whiteout in three layers', async () => {
    const dirs = await apply(
      archive(file('x', 'file')),
      archive(dir('x'), file('x/y')),
      archive(wh('.wh.x')),
      archive(dir('x')),
    );
    expect(dirs.map((layer) => names(layer))).toEqual([['x 10'], ['x 4', 'x/y 10'], ['x 2'], ['x 4']]);
  });

  test('a directory over a file of its own layer hides the directory below', async () => {
    const dirs = await apply(archive(file('x/old')), archive(file('x'), dir('x'), file('x/new')));
    expect(opaque(dirs[1], 'x')).toBe('y');
  });
});

describe('layers below', () => {
  test('implied parents look like those below', async () => {
    const lower = archive(
      dir('a', { mode: '0000700\0', uid: '0000005\0', mtime: '00000000007\0' }),
      pax({ 'SCHILY.xattr.user.mark': 'x' }),
      dir('a/b', { mode: '0001777\0', mtime: '00000000010\0' }),
    );
    const dirs = await apply(
      dir('./', { mode: '0000750\0', mtime: '00000000011\0' }).length > 0
        ? archive(dir('./', { mode: '0000750\0', mtime: '00000000011\0' }), lower.subarray(0, -1024))
        : lower,
      archive(file('a/b/c/f', '', { mtime: '00000000012\0' })),
    );
    expect(describeTree(dirs[1] ?? '')).toEqual([
      'a 4 700 5:0 7.0',
      'a/b 4 1777 0:0 8.0 user.mark=78',
      'a/b/c 4 755 0:0 10.0',
      'a/b/c/f 10 644 0:0 10.0 e3b0c44298fc',
    ]);
    expect(statat(AT_FDCWD, dirs[1] ?? '')).toMatchObject({ mode: 0o40750, mtimeSec: 9 });
  });

  test('hard links to files below bring them up', async () => {
    const dirs = await apply(
      archive(
        file('d/f', 'below', { mode: '0004711\0', uid: '0000003\0', mtime: '00000000007\0' }),
        symlink('d/s', 'f'),
        dir('d/sub'),
      ),
      archive(hardlink('l', 'd/f'), hardlink('ls', 'd/s')),
    );
    expect(describeTree(dirs[1] ?? '').map((line) => line.replace(/^d 4.*/, 'd'))).toEqual([
      'd',
      'd/f 10 4711 3:0 7.0 8ada24bf6bf3 same as none',
      'd/s 12 777 0:0 0.0 -> f same as none',
      'l 10 4711 3:0 7.0 8ada24bf6bf3 same as d/f',
      'ls 12 777 0:0 0.0 -> f same as d/s',
    ]);
    expect(await errorOf2(archive(hardlink('x', 'd/sub')), dirs)).toContain('is a directory');
    const hidden = await apply2(archive(header({ name: '.wh.d' })), dirs);
    expect(await errorOf2(archive(hardlink('x', 'd/f')), [...dirs, hidden])).toContain('does not exist');
  });

  test('a file below is no parent', async () => {
    const dirs = await apply(archive(file('f')));
    expect(await errorOf2(archive(file('f/x')), dirs)).toContain('its parent "f" is not a directory');
  });

  async function errorOf2(tar: Buffer, lowers: readonly string[]): Promise<string> {
    return apply2(tar, lowers).then(
      () => 'no error',
      (error: unknown) => (error as Error).message,
    );
  }
});

describe('TAR-28: the last entry of a name wins', () => {
  test.each<[string, Buffer[], string[]]>([
    ['file twice', [file('x', '1'), file('x', '22')], ['x 10']],
    ['file, directory', [file('x'), dir('x'), file('x/y')], ['x 4', 'x/y 10']],
    ['directory, file', [dir('x'), file('x/y/z'), file('x')], ['x 10']],
    ['directory, symlink', [dir('x'), file('x/y'), symlink('x', 'z')], ['x 12']],
    ['symlink, directory', [symlink('x', 'z'), dir('x')], ['x 4']],
    ['directory twice', [dir('x'), file('x/y'), dir('x', { mode: '0000700\0' })], ['x 4', 'x/y 10']],
    ['link of itself', [file('x', '1'), hardlink('x', 'x')], ['x 10']],
    ['hard link over a file', [file('x', '1'), file('y', '2'), hardlink('y', 'x')], ['x 10', 'y 10']],
  ])('%s', async (_name, parts, expected) => {
    const [root] = await apply(archive(...parts));
    expect(names(root)).toEqual(expected);
  });
});

describe('TAR-30: overlay attributes', () => {
  test('never enter from a layer', async () => {
    const attributes = ['opaque', 'redirect', 'metacopy', 'origin', 'upper', 'whiteout', 'overlay.opaque', 'impure'];
    const evil = Object.fromEntries(
      attributes.flatMap((name) => [
        [`SCHILY.xattr.user.overlay.${name}`, 'y'],
        [`SCHILY.xattr.trusted.overlay.${name}`, 'y'],
      ]),
    );
    const others = {
      'SCHILY.xattr.security.selinux': 'x',
      'SCHILY.xattr.system.posix_acl_access': 'x',
      'SCHILY.xattr.user.ok': 'x',
    };
    const [root] = await apply(
      archive(
        pax({ ...evil, ...others }),
        dir('d'),
        pax({ ...evil, ...others }),
        file('d/f'),
        header({ name: 'd/zero', type: '3' }),
      ),
    );
    expect(listXattrs(join(root ?? '', 'd'))).toEqual(['user.ok']);
    expect(listXattrs(join(root ?? '', 'd/f'))).toEqual(['user.ok']);
    expect(names(root)).toEqual(['d 4', 'd/f 10']);
  });
});

describe('errors leave nothing behind', () => {
  const tar = archive(
    file('a/b', 'content'),
    symlink('l', 'a'),
    dir('closed', { mode: '0000000\0' }),
    file('closed/x'),
  );
  const gz = gzipSync(tar);

  test.each<[string, Buffer, 'none' | 'gzip' | 'zstd', NonNullable<ApplyOptions['expected']>, string]>([
    ['a wrong diffID', tar, 'none', { diffId: sha256('x') }, 'TSB_DIGEST'],
    ['a wrong digest', gz, 'gzip', { digest: sha256(tar) }, 'TSB_DIGEST'],
    ['a wrong size', gz, 'gzip', { size: 5 }, 'TSB_DIGEST'],
    ['trailing bytes', Buffer.concat([gz, Buffer.from('more')]), 'gzip', {}, 'TSB_ARCHIVE'],
    ['trailing zeros', Buffer.concat([gz, Buffer.alloc(9)]), 'gzip', {}, 'TSB_ARCHIVE'],
    ['a cut gzip', gz.subarray(0, -9), 'gzip', {}, 'TSB_ARCHIVE'],
    ['a cut zstd', zstdCompressSync(tar).subarray(0, -1), 'zstd', {}, 'TSB_ARCHIVE'],
    ['a cut tar', tar.subarray(0, 600), 'none', {}, 'TSB_ARCHIVE'],
    ['no gzip', tar, 'gzip', {}, 'TSB_ARCHIVE'],
    ['an error late in the archive', archive(file('a/b'), file('a/b/c')), 'none', {}, 'TSB_ARCHIVE'],
  ])('%s', async (_name, blob, compression, expected, code) => {
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    await expect(applyLayer({ blob: [blob], compression, expected, target, lowers: [], idShift: 0 })).rejects.toThrow(
      expect.objectContaining({ code }) as Error,
    );
    expect(readdirSync(target)).toEqual([]);
  });

  test('a cut anywhere is found out by the digest at the latest', async () => {
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    for (let end = 0; end < tar.length; end += 512) {
      const applying = applyLayer({
        blob: [tar.subarray(0, end)],
        compression: 'none',
        expected: { diffId: sha256(tar) },
        target,
        lowers: [],
        idShift: 0,
      });
      await expect(applying).rejects.toThrow(/Cannot/);
      expect(readdirSync(target)).toEqual([]);
    }
  });

  test('cancellation', async () => {
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    const controller = new AbortController();
    const blob = (function* chunks(): Generator<Buffer> {
      yield tar.subarray(0, 1024);
      controller.abort(new Error('stop'));
      yield tar.subarray(1024);
    })();
    await expect(
      applyLayer({ blob, compression: 'none', target, lowers: [], idShift: 0, signal: controller.signal }),
    ).rejects.toThrow('stop');
    expect(readdirSync(target)).toEqual([]);
  });

  test('TAR-26: bombs', async () => {
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    const zeros = Buffer.concat([header({ name: 'zeros', size: 30_000_000 }), Buffer.alloc(30_000_000)]);
    for (const limits of [
      { maxBytes: 1e12, maxRatio: 200, ratioFrom: 1e6 },
      { maxBytes: 1e6, maxRatio: 1e9, ratioFrom: 1e12 },
    ]) {
      const applying = applyLayer({
        blob: [gzipSync(zeros)],
        compression: 'gzip',
        target,
        lowers: [],
        idShift: 0,
        limits,
      });
      await expect(applying).rejects.toThrow('looks like a decompression bomb');
      expect(readdirSync(target)).toEqual([]);
    }
    const tebibyte = archive(header({ name: 'big', size: '20000000000000\0' }), file('x'));
    await expect(applyLayer({ blob: [tebibyte], compression: 'none', target, lowers: [], idShift: 0 })).rejects.toThrow(
      /Cannot/,
    );
  });

  test('TAR-25: time grows with the number of entries, depth has an end', async () => {
    const many = (count: number): Buffer =>
      archive(
        ...Array.from({ length: count }, (_, index) => [
          header({ name: `d${index}/e/.wh..wh..opq` }),
          header({ name: `d${index}/e/f` }),
        ]).flat(),
      );
    const [lower] = await apply(archive(dir('x')));
    const timed = (count: number): Promise<number> => processorTime(() => apply2(many(count), [lower ?? '']));
    await timed(500);
    // Eight times as many: 8 when it grows with their number, 64 with its square. Collections of garbage and a busy machine lie between.
    const least = async (count: number): Promise<number> =>
      Math.min(await timed(count), await timed(count), await timed(count));
    const [few, eightfold] = [await least(300), await least(2400)];
    expect(eightfold).toBeLessThan(few * 24);
    const deep = archive(pax({ path: 'd/'.repeat(100_000) }), file('x'));
    await expect(apply2(deep, [])).rejects.toThrow('it is more than 1000 directories deep');
  });
});

describe('TAR-34: a directory swapped for a symlink during extraction', () => {
  test('nothing is written outside', async () => {
    const target = join(work, 'layers', '0');
    mkdirSync(target);
    // Swaps root/d with root/l, a symlink to the victim, as fast as it can.
    const swapper = spawn(process.execPath, [join(import.meta.dirname, 'support/swapper.ts'), target, 'd', 'l'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = new Promise((resolve) => swapper.on('exit', resolve));
    let attempts = 0;
    try {
      await new Promise((resolve) => swapper.stdout.once('data', resolve));
      const files = Array.from({ length: 2000 }, (_, index) => [dir(`x${index}`), file(`d/f${index}`, 'evil')]).flat();
      const tar = archive(dir('d'), symlink('l', '../../victim'), ...files);
      for (const end = performance.now() + 2000; performance.now() < end; attempts++) {
        await applyLayer({ blob: [tar], compression: 'none', target, lowers: [], idShift: 0 }).catch(() => undefined);
        const fd = openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY);
        try {
          emptyDir(fd);
        } catch {
          // The swapper was faster; the next round empties it.
        }
        close(fd);
      }
    } finally {
      swapper.kill();
      await exited;
    }
    expect(attempts).toBeGreaterThan(0);
  });
});

describe('extractArchive', () => {
  testAsRoot('into a tree that is there: directories stay, files are replaced, .wh. means nothing', async () => {
    const target = join(work, 'layers', '0');
    mkdirSync(join(target, 'real'), { recursive: true });
    writeFileSync(join(target, 'real/old'), 'old');
    writeFileSync(join(target, 'file'), 'old');
    setXattr(join(target, 'real'), 'user.keep', 'x');
    const fd = openat(AT_FDCWD, target, O_RDONLY | O_DIRECTORY);
    const tar = archive(
      pax({ 'SCHILY.xattr.user.other': 'x' }),
      dir('real', { mode: '0000700\0' }),
      pax({
        'SCHILY.xattr.user.other': 'x',
        'SCHILY.xattr.security.capability': Buffer.from('0100000200200000000000000000000000000000', 'hex'),
      }),
      file('real/new', 'new'),
      file('file', 'new'),
      file('.wh.real', 'x'),
      symlink('out', '/../victim'),
      file('out/hello', 'x'),
    );
    for (const [source, owner] of [
      [gzipSync(tar), { uid: 3, gid: 4 }],
      [zstdCompressSync(tar), undefined],
    ] as const) {
      const result = await extractArchive({ source: [source], rootFd: fd, idShift: 1000, ...(owner ? { owner } : {}) });
      expect(result.skipped).toEqual([]);
      const id = owner ? '1003:1004' : '1000:1000';
      expect(describeTree(target, { times: 'none' }).map((line) => line.replace(/ [0-9a-f]{12}$/, ''))).toEqual([
        `.wh.real 10 644 ${id}`,
        `file 10 644 ${id}`,
        `out 12 777 ${id} -> /../victim`,
        `real 4 700 ${id} user.keep=78`,
        expect.stringMatching(new RegExp(`^real/new 10 644 ${id} [0-9a-f]{12} security\\.capability=[0-9a-f]+$`)),
        'real/old 10 644 0:0',
        expect.stringMatching(/^victim 4 755 100[03]:100[04]$/),
        `victim/hello 10 644 ${id}`,
      ]);
    }
    const before = statat(AT_FDCWD, target);
    const foreign = archive(dir('./', { uid: '7777777\0', mode: '0000700\0' }), file('before', 'x'));
    await extractArchive({ source: [foreign], rootFd: fd, idShift: 1000 });
    expect(statat(AT_FDCWD, target)).toMatchObject({ uid: before.uid, mode: before.mode });
    const theirs = archive(file('theirs', 'x', { uid: '7777777\0' }));
    await expect(extractArchive({ source: [theirs], rootFd: fd, idShift: 1000 })).rejects.toMatchObject({
      hint: expect.stringContaining('ADD --chown=0:0') as unknown,
    });
    await extractArchive({ source: [theirs], rootFd: fd, idShift: 1000, idCount: 3_000_000 });
    expect(statat(AT_FDCWD, join(target, 'theirs')).uid).toBe(2_097_151 + 1000);
    for (const name of ['', '.', './']) {
      const nameless = archive(file(name, 'not a directory'), symlink(name, 'out'), file('after', 'x'));
      const { skipped } = await extractArchive({ source: [nameless], rootFd: fd, idShift: 1000 });
      expect(skipped).toEqual(['', '']);
      expect(existsSync(join(target, 'after'))).toBe(true);
      rmSync(join(target, 'after'));
    }
    close(fd);
    expect(existsSync(join(target, 'victim/hello'))).toBe(true);
    expect(entry({ name: 'x' }).length).toBe(512);
  });
});
