import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testAsRoot } from '../support/real-root.ts';
import {
  checksumTree,
  ContextTree,
  type ContextNode,
  encodeContext,
  encodeDigests,
  resolvePath,
  takeDigests,
  toText,
  decodeContext,
  walkTree,
} from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { IgnoreMatcher } from '../../src/frontend/ignore/index.ts';
import { TempDir, whole as all } from './support.ts';

function list(tree: ContextTree): string[] {
  const paths: string[] = [];
  walkTree(tree, tree.root, undefined, ({ path }) => void paths.push(toText(path)));
  return paths;
}

function read(tree: ContextTree, path: string): string {
  const located = resolvePath(tree, path, { followLast: true });
  const fd = tree.open(located.parent, located.name, located.node as ContextNode);
  const content = fs.readFileSync(fd, 'utf8');
  tree.close(fd, located.parent, located.name, located.node as ContextNode);
  return content;
}

describe('walking', () => {
  test('gives paths in byte order, names byte exact', () => {
    using dir = new TempDir();
    for (const name of ['b', 'a/z', 'a/b', 'a-b', 'Z', 'é', '\u{1f600}', '\uffee']) dir.write(name);
    fs.writeFileSync(Buffer.concat([Buffer.from(`${dir.path}/`), Buffer.of(0xff, 0x0a)]), '');
    const tree = ContextTree.open(dir.path);
    expect(list(tree)).toEqual(['Z', 'a', 'a/b', 'a/z', 'a-b', 'b', 'é', '\uffee', '\u{1f600}', '\ufffd\n']);
    expect(tree.list(tree.root).at(-1)).toBe('\u00ff\n');
  });

  test('permissions and times that are given count, also where it was sent, and the file is known all the same', () => {
    using dir = new TempDir();
    dir.write('d/given', 'x', 0o600);
    dir.write('own', 'y', 0o600);
    fs.symlinkSync('own', join(dir.path, 'link'));
    const modes = {
      modeOf: (path: string) => (path === 'd/given' ? 0o644 : undefined),
      timeOf: (path: string) => (path === 'd/given' || path === 'link' ? 1_700_000_000 : undefined),
    };
    const tree = ContextTree.open(dir.path, { modes });
    const sent = decodeContext(
      encodeContext(
        tree,
        tree.record(() => list(tree)),
      ),
    );
    for (const one of [tree, sent]) {
      const nodeOf = (path: string): ContextNode => resolvePath(one, path, { followLast: false }).node as ContextNode;
      expect(nodeOf('d/given')).toMatchObject({ mode: 0o644, mtimeNs: 1_700_000_000_000_000_000n });
      expect(nodeOf('link').mtimeNs).toBe(1_700_000_000_000_000_000n);
      const { mtimeNs } = fs.statSync(join(dir.path, 'own'), { bigint: true });
      expect(nodeOf('own')).toMatchObject({ mode: 0o600, mtimeNs });
      expect(read(one, 'd/given')).toBe('x');
    }
  });

  test('owners are 0:0, modes those of the files', () => {
    using dir = new TempDir();
    fs.chownSync(dir.write('f', 'x', 0o640), 5, 6);
    const tree = ContextTree.open(dir.path);
    expect(tree.lookup(tree.root, 'f')).toMatchObject({ type: 'file', mode: 0o640, uid: 0, gid: 0, size: 1 });
  });

  test('a large context is seen as a small one is', () => {
    using dir = new TempDir();
    for (let n = 0; n < 4001; n++) dir.write(`a/f${n}`);
    dir.write('z/file', 'x', 0o640);
    fs.utimesSync(dir.write('z/old'), -5.5, -7.25);
    dir.link('file', 'z/link');
    dir.mkdir('z/dir');
    spawnSync('mkfifo', [join(dir.path, 'z/fifo')]);
    fs.linkSync(join(dir.path, 'z/file'), join(dir.path, 'z/hard'));
    fs.writeFileSync(Buffer.concat([Buffer.from(`${dir.path}/z/`), Buffer.of(0xff, 0x0a)]), 'odd');
    const large = ContextTree.open(dir.path);
    const small = ContextTree.open(join(dir.path, 'z'));
    list(large);
    const z = large.enter(large.root, 'z');
    expect(large.list(z)).toHaveLength(7);
    for (const name of large.list(z)) {
      expect(large.lookup(z, name)).toEqual(small.lookup(small.root, name));
    }
  });

  const large = { dir: undefined as TempDir | undefined };
  beforeAll(() => {
    large.dir = new TempDir();
    for (let n = 0; n < 4001; n++) large.dir.write(`a/f${n}`, '');
  });
  afterAll(() => large.dir?.[Symbol.dispose]());

  test.each([
    ['its content', (file: string) => fs.appendFileSync(file, 'y')],
    ['its time', (file: string) => fs.utimesSync(file, 1, 1)],
    ['its mode', (file: string) => fs.chmodSync(file, 0o600)],
    ['the file itself', (file: string) => fs.renameSync(`${file}2`, file)],
  ])('in a large context a file that changed is noticed: %s', (_what, change) => {
    const { dir } = large;
    if (!dir) throw new Error('No context');
    const file = dir.write('z/file', 'x');
    fs.cpSync(file, `${file}2`, { preserveTimestamps: true });
    const tree = ContextTree.open(dir.path);
    list(tree);
    expect(read(tree, 'z/file')).toBe('x');
    const z = tree.enter(tree.root, 'z');
    const node = tree.lookup(z, 'file') as ContextNode;
    const fd = tree.open(z, 'file', node);
    change(file);
    expect(() => tree.close(fd, z, 'file', node)).toThrow(/changed during build/);
    expect(() => read(tree, 'z/file')).toThrow(/changed during build/);
  });

  test('reads only what is asked for', () => {
    using dir = new TempDir();
    dir.write('wanted/f', 'x');
    dir.write('huge/f', 'x');
    const tree = ContextTree.open(dir.path);
    const touched = tree.record(() => checksumTree(tree, [{ ...all, path: '/wanted' }], 'context'));
    expect([...touched].map((one) => one.path)).toEqual(['', 'wanted']);
  });

  test('a context that is a symlink, a file, or missing', () => {
    using dir = new TempDir();
    dir.write('real/f');
    dir.link('real', 'link');
    expect(list(ContextTree.open(join(dir.path, 'link')))).toEqual(['f']);
    expect(() => ContextTree.open(join(dir.path, 'real/f'))).toThrow('it is not a directory');
    expect(() => ContextTree.open(join(dir.path, 'none'))).toThrow('it does not exist');
  });
});

