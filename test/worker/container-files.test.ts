import fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { getXattr, setXattr } from '../../src/sys/index.ts';
import type { CopyFilesParams, CopyPlace } from '../../src/worker/container-methods.ts';
import { copyFiles, openContainer } from '../../src/worker/container-files.ts';
import type { HandlerContext } from '../../src/worker/handler-context.ts';
import { TempDir } from '../tree/support.ts';

// The container is this process, whose root is the machine's: what is copied "out of it" and "into it" are two directories.
let dir: TempDir;
let inside: string;
let outside: string;
const context = {
  config: { plan: { how: 'none', uids: [], gids: [], idShift: 0, idCount: 2 ** 31 } },
  signal: new AbortController().signal,
} as unknown as HandlerContext;

const place = (kind: 'container' | 'host', path: string): CopyPlace => ({
  kind,
  path: path.replace(/\/\.?$/, ''),
  directory: path.endsWith('/'),
  contents: path.endsWith('/.'),
  typed: path,
});
type Options = Partial<Pick<CopyFilesParams, 'archive' | 'follow'>>;
const copy = (from: CopyPlace, to: CopyPlace, options: Options = {}) =>
  copyFiles({ from, to, archive: false, follow: false, ...options }, context);
const out = (from: string, to: string, options?: Options) =>
  copy(place('container', `${inside}/${from}`), place('host', `${outside}/${to}`), options);
const into = (from: string, to: string, options?: Options) =>
  copy(place('host', `${outside}/${from}`), place('container', `${inside}/${to}`), options);
const mode = (path: string): number => fs.lstatSync(path).mode & 0o7777;

test('without a container that was opened, nothing is copied', async () => {
  const nowhere = place('container', '/etc/hostname');
  await expect(copy(nowhere, place('host', '/tmp/x'))).rejects.toMatchObject({ code: 'TSB_INTERNAL' });
});

