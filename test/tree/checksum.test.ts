import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { setXattr } from '../../src/sys/index.ts';
import { checksumTree, ContextTree, type HostStat, LayersTree, sameStat, type Selector } from '../../src/tree/index.ts';
import type { Digest } from '../../src/util/index.ts';
import { TempDir, whole as all } from './support.ts';

const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');

const key = (dir: string, ...selectors: Partial<Selector>[]): Digest =>
  checksumTree(
    ContextTree.open(dir),
    selectors.length === 0 ? [all] : selectors.map((selector) => ({ ...all, ...selector })),
    'context',
  );

describe('the key changes if and only if what a copy sees changes (CTX-17, CAC-07)', () => {
  const changes: Record<string, (path: string) => void> = {
    byte: (path) => fs.writeFileSync(join(path, 'd/a'), 'X'),
    mode: (path) => fs.chmodSync(join(path, 'd/a'), 0o600),
    'mode of a directory': (path) => fs.chmodSync(join(path, 'd'), 0o700),
    'file capabilities': (path) => setXattr(join(path, 'd/a'), 'security.capability', capability),
    'link target': (path) => {
      fs.rmSync(join(path, 'l'));
      fs.symlinkSync('d/b', join(path, 'l'));
    },
    name: (path) => fs.renameSync(join(path, 'd/a'), join(path, 'd/A')),
    type: (path) => {
      fs.rmSync(join(path, 'e'));
      fs.mkdirSync(join(path, 'e'));
    },
    'another file': (path) => fs.writeFileSync(join(path, 'd/c'), ''),
    'another empty directory': (path) => fs.mkdirSync(join(path, 'd/c')),
    'hard link broken': (path) => {
      fs.rmSync(join(path, 'h2'));
      fs.writeFileSync(join(path, 'h2'), 'h');
    },
    'hard link made': (path) => {
      fs.rmSync(join(path, 'd/b'));
      fs.linkSync(join(path, 'd/a'), join(path, 'd/b'));
    },
    'file moved up': (path) => fs.renameSync(join(path, 'd/a'), join(path, 'da')),
  };
  const kept: Record<string, (path: string) => void> = {
    times: (path) => fs.utimesSync(join(path, 'd/a'), 1, 1),
    'times of a directory': (path) => fs.utimesSync(join(path, 'd'), 1, 1),
    owner: (path) => fs.chownSync(join(path, 'd/a'), 12, 13),
    inode: (path) => {
      fs.copyFileSync(join(path, 'd/a'), join(path, 'd/tmp'));
      fs.renameSync(join(path, 'd/tmp'), join(path, 'd/a'));
    },
    'order on disk': (path) => {
      fs.renameSync(join(path, 'd'), join(path, 'tmp'));
      fs.mkdirSync(join(path, 'd'));
      for (const name of ['b', 'a']) fs.renameSync(join(path, 'tmp', name), join(path, 'd', name));
      fs.rmdirSync(join(path, 'tmp'));
    },
    'a hard link from outside': (path) => fs.linkSync(join(path, 'd/a'), join(path, '..', 'outside')),
    'a user attribute': (path) => setXattr(join(path, 'd/a'), 'user.x', 'y'),
    'a user attribute of a directory': (path) => setXattr(join(path, 'd'), 'user.x', 'y'),
    'an overlay attribute': (path) => setXattr(join(path, 'd'), 'user.overlay.opaque', 'y'),
    'mode of the context itself': (path) => fs.chmodSync(path, 0o700),
  };
  const make = (dir: TempDir): string => {
    const path = dir.mkdir('ctx');
    dir.write('ctx/d/a', 'x');
    dir.write('ctx/d/b', 'x');
    dir.write('ctx/e', '');
    dir.write('ctx/h1', 'h');
    fs.linkSync(join(path, 'h1'), join(path, 'h2'));
    dir.link('d/a', 'ctx/l');
    return path;
  };

  test.each(Object.entries(changes))('changes: %s', (_, change) => {
    using dir = new TempDir();
    const path = make(dir);
    const before = key(path);
    change(path);
    expect(key(path)).not.toBe(before);
  });

  test.each(Object.entries(kept))('stays: %s', (_, change) => {
    using dir = new TempDir();
    const path = make(dir);
    const before = key(path);
    change(path);
    expect(key(path)).toBe(before);
  });

  test('no two different trees of names and contents share a key', () => {
    const name = fc.constantFrom('a', 'b', 'ab', 'a:b', '1', 'a;file', '.');
    const trees = fc.dictionary(
      name.filter((one) => one !== '.'),
      fc.oneof(
        fc.constantFrom('', 'x', ';', '0:0'),
        fc.dictionary(
          name.filter((one) => one !== '.'),
          fc.constantFrom('', 'x'),
        ),
      ),
    );
    const write = (path: string, tree: Record<string, unknown>): void => {
      for (const [one, value] of Object.entries(tree)) {
        if (typeof value === 'string') fs.writeFileSync(join(path, one), value);
        else {
          fs.mkdirSync(join(path, one));
          write(join(path, one), value as Record<string, unknown>);
        }
      }
    };
    const canonical = (tree: unknown): string => {
      if (typeof tree === 'string') return JSON.stringify(tree);
      const entries = Object.entries(tree as object).sort(([a], [b]) => (a < b ? -1 : 1));
      return JSON.stringify(entries.map(([one, value]) => [one, canonical(value)]));
    };
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(trees, (tree) => {
        using dir = new TempDir();
        write(dir.path, tree);
        const digest = key(dir.path);
        expect(seen.get(digest) ?? canonical(tree)).toBe(canonical(tree));
        seen.set(digest, canonical(tree));
      }),
      { numRuns: 300 },
    );
  });
});