describe('ignoring', () => {
  const ignoring = (dir: TempDir, ...patterns: string[]): string[] =>
    list(ContextTree.open(dir.path, { ignore: new IgnoreMatcher(patterns) }));

  test('ignored files and directories are not there', () => {
    using dir = new TempDir();
    for (const name of ['a.log', 'src/b.log', 'src/c.ts', 'node_modules/x/y.js']) dir.write(name);
    expect(ignoring(dir, '**/*.log', 'node_modules')).toEqual(['src', 'src/c.ts']);
  });

  test('a directory stays for what is let in again, and only then', () => {
    using dir = new TempDir();
    for (const name of ['a/b/keep', 'a/b/drop', 'a/c/drop', 'a/drop']) dir.write(name);
    expect(ignoring(dir, 'a', '!a/b/keep')).toEqual(['a', 'a/b', 'a/b/keep']);
    expect(ignoring(dir, '*', '!**/none')).toEqual([]);
  });

  test('an ignored directory is not read', () => {
    using dir = new TempDir();
    dir.write('secret/f');
    dir.write('f');
    const tree = ContextTree.open(dir.path, { ignore: new IgnoreMatcher(['secret']) });
    fs.rmSync(join(dir.path, 'secret'), { recursive: true });
    expect(list(tree)).toEqual(['f']);
  });
});

describe('symlinks stay inside (CTX-01)', () => {
  test.each([
    ['foo', undefined],
    ['dir/etc/passwd', undefined],
    ['../../../etc/passwd', undefined],
    ['sub/bar', undefined],
    ['dir/inside', 'inside'],
    ['abs', 'inside'],
    ['sub/up', 'inside'],
  ])('%s', (path, content) => {
    using dir = new TempDir();
    dir.write('inside', 'inside');
    dir.link('/etc/passwd', 'foo');
    dir.link('../../../etc/group', 'sub/bar');
    dir.link('../../../../../../../inside', 'sub/up');
    dir.link('/', 'dir');
    dir.link('/inside', 'abs');
    const tree = ContextTree.open(dir.path);
    const located = resolvePath(tree, path, { followLast: true });
    if (content === undefined) expect(located.node).toBeUndefined();
    else expect(read(tree, path)).toBe(content);
  });

  test("a missing path has BuildKit's error", () => {
    using dir = new TempDir();
    dir.link('/etc/passwd', 'foo');
    const tree = ContextTree.open(dir.path);
    for (const path of ['/foo', '/none']) {
      expect(() => checksumTree(tree, [{ ...all, path }], 'context')).toThrow(
        `failed to calculate checksum of ref context: "${path}": not found`,
      );
    }
  });
});

