import { chownSync, linkSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { testAsRoot } from '../support/real-root.ts';
import { writeFileOpLayer } from '../../src/fileop/index.ts';
import { IgnoreMatcher } from '../../src/frontend/ignore/index.ts';
import { getXattr, setXattr } from '../../src/sys/index.ts';
import type { TreeNode } from '../../src/tree/index.ts';
import {
  chain,
  context,
  copy,
  describeTree,
  entriesOf,
  layers,
  MemorySink,
  NOW,
  runInMemory,
  runOnMount,
  Scratch,
  type Spec,
} from './support.ts';
import type { CopyAction } from '../../src/llb/index.ts';

interface Row {
  readonly name: string;
  readonly context: Spec;
  readonly base?: Spec;
  readonly copies: readonly CopyAction[];
  readonly gives: Record<string, string>;
}

const T = 1_700_000_000;
const file = (content: string, mode = '644', owner = '0:0'): string =>
  `file ${mode} ${owner} ${T} ${JSON.stringify(content)}`;
const made = (mode = '755', owner = '0:0', time: string | number = 'now'): string =>
  `directory ${mode} ${owner} ${time}`;

const rows: readonly Row[] = [
  {
    name: 'a file goes to a path, and into a directory',
    context: { f: 'x' },
    base: { d: null },
    copies: [copy('/f', '/g'), copy('/f', '/d'), copy('/f', '/new/')],
    gives: { d: made(), 'd/f': file('x'), g: file('x'), new: made(), 'new/f': file('x') },
  },
  {
    name: 'the contents of a directory go into the destination, which is made 0755 and takes the time',
    context: { dir: { f: 'x', sub: { g: 'y' } } },
    copies: [copy('/dir', '/x')],
    gives: { x: made('755', '0:0', T), 'x/f': file('x'), 'x/sub': made('755', '0:0', T), 'x/sub/g': file('y') },
  },
  {
    name: 'wildcards in order, nested, of directories; none found is fine (testCopyWildcards, testEmptyWildcard)',
    context: { a1: '1', a2: '2', d1: { f: 'x' }, d2: { f: 'y', g: 'z' }, other: '' },
    copies: [
      copy('/a*', '/'),
      copy('/d*', '/m/'),
      copy('/d?/g', '/n/'),
      copy('/nomatch*', '/'),
      copy('/d1/nomatch*', '/'),
    ],
    gives: {
      a1: file('1'), a2: file('2'), m: made('755', '0:0', T), 'm/f': file('y'), 'm/g': file('z'), n: made(), 'n/g': file('z'),
    }, // oxfmt-ignore
  },
  {
    name: 'a symlink that is named is followed, one inside a directory is kept (testCopySymlinks)',
    context: { real: 'r', link: '->real', dir: { in: '->../real', dangling: '->/nowhere' }, dlink: '->dir' },
    copies: [copy('/link', '/one'), copy('/l*', '/'), copy('/dlink', '/d'), copy('/dlink/in', '/deep')],
    gives: {
      d: made('755', '0:0', T),
      'd/dangling': `symlink  0:0 ${T} -> /nowhere`,
      'd/in': `symlink  0:0 ${T} -> ../real`,
      deep: file('r'),
      link: file('r'),
      one: file('r'),
    },
  },
  {
    name: 'a symlink in the destination is followed inside the root (testSymlinkDestination)',
    context: { f: 'x' },
    base: { tmp: { x: null }, link: '->../../tmp/x', flink: '->/tmp/file' },
    copies: [copy('/f', '/link/'), copy('/f', '/flink'), copy('/f', '/link/new')],
    gives: {
      flink: `symlink  0:0 ${T} -> /tmp/file`,
      link: `symlink  0:0 ${T} -> ../../tmp/x`,
      tmp: made(), 'tmp/file': file('x'), 'tmp/x': made(), 'tmp/x/f': file('x'), 'tmp/x/new': file('x'),
    }, // oxfmt-ignore
  },
  {
    name: 'owners: everything copied and made, not what was there (testCopyChownExistingDir, testCopyChownCreateDest)',
    context: { dir: { f: 'x', sub: { g: 'y' } } },
    base: { there: { sub: { old: 'o' } } },
    copies: [
      copy('/dir', '/there', { owner: { user: { kind: 'byId', id: 1000 }, group: { kind: 'byId', id: 2000 } } }),
      copy('/dir/f', '/a/b/', { owner: { user: { kind: 'byId', id: 7 } } }),
    ],
    gives: {
      a: made('755', '7:7'), 'a/b': made('755', '7:7'), 'a/b/f': file('x', '644', '7:7'),
      there: made('755', '0:0', T), 'there/f': file('x', '644', '1000:2000'), 'there/sub': made('755', '1000:2000', T),
      'there/sub/g': file('y', '644', '1000:2000'), 'there/sub/old': file('o'),
    }, // oxfmt-ignore
  },
  {
    name: 'modes: octal for files, directories and made parents; symbolic (testCopyChmod, testChmodNonOctal)',
    context: { f: 'x', dir: { g: { file: 'y', mode: 0o755 } } },
    copies: [copy('/f', '/p/f', { mode: 0o777 }), copy('/dir', '/s', { modeStr: 'u=rwX,go=' })],
    gives: {
      p: made('777'), 'p/f': file('x', '777'), s: made('755', '0:0', T), 's/g': file('y', '700'),
    }, // oxfmt-ignore
  },
  {
    name: 'files replace files, directories merge and nested ones take the mode of the source',
    context: { dir: { f: 'new', sub: { g: 'g' } } },
    base: { x: { f: { file: 'old', mode: 0o600, uid: 5 }, keep: 'k', sub: { h: 'h' } } },
    copies: [copy('/dir', '/x')],
    gives: {
      x: made('755', '0:0', T), 'x/f': file('new'), 'x/keep': file('k'), 'x/sub': made('755', '0:0', T),
      'x/sub/g': file('g'), 'x/sub/h': file('h'),
    }, // oxfmt-ignore
  },
  {
    name: 'hard links stay linked within a source',
    context: { dir: { a: 'x', b: { file: '', link: 'a' }, c: 'y' } },
    copies: [copy('/dir', '/d'), copy('/dir/a', '/single')],
    gives: {
      d: made('755', '0:0', T), 'd/a': file('x'), 'd/b': `${file('x')} = d/a`, 'd/c': file('y'), single: file('x'),
    }, // oxfmt-ignore
  },
  {
    name: 'exclude patterns, all excluded gives an empty directory (testExcludedFilesOnCopy)',
    context: { dir: { 'a.txt': 'a', 'b.md': 'b', sub: { 'c.txt': 'c', 'd.md': 'd' } } },
    copies: [
      copy('/dir', '/x', { excludePatterns: ['*.txt'] }),
      copy('/dir', '/y', { excludePatterns: ['**/*.txt', '!sub/c.txt'] }),
      copy('/dir', '/z', { excludePatterns: ['*'] }),
    ],
    gives: {
      x: made('755', '0:0', T), 'x/b.md': file('b'), 'x/sub': made('755', '0:0', T), 'x/sub/c.txt': file('c'), 'x/sub/d.md': file('d'),
      y: made('755', '0:0', T), 'y/b.md': file('b'), 'y/sub': made('755', '0:0', T), 'y/sub/c.txt': file('c'), 'y/sub/d.md': file('d'),
      z: made('755', '0:0', T),
    }, // oxfmt-ignore
  },
  {
    name: 'include patterns keep paths and the parents on them (COPY --parents, testCopyParents)',
    context: { a: { b: { c: 'c', d: 'd' }, e: 'e' }, x: { b: { c: 'xc' } } },
    copies: [copy('/', '/dest/', { includePatterns: ['a/b/c', '*/b/d'], allowWildcard: false })],
    gives: {
      dest: made('755', '0:0', T), 'dest/a': made('755', '0:0', T), 'dest/a/b': made('755', '0:0', T),
      'dest/a/b/c': file('c'), 'dest/a/b/d': file('d'),
    }, // oxfmt-ignore
  },
  {
    name: 'replacing whatever is at the destination when asked to',
    context: { dir: { f: 'x', d: { g: 'g' } } },
    base: { t: { f: { sub: null }, d: '->/elsewhere' } },
    copies: [copy('/dir', '/t', { alwaysReplaceExistingDestPaths: true })],
    gives: {
      t: made('755', '0:0', T), 't/d': made('755', '0:0', T), 't/d/g': file('g'), 't/f': file('x'),
    }, // oxfmt-ignore
  },
  {
    name: 'names that are not ASCII, and wildcards of them (testCopyUnicodePath)',
    context: { 'ä+%C3': 'x', öl: { ß: 'y' } },
    copies: [copy('/ä*', '/é/'), copy('/öl', '/ü')],
    gives: { é: made(), 'é/ä+%C3': file('x'), ü: made('755', '0:0', T), 'ü/ß': file('y') },
  },
  {
    name: 'a timestamp for everything copied and made',
    context: { f: 'x', d: { g: 'y' } },
    copies: [copy('/f', '/p/q/', { timestamp: 1_600_000_000_000_000_000n })],
    gives: {
      p: made('755', '0:0', 1_600_000_000), 'p/q': made('755', '0:0', 1_600_000_000), 'p/q/f': 'file 644 0:0 1600000000 "x"',
    }, // oxfmt-ignore
  },
];

test.each(rows)('$name', async ({ context: spec, base = {}, copies, gives }) => {
  using scratch = new Scratch();
  const inputs = [layers(scratch.tree(base)), context(scratch.tree(spec))];
  const onMount = describeTree((await runOnMount(scratch, chain(copies), inputs)).tree);
  const inMemory = describeTree(await runInMemory(scratch, chain(copies), inputs));
  expect(inMemory).toEqual(onMount);
  expect(onMount).toEqual(gives);
});

const fails: readonly (Omit<Row, 'gives'> & { readonly message: string })[] = [
  {
    name: 'a missing source',
    context: {},
    copies: [copy('/foo', '/', { allowWildcard: false })],
    message: '"/foo": not found',
  },
  {
    name: 'a directory over a file',
    context: { d: { x: { f: '' } } },
    base: { t: { x: 'file' } },
    copies: [copy('/d', '/t')],
    message: 'cannot copy to non-directory: /t/x',
  },
  {
    name: 'a file over a directory',
    context: { d: { x: 'file' } },
    base: { t: { x: { f: '' } } },
    copies: [copy('/d', '/t')],
    message: 'cannot replace to directory /t/x with file',
  },
  {
    name: 'a file where a directory is needed',
    context: { f: '' },
    base: { t: 'file' },
    copies: [copy('/f', '/t/')],
    message: 'mkdir /t: not a directory',
  },
  {
    name: 'a parent that must not be made',
    context: { f: '' },
    copies: [copy('/f', '/a/b', { createDestPath: false })],
    message: 'failed to stat /a/b: no such file or directory',
  },
  {
    name: 'symlinks in a circle',
    context: { f: '' },
    base: { a: '->b', b: '->a' },
    copies: [copy('/f', '/a/x')],
    message: 'Cannot resolve "/a": too many levels of symbolic links',
  },
  {
    name: 'a mode that is none',
    context: { f: '' },
    copies: [copy('/f', '/x', { modeStr: 'u=q' })],
    message: 'Cannot use mode "u=q": it is neither octal nor symbolic',
  },
  {
    name: 'a wildcard that must match',
    context: {},
    copies: [copy('/no*', '/', { allowEmptyWildcard: false })],
    message: '"/no*" not found',
  },
  {
    name: 'a wildcard in a directory that does not exist',
    context: { dir: { f: '' } },
    copies: [copy('/dri/*', '/x/')],
    message: 'lstat /dri: no such file or directory',
  },
  {
    name: 'a wildcard behind a link that leads nowhere',
    context: { dir: { f: '' }, link: '->gone' },
    copies: [copy('/link/n*/f', '/x/')],
    message: 'lstat /gone: no such file or directory',
  },
];

test.each(fails)('fails for $name', async ({ context: spec, base = {}, copies, message }) => {
  using scratch = new Scratch();
  const inputs = [layers(scratch.tree(base)), context(scratch.tree(spec))];
  await expect(runOnMount(scratch, chain(copies), inputs)).rejects.toThrow(message);
  await expect(runInMemory(scratch, chain(copies), inputs)).rejects.toThrow(message);
});

test('wildcards and patterns of many stars take time linear in the path', { timeout: 10_000 }, async () => {
  using scratch = new Scratch();
  const long = 'a'.repeat(250);
  const stars = `**/*${'a*'.repeat(8)}b`;
  const dir = scratch.tree({ [long]: { [long]: { [long]: 'x' } } });
  const copies = [
    copy(`/*${'a*'.repeat(60)}b`, '/none/'),
    copy('/', '/kept', { excludePatterns: [stars] }),
    copy('/', '/left', { includePatterns: [stars] }),
  ];
  const tree = describeTree(await runInMemory(scratch, chain(copies), [layers(), context(dir)]));
  expect(Object.keys(tree)).toEqual([
    'kept',
    `kept/${long}`,
    `kept/${long}/${long}`,
    `kept/${long}/${long}/${long}`,
    'left',
  ]);
});

test('stage files keep their owners, modes and capabilities, and no other extended attributes', async () => {
  using scratch = new Scratch();
  const stage = scratch.tree({ d: { f: { file: 'x', mode: 0o4755, uid: 33, gid: 34 } } });
  setXattr(join(stage, 'd/f'), 'security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex'));
  setXattr(join(stage, 'd/f'), 'user.note', 'hello');
  setXattr(join(stage, 'd'), 'user.dir', 'd');
  setXattr(join(stage, 'd/f'), 'user.overlay.redirect', '/victim');
  const inputs = [layers(), layers(stage)];
  const expected = {
    out: `directory 755 0:0 ${T}`,
    'out/d': `directory 755 0:0 ${T}`,
    'out/d/f': expect.stringMatching(new RegExp(`^file 4755 33:34 ${T} "x" security\\.capability=[^=]*$`)),
  };
  const actions = chain([copy('/', '/out')]);
  expect(describeTree((await runOnMount(scratch, actions, inputs)).tree)).toEqual(expected);
  expect(describeTree(await runInMemory(scratch, actions, inputs))).toEqual(expected);
});

