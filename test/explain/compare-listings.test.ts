import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareListings } from '../../src/explain/compare-listings.ts';
import { differenceText } from '../../src/explain/text.ts';
import { checksumAndList, checksumTree, type ListedDirectory } from '../../src/tree/index.ts';
import { memoryTree, type MemoryFile } from './memory-tree.ts';
import { whole } from '../tree/support.ts';

type Files = Readonly<Record<string, MemoryFile>>;

/** Lists of trees, all in one place as the store has them. */
class Lists {
  readonly all = new Map<string, ListedDirectory>();

  root(files: Files): string {
    const { listing } = checksumAndList(memoryTree(files), [whole], 'tree');
    for (const [id, directory] of listing.directories) this.all.set(id, directory);
    return listing.root;
  }

  compare(before: Files, after: Files, limit = 10): { texts: string[]; total: number; names: string[] } {
    const { first, total } = compareListings((id) => this.all.get(id), this.root(before), this.root(after), limit);
    return { texts: first.map(differenceText), total, names: first.map(({ name }) => name) };
  }
}

const file = (text: string, more: Partial<MemoryFile> = {}): MemoryFile => ({ type: 'file', text, ...more });

describe('what is different between two trees', () => {
  const base: Files = { 'src/a.ts': file('1'), 'src/b.ts': file('2'), README: file('r') };

  test.each<readonly [string, Files, readonly string[]]>([
    ['a content', { ...base, 'src/a.ts': file('other') }, ['src/a.ts changed (sha256 6b86… -> d929…)']],
    ['a new file', { ...base, 'src/c.ts': file('') }, ['src/c.ts added']],
    ['a mode', { ...base, README: file('r', { mode: 0o755 }) }, ['README has another mode (0644 -> 0755)']],
    ['an owner', { ...base, README: file('r', { uid: 7 }) }, ['README has another owner (0:0 -> 7:0)']],
    ['a type', { ...base, README: { type: 'symlink', text: 'x' } }, ['README is something else (file -> symlink)']],
    ['a new directory', { ...base, 'lib/x': file(''), 'lib/y': file('') }, ['lib/ added with 2 files']],
    ['a file gone', { 'src/a.ts': file('1'), README: file('r') }, ['src/b.ts removed']],
  ])('%s', (_name, after, texts) => {
    expect(new Lists().compare(base, after).texts).toEqual(texts);
  });

  test('a link that points elsewhere', () => {
    const link = (text: string): Files => ({ l: { type: 'symlink', text } });
    expect(new Lists().compare(link('a'), link('b')).texts).toEqual(['l is another link (a -> b)']);
  });

  test('the first ones are named in the order of paths, the others are counted', () => {
    const many = (text: string): Files =>
      Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`f${at}`, file(text)]));
    const { names, total } = new Lists().compare(many('1'), many('2'), 3);
    expect([names, total]).toEqual([['f0', 'f1', 'f10'], 30]);
  });

  test('where a list is not kept it is one of the files of that directory', () => {
    const lists = new Lists();
    const [before, after] = [lists.root(base), lists.root({ ...base, 'src/a.ts': file('other') })];
    const lost = [...lists.all].find(([, { text }]) => text.includes('a.ts'))?.[0];
    const { first } = compareListings((id) => (id === lost ? undefined : lists.all.get(id)), before, after, 10);
    expect(first.map(differenceText)).toEqual(['one of 2 files beneath src/ changed']);
  });

  test('very many names in one directory', () => {
    const names = Array.from({ length: 150_000 }, (_, at) => [`f${at}`, 'f'] as const).flat();
    const lists = new Map<string, ListedDirectory>([
      ['before', { text: '[]', children: [], files: 0 } as unknown as ListedDirectory],
      ['after', { text: JSON.stringify(names), children: [], files: 150_000 } as unknown as ListedDirectory],
    ]);
    expect(compareListings((id) => lists.get(id), 'before', 'after', 1).total).toBe(150_000);
  });

  test('very deep trees', () => {
    const path = `${'d/'.repeat(1000)}f`;
    expect(new Lists().compare({ [path]: file('1') }, { [path]: file('2') }).names).toEqual([path]);
  });
});

const name = fc.constantFrom('a', 'b', 'c', 'é', 'x y');
const node = fc.record({
  type: fc.constantFrom('file' as const, 'symlink' as const),
  text: fc.constantFrom('1', '2', '3'),
  mode: fc.constantFrom(0o644, 0o755),
  uid: fc.constantFrom(0, 1),
});
/** Paths of files, without those that would need a file to be a directory. */
const trees = fc
  .array(fc.tuple(fc.array(name, { minLength: 1, maxLength: 3 }), node), { maxLength: 12 })
  .map((entries): Files => {
    const files: Record<string, MemoryFile> = {};
    for (const [names, one] of entries) {
      const path = names.join('/');
      const clashes = Object.keys(files).some((other) => other.startsWith(`${path}/`) || path.startsWith(`${other}/`));
      if (!clashes) files[path] = one;
    }
    return files;
  });

describe('any two trees', () => {
  test('equal ones have no differences, others do: as many as their checksums have', () => {
    fc.assert(
      fc.property(trees, trees, (before, after) => {
        const same =
          checksumTree(memoryTree(before), [whole], 'tree') === checksumTree(memoryTree(after), [whole], 'tree');
        expect(new Lists().compare(before, after).total === 0).toBe(same);
        expect(new Lists().compare(before, before).total).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test('every difference that is named is a true one', () => {
    fc.assert(
      fc.property(trees, trees, (before, after) => {
        const lists = new Lists();
        const { first } = compareListings((id) => lists.all.get(id), lists.root(before), lists.root(after), 100);
        for (const { name: found, change } of first) {
          const path = found.replace(/\/$/, '');
          const [was, is] = [before, after].map((files) => at(files, path));
          const expected =
            was === undefined
              ? 'added'
              : is === undefined
                ? 'removed'
                : was === 'directory' || is === 'directory' || was.type !== is.type
                  ? 'type'
                  : was.text !== is.text
                    ? was.type === 'file'
                      ? 'changed'
                      : 'target'
                    : was.mode !== is.mode
                      ? 'mode'
                      : was.uid !== is.uid
                        ? 'owner'
                        : 'none';
          expect([path, change]).toEqual([path, expected]);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function at(files: Files, path: string): MemoryFile | 'directory' | undefined {
  return files[path] ?? (Object.keys(files).some((other) => other.startsWith(`${path}/`)) ? 'directory' : undefined);
}