describe('files that change between reading the stat and using the file (CTX-05)', () => {
  const changes: readonly (readonly [string, (path: string, dir: TempDir) => void])[] = [
    ['is rewritten', (path) => fs.writeFileSync(path, 'other content')],
    ['is rewritten in place with the same size and time', (path) => {
      const { atime, mtime } = fs.statSync(path);
      fs.writeFileSync(path, 'CONTENT');
      fs.utimesSync(path, atime, mtime);
    }],
    ['grows', (path) => fs.appendFileSync(path, 'x')],
    ['is truncated', (path) => fs.truncateSync(path)],
    ['is replaced', (path) => {
      fs.writeFileSync(`${path}2`, 'content');
      fs.renameSync(`${path}2`, path);
    }],
    ['becomes a symlink', (path) => {
      fs.rmSync(path);
      fs.symlinkSync('/etc/passwd', path);
    }],
    ['becomes a fifo', (path) => {
      fs.rmSync(path);
      spawnSync('mkfifo', [path]);
    }],
    ['vanishes', (path) => fs.rmSync(path)],
    ['has its directory replaced by a symlink', (_path, dir) => {
      fs.renameSync(join(dir.path, 'd'), join(dir.path, 'moved'));
      dir.write('elsewhere/f', 'content');
      fs.symlinkSync('elsewhere', join(dir.path, 'd'));
    }],
  ]; // oxfmt-ignore

  test.each(changes)('%s', (_, change) => {
    using dir = new TempDir();
    const path = dir.write('d/f', 'content');
    const tree = ContextTree.open(dir.path);
    list(tree);
    change(path, dir);
    expect(() => read(tree, 'd/f')).toThrow('Cannot use "d/f" of the build context: it changed during build');
    const touched = tree.record(() => list(tree));
    expect(() => read(decodeContext(encodeContext(tree, touched)), 'd/f')).toThrow('changed during build');
  });

  test('a change while it is read is seen when it is closed', () => {
    using dir = new TempDir();
    const path = dir.write('f', 'content');
    const tree = ContextTree.open(dir.path);
    const node = tree.lookup(tree.root, 'f') as ContextNode;
    const fd = tree.open(tree.root, 'f', node);
    fs.appendFileSync(path, 'x');
    expect(() => tree.close(fd, tree.root, 'f', node)).toThrow('changed during build');
    expect(() => fs.fstatSync(fd)).toThrow('EBADF');
  });

  test('a directory swapped for a symlink to elsewhere before it is read', () => {
    using dir = new TempDir();
    dir.write('ctx/d/f');
    dir.write('victim/hello', 'canary');
    const tree = ContextTree.open(join(dir.path, 'ctx'));
    tree.list(tree.root);
    fs.renameSync(join(dir.path, 'ctx/d'), join(dir.path, 'ctx/e'));
    fs.symlinkSync('../victim', join(dir.path, 'ctx/d'));
    expect(() => list(tree)).toThrow('Cannot use "d" of the build context: it changed during build');
  });

  test('an attacker who swaps a directory and a symlink in a loop never leads outside', async () => {
    using dir = new TempDir();
    for (let i = 0; i < 20; i++) dir.write(`ctx/a/d/f${i}`, 'inside');
    for (let i = 0; i < 20; i++) dir.write(`victim/d/f${i}`, 'canary');
    fs.symlinkSync('../victim', join(dir.path, 'ctx/b'));
    const script = `import os,ctypes
l=ctypes.CDLL(None)
while True: l.syscall(316,-100,b"a",-100,b"b",2)`;
    const attacker = spawn('python3', ['-c', script], { cwd: join(dir.path, 'ctx'), stdio: 'ignore' });
    try {
      const end = performance.now() + 1500;
      let clean = 0;
      while (performance.now() < end) {
        await new Promise((resolve) => setImmediate(resolve));
        try {
          const tree = ContextTree.open(join(dir.path, 'ctx'));
          walkTree(tree, tree.root, undefined, ({ dir: at, name, node, path }) => {
            if (node.type !== 'file') return;
            const fd = tree.open(at, name, node);
            expect(`${path} ${fs.readFileSync(fd, 'utf8')}`).toMatch(/ inside$/);
            tree.close(fd, at, name, node);
          });
          clean++;
        } catch (error) {
          expect(String(error)).toMatch(/changed during build/);
        }
      }
      expect(clean).toBeGreaterThan(0);
    } finally {
      attacker.kill('SIGKILL');
    }
  });
});