testAsRoot('ids are shifted on disk and not in the result', async () => {
  using scratch = new Scratch();
  const base = scratch.tree({ old: { file: 'o', uid: 100_005, gid: 100_006 } });
  chownSync(base, 100_000, 100_000);
  const inputs = [layers(base), context(scratch.tree({ f: 'x' }))];
  const actions = chain([copy('/f', '/d/f', { owner: { user: { kind: 'byId', id: 42 } } }), copy('/f', '/g')]);
  const { tree, layer } = await runOnMount(scratch, actions, inputs, { idShift: 100_000 });
  expect(describeTree(tree)).toEqual({
    d: made('755', '42:42'),
    'd/f': file('x', '644', '42:42'),
    g: file('x'),
    old: file('o', '644', '5:6'),
  });
  expect(statSync(join(layer, 'g')).uid).toBe(100_000);
  const tooLarge = chain([copy('/f', '/x', { owner: { user: { kind: 'byId', id: 65_536 } } })]);
  await expect(runOnMount(scratch, tooLarge, inputs, { idShift: 100_000 })).rejects.toThrow(
    'Cannot set the owner of "/x": id 65536 is not below 65536',
  );
  const wide = await runOnMount(scratch, tooLarge, inputs, { idShift: 100_000, idCount: 70_000 });
  expect(describeTree(wide.tree)['x']).toBe(file('x', '644', '65536:65536'));
});

