import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DirectInput,
  fileOpEntries,
  runFileActions,
  writeFileOpDirectory,
  writeFileOpLayer,
} from '../../src/fileop/index.ts';
import { diffLayer } from '../../src/layer/index.ts';
import type { ChownOptions, CopyAction, FileAction, FileActionBody } from '../../src/llb/index.ts';
import { encodeSummary, LayersTree } from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';
import {
  chain,
  context,
  copy,
  describeTree,
  entriesOf,
  layers,
  MemorySink,
  NOW,
  overlayHost,
  runInMemory,
  runOnMount,
  Scratch,
  type Spec,
} from './support.ts';

const T = 1_700_000_000;
const mkdir = (path: string, makeParents = false): FileActionBody => ({
  kind: 'mkdir',
  path,
  mode: 0o750,
  makeParents,
  timestamp: -1n,
});
const mkfile = (path: string, data: string, owner?: ChownOptions): FileActionBody => ({
  kind: 'mkfile',
  path,
  mode: 0o640,
  data: Buffer.from(data),
  timestamp: -1n,
  ...(owner ? { owner } : {}),
});
const rm = (path: string, options: { allowNotFound?: boolean; allowWildcard?: boolean } = {}): FileActionBody => ({
  kind: 'rm',
  path,
  allowNotFound: false,
  allowWildcard: false,
  ...options,
});
const symlink = (oldPath: string, newPath: string): FileActionBody => ({
  kind: 'symlink',
  oldPath,
  newPath,
  timestamp: -1n,
});

const rows: readonly { name: string; base?: Spec; actions: FileActionBody[]; gives?: object; fails?: string }[] = [
  {
    name: 'mkdir with parents, through a symlink',
    base: { l: '->real', real: null },
    actions: [mkdir('/l/a/b', true), mkdir('/real/a')],
    gives: {
      l: `symlink  0:0 ${T} -> real`,
      real: 'directory 755 0:0 now',
      'real/a': 'directory 750 0:0 now',
      'real/a/b': 'directory 750 0:0 now',
    },
  },
  { name: 'mkdir without its parent', actions: [mkdir('/a/b')], fails: 'mkdir /a/b: no such file or directory' },
  { name: 'mkdir over a file', base: { f: '' }, actions: [mkdir('/f/x', true)], fails: 'mkdir /f: not a directory' },
  {
    name: 'mkfile makes and replaces, keeping the mode of what was there',
    base: { f: { file: 'old and long', mode: 0o604, uid: 3 }, l: '->/f' },
    actions: [mkfile('/l', 'new'), mkfile('/g', 'g', { user: { kind: 'byId', id: 9 } })],
    gives: {
      f: 'file 604 3:3 now "new"',
      g: 'file 640 9:9 now "g"',
      l: `symlink  0:0 ${T} -> /f`,
    },
  },
  { name: 'mkfile without its parent', actions: [mkfile('/a/b', '')], fails: 'open /a/b: no such file or directory' },
  { name: 'mkfile over a directory', base: { d: null }, actions: [mkfile('/d', '')], fails: 'open /d: is a directory' },
  {
    name: 'rm of a tree, of wildcards, of a symlink and not its target',
    base: { d: { sub: { f: '' } }, l: '->k', k: 'k', a1: '', a2: '' },
    actions: [rm('/d'), rm('/a*', { allowWildcard: true }), rm('/l'), rm('/no', { allowNotFound: true })],
    gives: { k: `file 644 0:0 ${T} "k"` },
  },
  {
    name: 'what was removed and made again hides what is below',
    base: { d: { old: 'o', sub: { x: '' } } },
    actions: [rm('/d'), mkdir('/d'), mkfile('/d/new', 'n')],
    gives: { d: 'directory 750 0:0 now', 'd/new': 'file 640 0:0 now "n"' },
  },
  { name: 'rm of nothing', actions: [rm('/no')], fails: 'rm /no: no such file or directory' },
  { name: 'rm of the root', actions: [rm('/')], fails: 'Cannot remove "/"' },
  {
    name: 'symlink',
    actions: [symlink('../x', '/l')],
    gives: { l: 'symlink  0:0 now -> ../x' },
  },
  { name: 'symlink over a file', base: { f: '' }, actions: [symlink('x', '/f')], fails: 'symlink /f: file exists' },
];

