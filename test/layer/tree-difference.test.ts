import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diffLayer, DirectoryWriter, type LayerEntry, treeDifference, writeEntries } from '../../src/layer/index.ts';
import { type LayersDir, LayersTree } from '../../src/tree/index.ts';
import { isRealRoot } from '../support/real-root.ts';
import { applyLayer } from './support/apply-layer.ts';
import { MemorySink } from './support/memory-sink.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-difference-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const OWN = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
/** `cap_net_bind_service+ep` as a layer has it. */
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');

/** What one layer has under a name. */
type Made =
  | { readonly kind: 'dir'; readonly mode: number; readonly opaque: boolean; readonly children: Names }
  | {
      readonly kind: 'file';
      readonly mode: number;
      readonly text: string;
      readonly time: number;
      readonly cap: boolean;
    }
  | { readonly kind: 'symlink'; readonly to: string }
  | { readonly kind: 'fifo' | 'gone' }
  /** Another name of the file that was made last. */
  | { readonly kind: 'link' };
type Names = Readonly<Record<string, Made>>;

const { layer } = fc.letrec<{ layer: Names; made: Made; dir: Made }>((tie) => ({
  layer: fc.dictionary(fc.constantFrom('a', 'a-', 'b', 'b.c', 'é'), tie('made'), { maxKeys: 4, noNullPrototype: true }),
  dir: fc.record({
    kind: fc.constant('dir' as const),
    mode: fc.constantFrom(0o755, 0o700),
    opaque: fc.nat(4).map((chance) => chance === 0),
    children: tie('layer'),
  }),
  made: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('file' as const),
      mode: fc.constantFrom(0o644, 0o4755),
      text: fc.constantFrom('', 'one', 'two'),
      time: fc.constantFrom(1_500_000_000, 1_500_000_001),
      cap: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('symlink' as const), to: fc.constantFrom('a', '/b') }),
    fc.record({ kind: fc.constantFrom('fifo' as const, 'gone' as const, 'gone' as const) }),
    fc.constant({ kind: 'link' as const }),
    tie('dir'),
    tie('dir'),
  ),
}));

/** The entries of a layer, parents first. */
function entriesOf(names: Names): readonly LayerEntry[] {
  const entries: LayerEntry[] = [];
  let last = '';
  const visit = (children: Names, prefix: string): void => {
    for (const [name, made] of Object.entries(children).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const path = `${prefix}${Buffer.from(name).toString('latin1')}`;
      const base = { path, ...OWN, mode: 0o644, mtime: { sec: 1_400_000_000, nsec: 0 } };
      switch (made.kind) {
        case 'dir':
          entries.push({ ...base, type: 'directory', mode: made.mode });
          if (made.opaque) entries.push({ path: `${path}/.wh..wh..opq`, type: 'file' });
          visit(made.children, `${path}/`);
          break;
        case 'file': {
          const xattrs = made.cap && isRealRoot ? new Map([['security.capability', CAPABILITY]]) : undefined;
          const content = Buffer.from(made.text);
          const { mode, time } = made;
          entries.push({
            ...base,
            type: 'file',
            mode,
            mtime: { sec: time, nsec: 5 },
            size: content.length,
            content,
            xattrs,
          });
          last = path;
          break;
        }
        case 'symlink':
          entries.push({ ...base, type: 'symlink', linkPath: made.to });
          break;
        case 'fifo':
          entries.push({ ...base, type: 'fifo' });
          break;
        case 'gone':
          entries.push({ path: `${prefix}.wh.${Buffer.from(name).toString('latin1')}`, type: 'file' });
          break;
        case 'link':
          if (last !== '') entries.push({ ...base, type: 'hardlink', linkPath: last });
          break;
        default:
          made satisfies never;
      }
    }
  };
  visit(names, '');
  return entries;
}

async function write(entries: Iterable<LayerEntry | undefined>, lowers: readonly string[]): Promise<string> {
  const target = mkdtempSync(join(folder, 'layer-'));
  await writeEntries(entries, new DirectoryWriter({ target, lowers, idShift: 0 }), {});
  return target;
}

async function stack(layers: readonly Names[], on: readonly string[] = []): Promise<readonly string[]> {
  const directories = [...on];
  for (const names of layers) directories.push(await write(entriesOf(names), directories));
  return directories;
}

interface Described {
  /** Everything of every file, but the times of directories. */
  readonly lines: readonly string[];
  /** The names of files that have several. */
  readonly links: readonly (readonly string[])[];
}

function describeStack(layers: readonly string[]): Described {
  using tree = new LayersTree(layers, { idShift: 0 });
  const lines: string[] = [];
  const links = new Map<string, string[]>();
  const visit = (dir: LayersDir): void => {
    for (const name of tree.list(dir)) {
      const node = tree.lookup(dir, name);
      if (!node) throw new Error('A listed name is not there');
      const path = `${dir.path}/${name}`;
      const { type, mode, uid, gid, size, mtimeNs, linkname, hardlink } = node;
      const time = type === 'directory' ? '' : mtimeNs;
      const parts = [path, type, mode.toString(8), uid, gid, size, time, linkname];
      if (type === 'file') {
        const fd = tree.open(dir, name);
        parts.push(
          readFileSync(fd, 'utf8'),
          ...tree.openXattrs(fd).map((xattr) => `${xattr.name}=${Buffer.from(xattr.value).toString('hex')}`),
        );
        tree.close(fd);
      }
      lines.push(parts.join(' '));
      if (hardlink !== undefined) links.set(hardlink, [...(links.get(hardlink) ?? []), path]);
      if (type === 'directory') visit(tree.enter(dir, name));
    }
  };
  visit(tree.root);
  return { lines, links: [...links.values()].filter((names) => names.length > 1) };
}

