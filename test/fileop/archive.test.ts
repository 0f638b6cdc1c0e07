import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type Header as TarHeader, pack as tarStream } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { chain, context, copy, describeTree, layers, runInMemory, runOnMount, Scratch, type Spec } from './support.ts';

const T = 1_700_000_000;
const ADD = { attemptUnpack: true };

function tar(scratch: Scratch, spec: Spec, ...options: string[]): Buffer {
  const args = ['-C', scratch.tree(spec), '--sort=name', '--format=pax', '-cf', '-', ...options];
  return execFileSync('tar', options.some((option) => !option.startsWith('-')) ? args : [...args, '.']);
}

function compress(tool: string, data: Buffer): Buffer {
  return tool === 'cat' ? data : execFileSync(tool, ['-c'], { input: data, maxBuffer: 2 ** 30 });
}

describe.each(['cat', 'gzip', 'bzip2', 'xz', 'zstd'])('an archive that went through %s', (tool) => {
  test('is unpacked by ADD and copied by COPY', async () => {
    using scratch = new Scratch();
    const archive = compress(tool, tar(scratch, { d: { f: { file: 'x', uid: 100, mode: 0o640 } }, l: '->/d/f' }));
    const inputs = [layers(), context(scratch.tree({ 'a.tar': archive }))];
    const added = await runOnMount(scratch, chain([copy('/a.tar', '/out', ADD)]), inputs);
    expect(describeTree(added.tree)).toEqual({
      out: 'directory 755 0:0 now',
      'out/d': `directory 755 0:0 ${T}`,
      'out/d/f': `file 640 100:100 ${T} "x"`,
      'out/l': `symlink  0:0 ${T} -> /d/f`,
    });
    const copied = await runOnMount(scratch, chain([copy('/a.tar', '/out')]), inputs);
    expect(Object.keys(describeTree(copied.tree))).toEqual(['out']);
    await expect(runInMemory(scratch, chain([copy('/a.tar', '/out', ADD)]), inputs)).rejects.toThrow('not possible');
  });
});

const rows: readonly { name: string; spec?: Spec; options?: string[]; base?: Spec; extra?: object; gives: object }[] = [
  {
    name: "parents that only names imply are 0755 and root's, whatever owner is asked for (asked of BuildKit 0.25)",
    spec: { a: { b: { f: { file: 'x', uid: 5 } } } },
    options: ['a/b/f'],
    extra: { owner: { user: { kind: 'byId', id: 100 }, group: { kind: 'byId', id: 200 } } },
    gives: {
      out: 'directory 755 100:200 now',
      'out/a': `directory 755 0:0 ${T}`,
      'out/a/b': `directory 755 0:0 ${T}`,
      'out/a/b/f': `file 644 100:200 ${T} "x"`,
    },
  },
  {
    name: 'symlinks of the destination stay inside of it (testDockerfileAddArchiveThroughAbsoluteSymlink)',
    spec: { run: { f: 'x' }, up: { g: 'y' } },
    options: ['run/f', 'up/g'],
    base: { out: { run: '->/real', up: '->../../../..' } },
    gives: {
      out: 'directory 755 0:0 now',
      'out/g': `file 644 0:0 ${T} "y"`,
      'out/real': `directory 755 0:0 ${T}`,
      'out/real/f': `file 644 0:0 ${T} "x"`,
      'out/run': `symlink  0:0 ${T} -> /real`,
      'out/up': `symlink  0:0 ${T} -> ../../../..`,
    },
  },
  {
    name: 'directories merge, anything else is replaced',
    spec: { d: { f: 'new' }, f: { in: 'i' }, l: 'file' },
    base: { out: { d: { old: 'o' }, f: 'was a file', l: { dir: null } } },
    gives: {
      out: 'directory 755 0:0 now',
      'out/d': `directory 755 0:0 ${T}`,
      'out/d/f': `file 644 0:0 ${T} "new"`,
      'out/d/old': `file 644 0:0 ${T} "o"`,
      'out/f': `directory 755 0:0 ${T}`,
      'out/f/in': `file 644 0:0 ${T} "i"`,
      'out/l': `file 644 0:0 ${T} "file"`,
    },
  },
  {
    name: 'hard links',
    spec: { a: 'x', b: { file: '', link: 'a' } },
    gives: {
      out: 'directory 755 0:0 now',
      'out/a': `file 644 0:0 ${T} "x"`,
      'out/b': `file 644 0:0 ${T} "x" = out/a`,
    },
  },
];