test.each(rows)('$name', async ({ base = {}, actions, gives, fails }) => {
  using scratch = new Scratch();
  const inputs = [layers(scratch.tree(base))];
  const all = chain(actions, 1);
  if (fails !== undefined) {
    await expect(runOnMount(scratch, all, inputs)).rejects.toThrow(fails);
    await expect(runInMemory(scratch, all, inputs)).rejects.toThrow(fails);
    return;
  }
  expect(describeTree((await runOnMount(scratch, all, inputs)).tree)).toEqual(gives);
  expect(describeTree(await runInMemory(scratch, all, inputs))).toEqual(gives);
});

test('a directory made below one with the setgid bit has the bit and the group, unless mode or owner are given', async () => {
  using scratch = new Scratch();
  const base = scratch.tree({ d: null });
  fs.chownSync(join(base, 'd'), 7, 50);
  fs.chmodSync(join(base, 'd'), 0o2775);
  const owner: ChownOptions = { user: { kind: 'byId', id: 9 }, group: { kind: 'byId', id: 9 } };
  const all = chain([
    mkdir('/d/a/b', true),
    { ...mkdir('/d/c'), owner } as FileActionBody,
    copy('/f', '/d/e/'),
    copy('/f', '/d/g/', { mode: 0o700 }),
  ]);
  const inputs = [layers(base), context(scratch.tree({ f: '' }))];
  const gives = {
    'd/a': 'directory 2750 0:50 now',
    'd/a/b': 'directory 2750 0:50 now',
    'd/c': 'directory 2750 9:9 now',
    'd/e': 'directory 2755 0:50 now',
    'd/e/f': `file 644 0:0 ${T} ""`,
    'd/g': 'directory 700 0:50 now',
  };
  expect(describeTree((await runOnMount(scratch, all, inputs)).tree)).toMatchObject(gives);
  expect(describeTree(await runInMemory(scratch, all, inputs))).toMatchObject(gives);
});

describe('owners by name', () => {
  const passwd = 'root:x:0:0::/:\nbob:x:1001:1002::/:\n';
  const group = 'root:x:0:\nstaff:x:50:bob\n';
  const named = (user?: string, groupName?: string): ChownOptions => ({
    ...(user === undefined ? {} : { user: { kind: 'byName' as const, name: user, input: 0 } }),
    ...(groupName === undefined ? {} : { group: { kind: 'byName' as const, name: groupName, input: 0 } }),
  });
  test.each([
    ['bob', undefined, '1001:1002', []],
    ['bob', 'staff', '1001:50', []],
    [undefined, 'staff', '0:50', []],
    ['nobody', undefined, '0:0', ['User "nobody" is not in /etc/passwd of the image: 0 is used']],
    ['bob', 'none', '1001:1002', ['Group "none" is not in /etc/group of the image: 1002 is used']],
  ])('%s:%s is %s', async (user, groupName, owner, expected) => {
    using scratch = new Scratch();
    const inputs = [layers(scratch.tree({ etc: { passwd: '->../real', group }, real: passwd }))];
    const { tree, warnings } = await runOnMount(scratch, chain([mkfile('/f', 'x', named(user, groupName))], 1), inputs);
    expect(describeTree(tree)['f']).toBe(`file 640 ${owner} now "x"`);
    expect(warnings).toEqual(expected);
  });

  test('are refused where there is nothing that has names, as by BuildKit', async () => {
    using scratch = new Scratch();
    const owner: ChownOptions = { user: { kind: 'byName', name: 'bob', input: -1 } };
    await expect(runOnMount(scratch, chain([mkfile('/f', 'x', owner)], 1), [layers(scratch.tree({}))])).rejects.toThrow(
      'Cannot look up owner "bob": what is built on scratch has no /etc/passwd',
    );
  });

  test.each(['4294967296', '2147483648', '-2147483649', '+99999999999999999999'])(
    'that are numbers but no ids are refused: %s (PRC-07)',
    async (number) => {
      for (const owner of [named(number), named('bob', number)]) {
        using scratch = new Scratch();
        const inputs = [layers(scratch.tree({ etc: { passwd, group } }))];
        await expect(runOnMount(scratch, chain([mkfile('/f', 'x', owner)], 1), inputs)).rejects.toThrow(
          `Cannot use owner "${number}": it is not an id from 0 to 2147483647`,
        );
      }
      // Also as an id that an image gives somebody, or -1, which would leave the file to whoever made it.
      for (const owner of [named('bob'), { user: { kind: 'byId' as const, id: 0xff_ff_ff_ff } }]) {
        using scratch = new Scratch();
        const inputs = [layers(scratch.tree({ etc: { passwd: 'bob:x:4294967296:0::/:\n', group } }))];
        await expect(runOnMount(scratch, chain([mkfile('/f', 'x', owner)], 1), inputs)).rejects.toThrow(
          'it is not an id from 0 to 2147483647',
        );
      }
      // Unless it is somebody's name.
      using scratch = new Scratch();
      const inputs = [layers(scratch.tree({ etc: { passwd: `${number}:x:5:6::/:\n`, group } }))];
      const { tree } = await runOnMount(scratch, chain([mkfile('/f', 'x', named(number))], 1), inputs);
      expect(describeTree(tree)['f']).toBe('file 640 5:6 now "x"');
    },
  );

  test.each([
    ['is a fifo', (path: string) => spawnSync('mkfifo', [path])],
    ['is huge', (path: string) => fs.writeFileSync(path, Buffer.alloc(11 << 20))],
  ])('are refused quickly when passwd %s (PRC-08)', async (_, make) => {
    using scratch = new Scratch();
    const base = scratch.tree({ etc: {} });
    make(join(base, 'etc/passwd'));
    const run = runOnMount(scratch, chain([mkfile('/f', 'x', named('bob'))], 1), [layers(base)]);
    await expect(run).rejects.toThrow(/Cannot look up a user in "\/etc\/passwd"/);
  });
});