test('names that are not UTF-8 are copied byte by byte', async () => {
  using scratch = new Scratch();
  const dir = scratch.tree({});
  const name = Buffer.from([0x66, 0xff, 0x0a, 0x1b]);
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), 'x');
  const { layer } = await runOnMount(scratch, chain([copy('/', '/d')]), [layers(), context(dir)]);
  expect(readdirSync(Buffer.from(`${layer}/d`), 'buffer')).toEqual([name]);
});

testAsRoot('file capabilities are tied to the root user of the image, and portable in its layer', async () => {
  using scratch = new Scratch();
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const dir = scratch.tree({ ping: 'x' });
  setXattr(join(dir, 'ping'), 'security.capability', capability);
  const inputs = [layers(), context(dir)];
  const { tree, layer } = await runOnMount(scratch, chain([copy('/ping', '/ping')]), inputs, { idShift: 100_000 });
  expect(getXattr(join(layer, 'ping'), 'security.capability')?.readUInt32LE(20)).toBe(100_000);
  const node = tree.lookup(tree.root, 'ping') as TreeNode;
  expect(tree.xattrs(tree.root, 'ping', node)).toEqual([{ name: 'security.capability', value: capability }]);
});

test('a copy shares no inode with the host, and an ignored name of a file does not matter (CTX-09)', async () => {
  using scratch = new Scratch();
  const dir = scratch.tree({ a: 'x', b: { file: '', link: 'a' } });
  linkSync(join(dir, 'a'), join(scratch.root, 'outside'));
  const ignore = new IgnoreMatcher(['b']);
  const { layer } = await runOnMount(scratch, chain([copy('/', '/')]), [layers(), context(dir, { ignore })]);
  expect(readdirSync(layer)).toEqual(['a']);
  expect(statSync(join(layer, 'a')).nlink).toBe(1);
  expect(statSync(join(dir, 'a')).nlink).toBe(3);
});