test.each(rows)('$name', async ({ spec = {}, options = [], base = {}, extra = {}, gives }) => {
  using scratch = new Scratch();
  const inputs = [layers(scratch.tree(base)), context(scratch.tree({ 'a.tar': tar(scratch, spec, ...options) }))];
  const { tree } = await runOnMount(scratch, chain([copy('/a.tar', '/out', { ...ADD, ...extra })]), inputs);
  const found = describeTree(tree);
  expect(found).toEqual(gives);
});

test('what is no archive is copied by ADD as it is, wildcards included (testDockerfileAddArchiveWildcard)', async () => {
  using scratch = new Scratch();
  const gz = compress('gzip', Buffer.from('no tar'));
  const spec = {
    'a.gz': gz,
    'b.tar': tar(scratch, { in: 'x' }),
    'c.txt': 'text',
    'd.xz': Buffer.from('\xfd7zXZ\0junk', 'latin1'),
  };
  const inputs = [layers(), context(scratch.tree(spec))];
  const { tree } = await runOnMount(scratch, chain([copy('/*', '/out/', ADD)]), inputs);
  expect(Object.keys(describeTree(tree))).toEqual(['out', 'out/a.gz', 'out/c.txt', 'out/d.xz', 'out/in']);
});

test('a symlink to an archive is followed', async () => {
  using scratch = new Scratch();
  const inputs = [layers(), context(scratch.tree({ 'real.tar': tar(scratch, { in: 'x' }), link: '->real.tar' }))];
  const { tree } = await runOnMount(scratch, chain([copy('/link', '/out', ADD)]), inputs);
  expect(Object.keys(describeTree(tree))).toEqual(['out', 'out/in']);
});

/** One ustar entry with any name. */
function entry(name: string, type = '0', link = '', data = ''): Buffer {
  const block = Buffer.alloc(512 + Math.ceil(data.length / 512) * 512);
  block.write(name, 0, 'latin1');
  block.write('0000644\u00000000000\u00000000000\u0000', 100, 'latin1');
  block.write(
    `${data.length.toString(8).padStart(11, '0')}\u000000000000000\u0000        ${type}${link}`,
    124,
    'latin1',
  );
  block.write('ustar\u000000', 257, 'latin1');
  block.write(data, 512, 'latin1');
  let sum = 0;
  for (const byte of block.subarray(0, 512)) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return block;
}