test('a result that is used twice is frozen, and both outputs are right', async () => {
  using scratch = new Scratch();
  const actions: FileAction[] = [
    { ...mkfile('/a', 'a'), input: -1, secondaryInput: -1, output: -1 },
    { ...mkfile('/b', 'b'), input: 0, secondaryInput: -1, output: 0 },
    { ...copy('/a', '/c'), input: 0, secondaryInput: 1, output: 1 },
  ];
  const params = { actions, inputs: [], idShift: 0, now: NOW };
  const { outputs } = await runFileActions(params, overlayHost(scratch), { signal: new AbortController().signal });
  const trees = outputs.map((o) =>
    Object.keys(describeTree(new LayersTree([...o.lowers, o.root.layer], { idShift: 0 }))),
  );
  expect(trees).toEqual([['a', 'b'], ['a', 'b', 'c'].filter((name) => name !== 'b')]);
});

test('a build context can be built upon', async () => {
  using scratch = new Scratch();
  const { tree } = await runOnMount(scratch, chain([mkfile('/new', 'n')], 1), [
    context(scratch.tree({ d: { f: 'x' } })),
  ]);
  expect(Object.keys(describeTree(tree))).toEqual(['d', 'd/f', 'new']);
});

test.each([
  ['an input that is not there', { input: 7 }, 'invalid input index 7'],
  ['a source that is not there', { secondaryInput: -2 }, 'invalid input index -2'],
  ['no output', { output: -1 }, 'no outputs specified'],
  ['a gap in the outputs', { output: 5 }, 'invalid output index 5'],
])('refuses %s', async (_, change, message) => {
  using scratch = new Scratch();
  const [action] = chain([mkfile('/f', '')], 1);
  const run = runOnMount(scratch, [{ ...(action as FileAction), ...change }], [layers()]);
  await expect(run).rejects.toThrow(message);
});