describe('selections', () => {
  const make = (dir: TempDir): string => {
    dir.write('foo1', '1');
    dir.write('foo2', '2');
    dir.write('bar', 'b');
    dir.write('d/sub/f', 'x');
    dir.write('d/sub/g.md', 'y');
    dir.write('other/deep/f', 'z');
    return dir.path;
  };

  test('a wildcard depends on what matches, and on the names (testCopyWildcardCache, testWildcardRenameCache)', () => {
    using dir = new TempDir();
    const path = make(dir);
    const selector = { path: '/foo*', wildcard: true };
    const before = key(path, selector);
    fs.writeFileSync(join(path, 'bar'), 'changed');
    expect(key(path, selector)).toBe(before);
    fs.renameSync(join(path, 'foo1'), join(path, 'foo3'));
    const renamed = key(path, selector);
    expect(renamed).not.toBe(before);
    fs.writeFileSync(join(path, 'foo4'), '');
    expect(key(path, selector)).not.toBe(renamed);
  });

  test('no match is no error', () => {
    using dir = new TempDir();
    expect(key(dir.path, { path: '/none*', wildcard: true })).toBe(
      'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  test('many stars that cannot match take linear time', { timeout: 10_000 }, () => {
    using dir = new TempDir();
    const long = 'a'.repeat(250);
    dir.write(`${long}/${long}/${long}/f`, 'x');
    const nothing = key(dir.path, { path: '/none*', wildcard: true });
    expect(key(dir.path, { path: `/*/*/*${'a*'.repeat(60)}b`, wildcard: true })).toBe(nothing);
    const all = key(dir.path, {});
    expect(key(dir.path, { exclude: [`**/*${'a*'.repeat(8)}b`] })).toBe(all);
    expect(key(dir.path, { include: [`**/*${'a*'.repeat(8)}b`] })).not.toBe(all);
  });

  test('a malformed wildcard matches nothing', () => {
    using dir = new TempDir();
    dir.write('ab', 'x');
    const nothing = key(dir.path, { path: '/none*', wildcard: true });
    for (const path of ['/a[', '/[]ab', '/a*[b']) expect(key(dir.path, { path, wildcard: true })).toBe(nothing);
  });

  test('a path with wildcard characters that is none', () => {
    using dir = new TempDir();
    dir.write('a*', 'star');
    expect(() => key(dir.path, { path: '/a[b', wildcard: false })).toThrow('"/a[b": not found');
    expect(key(dir.path, { path: '/a*', wildcard: false })).toMatch(/^sha256/);
  });

  test('excluded files do not count', () => {
    using dir = new TempDir();
    const path = make(dir);
    const selector = { path: '/d', exclude: ['**/*.md'] };
    const before = key(path, selector);
    fs.writeFileSync(join(path, 'd/sub/g.md'), 'changed');
    expect(key(path, selector)).toBe(before);
    fs.writeFileSync(join(path, 'd/sub/f'), 'changed');
    expect(key(path, selector)).not.toBe(before);
  });

  test('included files count with the directories above them; others are not even read', () => {
    using dir = new TempDir();
    const path = make(dir);
    const selector = { include: ['d/sub/f'] };
    const before = key(path, selector);
    fs.writeFileSync(join(path, 'd/sub/g.md'), 'changed');
    fs.writeFileSync(join(path, 'bar'), 'changed');
    expect(key(path, selector)).toBe(before);
    fs.chmodSync(join(path, 'd'), 0o711);
    expect(key(path, selector)).not.toBe(before);
    const tree = ContextTree.open(path);
    const touched = tree.record(() => checksumTree(tree, [{ ...all, ...selector }], 'context'));
    expect([...touched].map((one) => one.path)).toEqual(['', 'd', 'd/sub']);
  });

  test('required paths must be there (testCopyParentsMissingDirectory)', () => {
    using dir = new TempDir();
    const path = make(dir);
    const selector = { include: ['d/sub/f', 'none/*'] };
    expect(key(path, { ...selector, required: ['d/sub/f'] })).toMatch(/^sha256/);
    expect(() => key(path, { ...selector, required: ['none/x'] })).toThrow(
      'failed to calculate checksum of ref context: "/none/x": not found',
    );
  });

  test("the name of a followed symlink counts, its target's content too", () => {
    using dir = new TempDir();
    const path = make(dir);
    dir.link('foo1', 'l1');
    dir.link('foo1', 'l2');
    const first = key(path, { path: '/l1' });
    expect(key(path, { path: '/l2' })).not.toBe(first);
    expect(key(path, { path: '/l1', followLinks: false })).not.toBe(first);
    fs.writeFileSync(join(path, 'foo1'), 'changed');
    expect(key(path, { path: '/l1' })).not.toBe(first);
  });

  test('several selectors', () => {
    using dir = new TempDir();
    const path = make(dir);
    const both = key(path, { path: '/foo1' }, { path: '/foo2' });
    expect(both).not.toBe(key(path, { path: '/foo1' }));
    fs.writeFileSync(join(path, 'foo2'), 'changed');
    expect(key(path, { path: '/foo1' }, { path: '/foo2' })).not.toBe(both);
  });
});

test('a context and a layer with the same files have the same key', () => {
  using dir = new TempDir();
  dir.write('d/f', 'x', 0o755);
  dir.write('d/g', 'y');
  dir.link('d', 'l');
  fs.linkSync(join(dir.path, 'd/f'), join(dir.path, 'hard'));
  setXattr(join(dir.path, 'd/g'), 'security.capability', capability);
  const layers = new LayersTree([dir.path], { idShift: 0 });
  expect(checksumTree(layers, [all], 'x')).toBe(key(dir.path));
});

test('the stat cache spares reading, and only while the stat is equal', () => {
  using dir = new TempDir();
  const path = dir.write('d/f', 'one');
  const known = new Map<string, { stat: HostStat; digest: Digest }>();
  let hits = 0;
  const stats = {
    get: (name: string, stat: HostStat): Digest | undefined => {
      const entry = known.get(name);
      if (!entry || !sameStat(entry.stat, stat)) return undefined;
      hits++;
      return entry.digest;
    },
    put: (name: string, stat: HostStat, digest: Digest): void => void known.set(name, { stat, digest }),
  };
  const run = (): Digest => checksumTree(ContextTree.open(dir.path, { stats }), [all], 'context');
  const first = run();
  expect([...known.keys()]).toEqual(['d/f']);
  expect(run()).toBe(first);
  expect(hits).toBe(1);
  fs.writeFileSync(path, 'two');
  expect(run()).not.toBe(first);
});