test('destinations do not lead outside (CTX-03)', async () => {
  using scratch = new Scratch();
  const victim = scratch.tree({ hello: { file: 'canary', mode: 0o600 } });
  const base = {
    data: `->../../../../..${victim}`,
    d2: '->/proc/self/root',
    d3: `->${victim}`,
    d4: '->/proc/self/cwd',
  };
  const owner = { user: { kind: 'byId' as const, id: 1 } };
  const copies = Object.keys(base).flatMap((name) => [
    copy('/f', `/${name}/`, { owner, mode: 0o777 }),
    copy('/f', `/${name}/hello`, { owner, mode: 0o777 }),
    copy('/', `/${name}`, { owner, mode: 0o777 }),
  ]);
  const before = statSync(join(victim, 'hello'), { bigint: true });
  const inputs = [layers(scratch.tree(base)), context(scratch.tree({ f: 'pwned', hello: 'pwned' }))];
  await runOnMount(scratch, chain(copies), inputs);
  const after = statSync(join(victim, 'hello'), { bigint: true });
  expect([after.ctimeNs, after.mode, after.uid]).toEqual([before.ctimeNs, before.mode, before.uid]);
  expect(readdirSync(victim)).toEqual(['hello']);
});

test('a file that changed since the context was hashed fails the copy (CTX-05)', async () => {
  using scratch = new Scratch();
  const dir = scratch.tree({ f: 'x' });
  const inputs = [layers(), context(dir)];
  writeFileSync(join(dir, 'f'), 'y');
  await expect(runOnMount(scratch, chain([copy('/f', '/f')]), inputs)).rejects.toThrow('changed during build');
  const sink = new MemorySink();
  const params = { actions: chain([copy('/f', '/f')]), inputs, idShift: 0, now: NOW };
  const options = { compression: { kind: 'none' as const }, signal: new AbortController().signal };
  await expect(writeFileOpLayer(params, sink, options)).rejects.toThrow('changed during build');
  expect(sink.bytes.length).toBe(0);
});

test('what is copied onto itself is no change, and is compared once however deep it lies', async () => {
  using scratch = new Scratch();
  const deep = Array.from({ length: 40 }, (_, index) => `d${index}`).join('/');
  const base = scratch.tree({ 'a-b': { f: '1' }, a: { b: { f: '1' } } });
  mkdirSync(join(base, deep), { recursive: true });
  writeFileSync(join(base, deep, 'file'), 'same');
  const sink = new MemorySink();
  const options = { compression: { kind: 'none' }, signal: new AbortController().signal } as const;
  const params = { actions: chain([copy('/', '/')]), inputs: [layers(base), layers(base)], now: NOW, idShift: 0 };
  await writeFileOpLayer(params, sink, options);
  expect(entriesOf(sink.bytes)).toEqual([]);
  // A change at the end brings the directories above it, and nothing beside it.
  const changed = new MemorySink();
  const other = scratch.tree({ a: { b: { f: '2' } } });
  await writeFileOpLayer({ ...params, inputs: [layers(base), layers(other)] }, changed, options);
  expect(entriesOf(changed.bytes).map((line) => (JSON.parse(line) as string[])[0])).toEqual(['a/', 'a/b/', 'a/b/f']);
}, 10_000);