test('a canceled run discards its layers', async () => {
  using scratch = new Scratch();
  const reason = new Error('stop');
  const base = overlayHost(scratch);
  let discarded = 0;
  const host = {
    createRoot: (lowers: readonly string[]) => ({ ...base.createRoot(lowers), discard: () => void discarded++ }),
  };
  const dir = scratch.tree({});
  for (let i = 0; i < 5000; i++) fs.writeFileSync(join(dir, `f${i}`), '');
  const params = { actions: chain([copy('/', '/d')]), inputs: [layers(), context(dir)], idShift: 0, now: NOW };
  await expect(runFileActions(params, host, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(discarded).toBe(1);
});

const names = fc.constantFrom('a', 'b', 'c', 'a-b', 'é');
const paths = fc.array(names, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const specs: fc.Arbitrary<Spec> = fc.letrec<{ dir: Spec; entry: Spec[string] }>((tie) => ({
  dir: fc.dictionary(names, tie('entry'), { maxKeys: 3, noNullPrototype: true }),
  entry: fc.oneof(
    { maxDepth: 3, depthSize: 'medium' },
    fc.constantFrom<Spec[string]>('x', 'yy', '->a', '->/b', '->../c', null),
    fc.constantFrom<Spec[string]>({ file: 'z', mode: 0o600, uid: 5 }, { file: 's', mode: 0o4711 }),
    tie('dir'),
  ),
})).dir;
const bodies: fc.Arbitrary<FileActionBody> = fc.oneof(
  fc
    .record({
      src: fc.oneof(paths, fc.constantFrom('/', '/*', '/a*', '/*/b')),
      dest: fc.oneof(
        paths,
        paths.map((path) => `${path}/`),
        fc.constant('/'),
      ),
      mode: fc.constantFrom(-1, 0o755, 0o640),
      dirCopyContents: fc.boolean(),
      alwaysReplaceExistingDestPaths: fc.boolean(),
      excludePatterns: fc.constantFrom<string[]>([], ['a'], ['**/b', '!c/b']),
      includePatterns: fc.constantFrom<string[]>([], ['*/a'], ['**/c']),
      timestamp: fc.constantFrom(-1n, 1_600_000_000_000_000_000n),
    })
    .map(({ src, dest, ...options }) => copy(src, dest, options)),
  paths.map((path) => mkdir(path, true)),
  fc.tuple(paths, fc.constantFrom('1', '22')).map(([path, data]) => mkfile(path, data)),
  paths.map((path) => rm(path, { allowNotFound: true })),
  fc.tuple(fc.constantFrom('a', '/b', '../c'), paths).map(([to, path]) => symlink(to, path)),
);

test('memory and mount agree on random trees and actions', async () => {
  await fc.assert(
    fc.asyncProperty(
      specs,
      specs,
      specs,
      fc.array(bodies, { minLength: 1, maxLength: 4 }),
      async (lower, upper, source, actions) => {
        using scratch = new Scratch();
        const inputs = [layers(scratch.tree(lower), scratch.tree(upper)), context(scratch.tree(source))];
        const outcome = async (run: () => Promise<Parameters<typeof describeTree>[0]>): Promise<unknown> =>
          run().then(describeTree, (error: unknown) => String(error));
        const onMount = await outcome(async () => (await runOnMount(scratch, chain(actions), inputs)).tree);
        const inMemory = await outcome(() => runInMemory(scratch, chain(actions), inputs));
        expect(inMemory).toEqual(onMount);
      },
    ),
    { numRuns: 150 },
  );
}, 120_000);

test('the layer written from memory has the entries of a diff of the mounted layer', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(
      specs,
      specs,
      specs,
      fc.array(bodies, { minLength: 1, maxLength: 4 }),
      async (lower, upper, source, actions) => {
        using scratch = new Scratch();
        const lowers = [scratch.tree(lower), scratch.tree(upper)];
        const inputs = [layers(...lowers), context(scratch.tree(source))];
        const mounted = await runOnMount(scratch, chain(actions), inputs).catch(() => undefined);
        if (!mounted) return;
        const params = { actions: chain(actions), inputs, idShift: 0, now: NOW };
        const compression = { kind: 'none' } as const;
        const fromDiff = new MemorySink();
        await diffLayer({ upper: mounted.layer, lowers, idShift: 0, compression, sink: fromDiff });
        const direct = new MemorySink();
        const written = await writeFileOpLayer(params, direct, { compression, signal: new AbortController().signal });
        expect(written?.digest).toBe(sha256(direct.bytes));
        expect(entriesOf(direct.bytes)).toEqual(entriesOf(fromDiff.bytes));
        compared++;
      },
    ),
    { numRuns: 150 },
  );
  expect(compared).toBeGreaterThan(30);
}, 120_000);

/** One op after the other: the first on what is below, the last one packed. */
function chains(bodies: readonly FileActionBody[], cut: number): readonly (readonly FileAction[])[] {
  return [bodies.slice(0, cut), bodies.slice(cut)].filter((part) => part.length > 0).map((part) => chain(part));
}

test('the layer on a base of which only a summary is here is the same, byte by byte, as on the base', async () => {
  let compared = 0;
  let needed = 0;
  await fc.assert(
    fc.asyncProperty(
      specs,
      specs,
      specs,
      fc.array(bodies, { minLength: 1, maxLength: 4 }),
      fc.nat(3),
      async (lower, upper, source, actions, cut) => {
        using scratch = new Scratch();
        const lowers = [scratch.tree(lower), scratch.tree(upper)];
        const files = context(scratch.tree(source));
        const ops = chains(actions, cut);
        const summary = encodeSummary(new LayersTree(lowers, { idShift: 0 })) as Uint8Array;
        const options = { compression: { kind: 'none' }, signal: new AbortController().signal } as const;
        const common = { idShift: 0, now: NOW };
        const attempt = async (inputs: readonly DirectInput[]): Promise<{ written: unknown; bytes: Buffer }> => {
          const sink = new MemorySink();
          const params = { ...common, actions: ops.at(-1) ?? [], inputs };
          const written = await writeFileOpLayer(params, sink, options).catch((error: unknown) => String(error));
          return { written, bytes: sink.bytes };
        };
        const stack = [...lowers];
        const [first] = ops.length > 1 ? ops : [];
        if (first) {
          const made = scratch.dir('first');
          const params = { ...common, actions: first, inputs: [layers(...lowers), files] };
          if (!(await writeFileOpDirectory(params, made, options).catch(() => undefined))) return;
          stack.push(made);
        }
        const usual = await attempt([layers(...stack), files]);
        const above = first ? [{ actions: first, inputs: [{ kind: 'known' as const }, files], now: NOW }] : [];
        const known = await attempt([{ kind: 'known', summary, above }, files]);
        if (known.written === undefined) {
          expect(known.bytes).toHaveLength(0);
          needed++;
          return;
        }
        expect(known).toEqual(usual);
        compared++;
      },
    ),
    { numRuns: 200 },
  );
  // Times of files are mostly the same in these trees, so that contents have to be compared quite often.
  expect(compared).toBeGreaterThan(2 * needed);
  expect(needed).toBeGreaterThan(0);
}, 120_000);

/** Trees whose order by names of directories and by whole paths differ: "a", "a-" and "a/x". */
const wideTrees: fc.Arbitrary<Spec> = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        ...['', '-', '.', '!', '0'].flatMap((end) =>
          ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((name) => `${name}${end}`),
        ),
      ),
      fc.integer({ min: 0, max: 30 }),
      fc.constantFrom<Spec[string]>('x', '->a', null, { file: 's', mode: 0o4711, uid: 7 }),
    ),
    { minLength: 10, maxLength: 40 },
  )
  .map((tops) => {
    const inner = (count: number): Spec => Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, 'y']));
    const made = tops.map(([name, count, leaf]) => [name, count < 4 ? leaf : { ...inner(count), d: inner(count % 7) }]);
    return { ...(Object.fromEntries(made) as Spec), 'b-link': { z: 'linked' } };
  });