describe('copies', () => {
  beforeEach(() => {
    dir = new TempDir();
    inside = join(dir.path, 'inside');
    outside = join(dir.path, 'outside');
    fs.mkdirSync(inside);
    fs.mkdirSync(outside);
    openContainer({ pid: process.pid }, context);
  });
  afterEach(() => dir[Symbol.dispose]());

  // Times are whole seconds, as docker has them in its archives.
  test('have the content, the mode and the time of what was copied', async () => {
    const path = join(inside, 'file');
    fs.writeFileSync(path, 'content');
    fs.chmodSync(path, 0o640);
    fs.utimesSync(path, 1_000_000_000, 1_000_000_000.5);
    expect(await out('file', 'copy')).toEqual({ bytes: 7, skipped: [] });
    const made = fs.statSync(join(outside, 'copy'));
    expect([fs.readFileSync(join(outside, 'copy'), 'utf8'), made.mode & 0o7777, made.mtimeMs]).toEqual([
      'content',
      0o640,
      1_000_000_000_000,
    ]);
    expect(await into('copy', 'again')).toEqual({ bytes: 7, skipped: [] });
    expect(fs.statSync(join(inside, 'again')).mtimeMs).toBe(1_000_000_000_000);
  });

  test('get no rights over this machine from a container, unless all is to stay', async () => {
    const path = join(inside, 'tool');
    fs.writeFileSync(path, '');
    fs.chmodSync(path, 0o6755);
    fs.mkdirSync(join(inside, 'shared'));
    fs.chmodSync(join(inside, 'shared'), 0o3777);
    await out('tool', 'tool');
    await out('shared', 'shared');
    await out('tool', 'kept', { archive: true });
    // The sticky bit takes rights away.
    expect(['tool', 'shared', 'kept'].map((name) => mode(join(outside, name)))).toEqual([0o755, 0o1777, 0o6755]);
    // What goes into a container has no more rights there than the container's.
    await into('kept', 'back');
    expect(mode(join(inside, 'back'))).toBe(0o6755);
  });

  test.runIf(process.getuid?.() === 0)('bring no capabilities out of a container, with -a neither', async () => {
    const path = join(inside, 'ping');
    fs.writeFileSync(path, '');
    // VFS_CAP_REVISION_2 with CAP_NET_RAW (linux/capability.h).
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    setXattr(path, 'security.capability', capability);
    for (const archive of [false, true]) {
      await out('ping', `copy-${archive}`, { archive });
      expect(getXattr(join(outside, `copy-${archive}`), 'security.capability')).toBeUndefined();
    }
  });

  test.runIf(process.getuid?.() === 0)(
    'belong to who copies, or to root in a container; with -a to whom they did',
    async () => {
      fs.writeFileSync(join(inside, 'theirs'), '');
      fs.chownSync(join(inside, 'theirs'), 1234, 50);
      await out('theirs', 'mine');
      await out('theirs', 'kept', { archive: true });
      await into('kept', 'roots');
      await into('kept', 'kept', { archive: true });
      const owner = (path: string): readonly number[] => [fs.statSync(path).uid, fs.statSync(path).gid];
      expect(owner(join(outside, 'mine'))).toEqual([0, 0]);
      expect(owner(join(outside, 'kept'))).toEqual([1234, 50]);
      expect(owner(join(inside, 'roots'))).toEqual([0, 0]);
      expect(owner(join(inside, 'kept'))).toEqual([1234, 50]);
    },
  );

  test('of directories have links, pipes and names that are no text', async () => {
    const name = Buffer.from([0x66, 0xff, 0x0a]);
    const odd = (root: string): Buffer => Buffer.concat([Buffer.from(`${join(root, 'tree')}/`), name]);
    fs.mkdirSync(join(inside, 'tree', 'sub'), { recursive: true });
    fs.writeFileSync(odd(inside), 'odd');
    fs.writeFileSync(join(inside, 'tree', 'a'), 'twice');
    fs.linkSync(join(inside, 'tree', 'a'), join(inside, 'tree', 'b'));
    fs.symlinkSync('/etc/passwd', join(inside, 'tree', 'link'));
    expect((await out('tree', 'tree')).skipped).toEqual([]);
    expect(fs.readFileSync(odd(outside), 'utf8')).toBe('odd');
    expect(fs.readlinkSync(join(outside, 'tree', 'link'))).toBe('/etc/passwd');
    expect(fs.statSync(join(outside, 'tree', 'a'))).toMatchObject({
      nlink: 2,
      ino: fs.statSync(join(outside, 'tree', 'b')).ino,
    });
    expect(fs.readdirSync(join(outside, 'tree', 'sub'))).toEqual([]);
  });

  test('go over what is there, and leave what else is in the directory', async () => {
    fs.mkdirSync(join(inside, 'tree', 'sub'), { recursive: true });
    fs.writeFileSync(join(inside, 'tree', 'file'), 'new');
    fs.mkdirSync(join(outside, 'tree', 'sub'), { recursive: true });
    fs.writeFileSync(join(outside, 'tree', 'file'), 'of old');
    fs.writeFileSync(join(outside, 'tree', 'sub', 'other'), 'other');
    await out('tree/.', 'tree');
    expect(fs.readFileSync(join(outside, 'tree', 'file'), 'utf8')).toBe('new');
    expect(fs.readFileSync(join(outside, 'tree', 'sub', 'other'), 'utf8')).toBe('other');
  });

  // GNU cp and docker cp refuse both.
  test.each([
    ['a directory', 'a file'],
    ['a file', 'a directory'],
  ])('of %s do not take the place of %s', async (source, there) => {
    const make = (path: string, kind: string): void =>
      kind === 'a file' ? fs.writeFileSync(path, kind) : fs.mkdirSync(path);
    fs.mkdirSync(join(inside, 'tree'));
    fs.mkdirSync(join(outside, 'tree'));
    make(join(inside, 'tree', 'x'), source);
    make(join(outside, 'tree', 'x'), there);
    await expect(out('tree/.', 'tree')).rejects.toThrow(/x/);
    expect(fs.statSync(join(outside, 'tree', 'x')).isFile()).toBe(there === 'a file');
  });

  test('leave sockets out, and name them', async () => {
    fs.mkdirSync(join(inside, 'run'));
    fs.writeFileSync(join(inside, 'run', 'pid'), '1');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(inside, 'run', 'sock'), resolve));
    const { skipped } = await out('run', 'run');
    server.close();
    expect(skipped).toEqual(['run/sock']);
    expect(fs.readdirSync(join(outside, 'run'))).toEqual(['pid']);
  });

  test('of a link are the link, and with -L what it leads to', async () => {
    fs.writeFileSync(join(inside, 'file'), 'content');
    fs.symlinkSync('file', join(inside, 'link'));
    await out('link', 'link');
    await out('link', 'followed', { follow: true });
    expect(fs.readlinkSync(join(outside, 'link'))).toBe('file');
    expect(fs.lstatSync(join(outside, 'followed')).isFile()).toBe(true);
  });

  test('do not end outside of where they were to go, whatever lies in the way', async () => {
    fs.mkdirSync(join(dir.path, 'elsewhere'));
    fs.mkdirSync(join(inside, 'tree', 'way'), { recursive: true });
    fs.writeFileSync(join(inside, 'tree', 'way', 'file'), 'content');
    fs.mkdirSync(join(outside, 'tree'));
    fs.symlinkSync(join(dir.path, 'elsewhere'), join(outside, 'tree', 'way'));
    await out('tree/.', 'tree').catch(() => undefined);
    expect(fs.readdirSync(join(dir.path, 'elsewhere'))).toEqual([]);
  });
});