describe('odd files (CTX-10)', () => {
  testAsRoot('fifos, sockets and devices are listed and never opened', async () => {
    using dir = new TempDir();
    spawnSync('mkfifo', [join(dir.path, 'fifo')]);
    spawnSync('mknod', [join(dir.path, 'zero'), 'c', '1', '5']);
    const server = net.createServer().listen(join(dir.path, 'sock'));
    await new Promise((resolve) => server.once('listening', resolve));
    const tree = ContextTree.open(dir.path);
    const types = tree.list(tree.root).map((name) => tree.lookup(tree.root, name)?.type);
    expect(types).toEqual(['fifo', 'socket', 'char']);
    expect(checksumTree(tree, [all], 'context')).toMatch(/^sha256:/);
    server.close();
  });

  test('what cannot be read is named', () => {
    using dir = new TempDir();
    fs.chmodSync(dir.path, 0o755);
    dir.write('locked/f');
    dir.write('secret', 'x', 0);
    fs.chmodSync(join(dir.path, 'locked'), 0);
    const script = `
      import { ContextTree, checksumTree } from ${JSON.stringify(new URL('../../src/tree/index.ts', import.meta.url).href)};
      process.setgid(65534); process.setuid(65534);
      for (const path of ['/locked', '/secret']) {
        try {
          const tree = ContextTree.open(${JSON.stringify(dir.path)}, { xattrs: false });
          checksumTree(tree, [{ path, followLinks: true, wildcard: false, include: [], exclude: [], contents: true, required: [] }], 'context');
        } catch (error) { console.log(error.code, error.message); }
      }`;
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(stdout.trim().split('\n')).toEqual([
      'TSB_PERMISSION Cannot read "locked" of the build context: permission denied',
      'TSB_PERMISSION Cannot read "secret" of the build context: permission denied',
    ]);
  });
});

test('a packed context is the same in another process', () => {
  using dir = new TempDir();
  dir.write('a/b/f', 'x', 0o755);
  dir.write('é', 'y');
  dir.link('a/b', 'link');
  fs.linkSync(join(dir.path, 'a/b/f'), join(dir.path, 'a/hard'));
  const tree = ContextTree.open(dir.path);
  const touched = tree.record(() => checksumTree(tree, [all], 'context'));
  const copy = decodeContext(structuredClone(encodeContext(tree, touched)));
  expect(list(copy)).toEqual(list(tree));
  expect(checksumTree(copy, [all], 'x')).toBe(checksumTree(tree, [all], 'x'));
  expect(read(copy, 'link/f')).toBe('x');
});

test('digests that were learned of an unpacked context are taken over, and no file is read for them', () => {
  using dir = new TempDir();
  dir.write('a/b/f', 'x');
  dir.write('a/g', 'y');
  dir.write('h', 'z');
  const tree = ContextTree.open(dir.path, { xattrs: false });
  const expected = checksumTree(ContextTree.open(dir.path, { xattrs: false }), [all], 'context');
  const touched = tree.record(() => list(tree));
  const packed = structuredClone(encodeContext(tree, touched));
  const copy = decodeContext(packed);
  const b = copy.enter(copy.enter(copy.root, 'a'), 'b');
  copy.learnContent(b, 'f', copy.lookup(b, 'f') as ContextNode, sha256('x'), []);
  copy.learnContent(copy.root, 'h', copy.lookup(copy.root, 'h') as ContextNode, sha256('z'), []);
  takeDigests(tree, touched, structuredClone(encodeDigests(packed, copy)));
  for (const path of ['a/b/f', 'h']) fs.rmSync(join(dir.path, path));
  expect(checksumTree(tree, [all], 'context')).toBe(expected);
  fs.rmSync(join(dir.path, 'a/g'));
  expect(() => checksumTree(decodeContext(packed), [all], 'context')).toThrow('changed during build');
});

test('a packed context knows nothing beyond what was packed', () => {
  using dir = new TempDir();
  dir.write('a/f');
  dir.write('b/f');
  const tree = ContextTree.open(dir.path);
  list(tree);
  const touched = tree.record(() => checksumTree(tree, [{ ...all, path: '/a' }], 'context'));
  const copy = decodeContext(encodeContext(tree, touched));
  expect(() => list(copy)).toThrow('was not sent along');
});