function expectSame(made: Described, wanted: Described): void {
  expect(made.lines).toEqual(wanted.lines);
  for (const names of wanted.links)
    expect(made.links.some((group) => names.every((name) => group.includes(name)))).toBe(true);
}

/** The paths that a difference has, in its order. */
function pathsOf(lower: readonly string[], upper: readonly string[]): readonly string[] {
  return [...treeDifference({ lower, upper, idShift: 0 })].flatMap((entry) =>
    entry && entry.path !== '' ? [entry.path] : [],
  );
}

test('laid on the lower tree, the difference shows the upper one: as a directory, as a blob, and unpacked again', async () => {
  const layers = fc.array(layer, { maxLength: 2 });
  await fc.assert(
    fc.asyncProperty(layers, layers, layers, async (shared, ours, theirs) => {
      const base = await stack(shared);
      const [lower, upper] = [await stack(ours, base), await stack(theirs, base)];
      const wanted = describeStack(upper);
      const difference = await write(treeDifference({ lower, upper, idShift: 0 }), lower);
      expectSame(describeStack([...lower, difference]), wanted);
      expect(
        pathsOf([...lower, difference], upper).filter(
          (path) => !wanted.lines.some((line) => line.startsWith(`/${path} file`)),
        ),
      ).toEqual([]);
      const sink = new MemorySink();
      await diffLayer({ upper: difference, lowers: lower, idShift: 0, compression: { kind: 'none' }, sink });
      const again = mkdtempSync(join(folder, 'layer-'));
      await applyLayer({ blob: [sink.bytes], compression: 'none', target: again, lowers: lower, idShift: 0 });
      const inSeconds = ({ lines, links }: Described): Described => ({
        lines: lines.map((line) => line.replaceAll(/(1500000\d\d\d)000000005/g, '$1000000000')),
        links,
      });
      expectSame(inSeconds(describeStack([...lower, again])), inSeconds(wanted));
    }),
    { numRuns: 150 },
  );
}, 120_000);

const file = (text: string, more: Partial<Extract<Made, { kind: 'file' }>> = {}): Made => ({
  kind: 'file', mode: 0o644, text, time: 1_500_000_000, cap: false, ...more,
}); // oxfmt-ignore
const dir = (children: Names, mode = 0o755): Made => ({ kind: 'dir', mode, opaque: false, children });

test('has what is new or other, the directories that lead there, and what is gone', async () => {
  const lower = await stack([
    {
      same: dir({ f: file('f') }),
      d: dir({ keep: file('1'), gone: file('2'), other: file('3') }),
      empty: dir({ x: file('x') }),
      t: dir({ y: file('y') }),
    },
  ]);
  const upper = await stack([
    {
      same: dir({ f: file('f') }),
      d: dir({ keep: file('1'), other: file('4') }),
      empty: dir({}),
      t: file('t'),
      new: dir({}),
    },
  ]);
  expect(pathsOf(lower, upper)).toEqual(['d', 'd/.wh.gone', 'd/other', 'empty', 'empty/.wh.x', 'new', 't']);
  expect(pathsOf(lower, [])).toEqual(['.wh.d', '.wh.empty', '.wh.same', '.wh.t']);
  expect(pathsOf(upper, upper)).toEqual([]);
});

test('tells files of the same size and time by their content, and directories by all but their time', async () => {
  const lower = await stack([{ f: file('one'), d: dir({ x: file('') }), e: dir({}) }]);
  const upper = await stack([{ f: file('two'), d: dir({ x: file('') }), e: dir({}, 0o700) }]);
  expect(pathsOf(lower, upper)).toEqual(['e', 'f']);
});

test('gives all names of a file when one of them is new, also where both trees have the rest of one layer', async () => {
  const base = await stack([{ a: dir({ f: file('f') }), b: { kind: 'link' } }]);
  const lower = await stack([{ b: { kind: 'gone' } }], base);
  expect(pathsOf(lower, base)).toEqual(['a', 'a/f', 'b']);
  const difference = await write(treeDifference({ lower, upper: base, idShift: 0 }), lower);
  expectSame(describeStack([...lower, difference]), describeStack(base));
});

test('refuses a name that a layer would take for a deletion', () => {
  const upper = [mkdtempSync(join(folder, 'plain-'))];
  writeFileSync(join(upper[0] ?? '', '.wh.x'), '');
  expect(() => pathsOf([], upper)).toThrow(/names that start with ".wh." mark deletions/);
  expect(() => pathsOf(upper, [])).toThrow(/names that start with ".wh." mark deletions/);
});

test('refuses a tree that is deeper than layers are, and takes a deep one', () => {
  const deep = (depth: number): string => {
    const root = mkdtempSync(join(folder, 'deep-'));
    mkdirSync(join(root, ...Array.from({ length: depth }, () => 'd')), { recursive: true });
    return root;
  };
  expect(pathsOf([], [deep(400)])).toHaveLength(400);
  expect(() => pathsOf([], [deep(1100)])).toThrow(/more than 1000 directories deep/);
});