describe('hostile archives stay inside or fail (TAR-01..05, TAR-28, TAR-29, CTX-06)', () => {
  test.each([
    ['names that climb', [entry('../victim/x', '0', '', 'pwned')]],
    ['names that climb in the middle', [entry('a/../../victim/x', '0', '', 'pwned')]],
    ['absolute names', [entry('/victim/hello', '0', '', 'pwned')]],
    ['a file through an absolute symlink', [entry('l', '2', 'VICTIM'), entry('l/hello', '0', '', 'pwned')]],
    ['a file through a climbing symlink', [entry('l', '2', '../../../../VICTIM'), entry('l/hello', '0', '', 'pwned')]],
    ['a file over a symlink', [entry('l', '2', 'VICTIM/hello'), entry('l', '0', '', 'pwned')]],
    ['a hard link to the host', [entry('h', '1', 'VICTIM/hello'), entry('h', '0', '', 'pwned')]],
    ['a hard link that climbs', [entry('h', '1', '../../victim/hello')]],
    ['a directory over a symlink', [entry('l', '2', 'VICTIM'), entry('l/', '5'), entry('l/hello', '0', '', 'pwned')]],
    ['devices', [entry('sda', '4'), entry('null', '3'), entry('zero', '3')]],
    ['a hard link to a symlink', [entry('l', '2', 'VICTIM/hello'), entry('h', '1', 'l'), entry('h', '0', '', 'pwned')]],
    ['a mode for the root', [entry('./', '5'), entry('..', '5'), entry('/', '5')]],
  ])('%s', async (_, entries) => {
    using scratch = new Scratch();
    const victim = join(scratch.root, 'victim');
    fs.mkdirSync(victim);
    fs.writeFileSync(join(victim, 'hello'), 'canary', { mode: 0o600 });
    const before = fs.statSync(join(victim, 'hello'), { bigint: true });
    const rebuilt = placeVictim(entries, victim);
    const inputs = [layers(scratch.tree({ out: null })), context(scratch.tree({ 'a.tar': rebuilt }))];
    await runOnMount(scratch, chain([copy('/a.tar', '/out', ADD)]), inputs).then(
      ({ tree }) => expect(tree.lookup(tree.root, 'out')).toMatchObject({ mode: 0o755, uid: 0 }),
      (error: unknown) => expect(error).toMatchObject({ code: 'TSB_ARCHIVE' }),
    );
    const after = fs.statSync(join(victim, 'hello'), { bigint: true });
    expect(fs.readdirSync(victim)).toEqual(['hello']);
    expect(fs.readFileSync(join(victim, 'hello'), 'utf8')).toBe('canary');
    expect([after.mode, after.nlink, after.mtimeNs, after.ctimeNs]).toEqual([
      before.mode,
      before.nlink,
      before.mtimeNs,
      before.ctimeNs,
    ]);
  });
});

/** The archive with the victim's path in place of the placeholder. */
function placeVictim(entries: readonly Buffer[], victim: string): Buffer {
  const again = entries.map((one) => {
    const text = (start: number, length: number): string =>
      one.toString('latin1', start, start + length).replace(/\0.*$/s, '');
    return entry(text(0, 100), text(156, 1), text(157, 100).replace('VICTIM', victim), text(512, one.length));
  });
  return Buffer.concat([...again, Buffer.alloc(1024)]);
}

test('an archive that is cut off fails and names the entry (TAR-36)', async () => {
  using scratch = new Scratch();
  const whole = tar(scratch, { f: 'x'.repeat(5000) });
  const inputs = [layers(), context(scratch.tree({ 'a.tar': whole.subarray(0, 4500) }))];
  await expect(runOnMount(scratch, chain([copy('/a.tar', '/out', ADD)]), inputs)).rejects.toThrow(
    /archive entry "\.\/f": the archive is cut off/,
  );
});

test('the entry of a hard link says owner and mode of the file (asked of BuildKit 0.25)', async () => {
  using scratch = new Scratch();
  const header = (name: string, more: Partial<TarHeader>): Partial<TarHeader> => ({
    name,
    mtime: new Date(T * 1000),
    ...more,
  });
  const bytes = await archiveOf([
    [header('a', { mode: 0o600, uid: 1, gid: 1 }), 'x'],
    [header('b', { type: 'link', linkname: 'a', mode: 0o755, uid: 9, gid: 9 }), ''],
    [header('s', { type: 'symlink', linkname: '/etc/passwd', uid: 3, gid: 3 }), ''],
    [header('t', { type: 'link', linkname: 's', mode: 0o777, uid: 9, gid: 9 }), ''],
  ]);
  const added = await runOnMount(scratch, chain([copy('/a.tar', '/out', ADD)]), [
    layers(),
    context(scratch.tree({ 'a.tar': bytes })),
  ]);
  expect(describeTree(added.tree)).toMatchObject({
    'out/a': `file 755 9:9 ${T} "x"`,
    'out/b': `file 755 9:9 ${T} "x" = out/a`,
    'out/s': `symlink  3:3 ${T} -> /etc/passwd`,
  });
});

async function archiveOf(entries: readonly (readonly [Partial<TarHeader>, string])[]): Promise<Buffer> {
  const pack = tarStream();
  for (const [header, content] of entries) pack.entry(header as never, content);
  pack.finalize();
  return buffer(pack);
}