test('the layer of a copy onto scratch, written while the source is walked, has the entries of a diff', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(
      wideTrees,
      fc.constantFrom<[string, string, Partial<CopyAction>]>(
        ['/', '/', {}],
        ['/', '/a', {}],
        ['/', '/a/b/', { dirCopyContents: false }],
        ['/', '/a', { mode: 0o750 }],
        ['/', '/x', { timestamp: 1_600_000_000_000_000_000n }],
        ['/', '/x', { excludePatterns: ['**/n1*', 'c'] }],
        ['/', '/x', { includePatterns: ['*/d/n2', 'a-/**'] }],
        ['/*', '/x/', {}],
        ['/*', '/', { dirCopyContents: false }],
        ['/a*', '/x/', { dirCopyContents: false }],
      ),
      async (tree, [src, dest, options]) => {
        using scratch = new Scratch();
        const source = scratch.tree(tree);
        for (const [index, name] of fs.readdirSync(source).entries()) {
          const place = join(source, name);
          if (index % 5 === 0 && fs.lstatSync(place).isDirectory())
            fs.linkSync(join(source, 'b-link/z'), join(place, 'linked'));
        }
        const inputs = [context(source)];
        const actions = [{ ...copy(src, dest, options), input: -1, secondaryInput: 0, output: 0 }];
        const mounted = await runOnMount(scratch, actions, inputs).catch((error: unknown) => String(error));
        const compression = { kind: 'none' } as const;
        const direct = new MemorySink();
        const params = { actions, inputs, idShift: 0, now: NOW };
        const written = await writeFileOpLayer(params, direct, {
          compression,
          signal: new AbortController().signal,
        }).catch((error: unknown) => String(error));
        if (typeof mounted === 'string') {
          expect(written).toBe(mounted);
          return;
        }
        compared++;
        const fromDiff = new MemorySink();
        await diffLayer({ upper: mounted.layer, lowers: [], idShift: 0, compression, sink: fromDiff });
        expect(entriesOf(direct.bytes)).toEqual(entriesOf(fromDiff.bytes));
      },
    ),
    { numRuns: 30 },
  );
  expect(compared).toBeGreaterThan(12);
}, 120_000);

test('an op whose copies read intermediate results is not described in memory', async () => {
  const actions: FileAction[] = [
    { ...mkfile('/a', 'a'), input: -1, secondaryInput: -1, output: -1 },
    { ...copy('/a', '/c'), input: -1, secondaryInput: 0, output: 0 },
  ];
  const params = { actions, inputs: [], idShift: 0, now: NOW };
  await expect(fileOpEntries(params, { signal: new AbortController().signal })).rejects.toThrow('in memory');
});
