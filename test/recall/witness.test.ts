import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { IgnoreMatcher } from '../../src/frontend/ignore/index.ts';
import { type Testimony, Witness } from '../../src/recall/index.ts';
import { ContextTree, walkTree } from '../../src/tree/index.ts';
import { TempDir } from '../tree/support.ts';

/** Everything below a directory, by a build that starts in an hour: what was just written counts as old. */
function testify(path: string, startedMs = Date.now() + 3_600_000): Testimony | undefined {
  const witness = new Witness(startedMs);
  const tree = ContextTree.open(path, { xattrs: false });
  witness.tree(path, tree);
  walkTree(tree, tree.root, undefined, () => undefined);
  return JSON.parse(JSON.stringify(witness.testify() ?? null)) as Testimony | undefined;
}

function made(): TempDir {
  const dir = new TempDir();
  dir.write('ctx/a/f', 'text');
  dir.write('ctx/g', 'other');
  dir.link('a/f', 'ctx/link');
  fs.writeFileSync(Buffer.concat([Buffer.from(`${dir.path}/ctx/`), Buffer.of(0xff, 0x0a)]), '');
  return dir;
}

describe('what a build looked at', () => {
  test('holds while nothing changes', () => {
    using dir = made();
    const testimony = testify(join(dir.path, 'ctx'));
    expect(testimony?.states.flatMap(([, names]) => names.split('/'))).toHaveLength(6);
    expect(Witness.holds(testimony as Testimony)).toBe(true);
  });

  test.each<[string, (ctx: string) => void]>([
    ['other content of the same size', (ctx) => fs.writeFileSync(join(ctx, 'a/f'), 'TEXT')],
    [
      'other content of the same size and time',
      (ctx) => {
        const { atime, mtime } = fs.statSync(join(ctx, 'a/f'));
        fs.writeFileSync(join(ctx, 'a/f'), 'TEXT');
        fs.utimesSync(join(ctx, 'a/f'), atime, mtime);
      },
    ],
    ['another mode', (ctx) => fs.chmodSync(join(ctx, 'g'), 0o755)],
    ['a file more, deep down', (ctx) => fs.writeFileSync(join(ctx, 'a/new'), '')],
    ['a file less', (ctx) => fs.rmSync(join(ctx, 'g'))],
    ['a file under another name', (ctx) => fs.renameSync(join(ctx, 'g'), join(ctx, 'h'))],
    [
      'another target of a symlink',
      (ctx) => {
        fs.rmSync(join(ctx, 'link'));
        fs.symlinkSync('g', join(ctx, 'link'));
      },
    ],
    [
      'a directory that was replaced by a copy',
      (ctx) => {
        fs.renameSync(join(ctx, 'a'), join(ctx, '../old'));
        fs.cpSync(join(ctx, '../old'), join(ctx, 'a'), { recursive: true, preserveTimestamps: true });
      },
    ],
    ['no directory at all', (ctx) => fs.rmSync(ctx, { recursive: true })],
  ])('%s', (_name, change) => {
    using dir = made();
    const ctx = join(dir.path, 'ctx');
    const testimony = testify(ctx) as Testimony;
    change(ctx);
    expect(Witness.holds(testimony)).toBe(false);
  });

  test('a link to the directory that leads elsewhere', () => {
    using dir = made();
    const link = join(dir.path, 'link');
    fs.symlinkSync('ctx', link);
    const testimony = testify(link) as Testimony;
    expect(Witness.holds(testimony)).toBe(true);
    fs.cpSync(join(dir.path, 'ctx'), join(dir.path, 'copy'), { recursive: true });
    fs.rmSync(link);
    fs.symlinkSync('copy', link);
    expect(Witness.holds(testimony)).toBe(false);
  });

  test('what an ignore file lets in again counts, also before it is there', () => {
    using dir = new TempDir();
    dir.write('ctx/a/b/other');
    dir.write('ctx/skipped/f');
    const ctx = join(dir.path, 'ctx');
    const witness = new Witness(Date.now() + 3_600_000);
    const tree = ContextTree.open(ctx, { xattrs: false, ignore: new IgnoreMatcher(['a', '!a/b/kept', 'skipped']) });
    walkTree(tree, tree.root, undefined, ({ path }) => expect(path).toBe('nothing'));
    witness.tree(ctx, tree);
    const testimony = witness.testify() as Testimony;
    dir.write('ctx/skipped/g');
    expect(Witness.holds(testimony)).toBe(true);
    dir.write('ctx/a/b/kept');
    expect(Witness.holds(testimony)).toBe(false);
  });

  describe('beside files that the build writes itself', () => {
    /** What a build looked at that reads some names, or all, and then writes `out.tar`. */
    function written(dir: TempDir, ignore: readonly string[], look: (tree: ContextTree) => void, out = 'out.tar') {
      dir.write('ctx/src/f', 'text');
      dir.write('ctx/other', 'text');
      dir.write('ctx/skipped.log', 'text');
      const ctx = join(dir.path, 'ctx');
      const witness = new Witness(Date.now() + 3_600_000);
      const tree = ContextTree.open(ctx, { xattrs: false, ignore: new IgnoreMatcher([...ignore]) });
      witness.tree(ctx, tree);
      look(tree);
      dir.write(`ctx/${out}`, 'archive');
      const testimony = JSON.parse(JSON.stringify(witness.testify([join(ctx, out)]))) as Testimony;
      dir.write(`ctx/${out}`, 'another archive');
      return { ctx, holds: () => Witness.holds(testimony) };
    }
    const all = (tree: ContextTree): void => void walkTree(tree, tree.root, undefined, () => undefined);
    const some = (tree: ContextTree): void => {
      tree.list(tree.enter(tree.root, 'src'));
      tree.lookup(tree.root, 'missing');
    };

    test.each<[string, (ctx: string) => void]>([
      ['a file more', (ctx) => fs.writeFileSync(join(ctx, 'new'), '')],
      ['a file less', (ctx) => fs.rmSync(join(ctx, 'other'))],
      ['a changed file', (ctx) => fs.writeFileSync(join(ctx, 'other'), 'more text')],
      ['a file more, deep down', (ctx) => fs.writeFileSync(join(ctx, 'src/new'), '')],
      ['another mode of the directory', (ctx) => fs.chmodSync(ctx, 0o700)],
      ['another directory', (ctx) => (fs.renameSync(ctx, `${ctx}2`), fs.cpSync(`${ctx}2`, ctx, { recursive: true }))],
    ])('where it excludes them: %s', (_name, change) => {
      using dir = new TempDir();
      const { ctx, holds } = written(dir, ['*.tar', '*.log'], all);
      expect(holds()).toBe(true);
      fs.rmSync(join(ctx, 'out.tar'));
      expect(holds()).toBe(true);
      change(ctx);
      expect(holds()).toBe(false);
    });

    test('where it copies them, or could', () => {
      for (const ignore of [[], ['*.log'], ['*', '!out.tar', '!src'], ['*.tar', '!**/f']]) {
        using dir = new TempDir();
        expect(written(dir, ignore, all).holds()).toBe(false);
      }
    });

    test('where it reads other names only', () => {
      using dir = new TempDir();
      const { ctx, holds } = written(dir, [], some);
      expect(holds()).toBe(true);
      fs.writeFileSync(join(ctx, 'new'), '');
      fs.rmSync(join(ctx, 'other'));
      expect(holds()).toBe(true);
      fs.writeFileSync(join(ctx, 'missing'), '');
      expect(holds()).toBe(false);
      fs.rmSync(join(ctx, 'missing'));
      expect(holds()).toBe(true);
      fs.writeFileSync(join(ctx, 'src/new'), '');
      expect(holds()).toBe(false);
    });

    test('where it reads them by name, or lists the directory that they are in', () => {
      for (const [out, look] of [
        ['out.tar', (tree: ContextTree) => void tree.lookup(tree.root, 'out.tar')],
        ['src/out.tar', some],
      ] as const) {
        using dir = new TempDir();
        expect(written(dir, [], look, out).holds()).toBe(false);
      }
    });

    test('where an ignored name that is asked for comes to be a directory', () => {
      using dir = new TempDir();
      const { ctx, holds } = written(
        dir,
        ['other', '!other/kept'],
        (tree) => void tree.lookup(tree.root, 'other'),
        'src/o',
      );
      expect(holds()).toBe(true);
      fs.rmSync(join(ctx, 'other'));
      dir.write('ctx/other/kept', '');
      expect(holds()).toBe(false);
    });
  });

  test('small files by their text, large ones by their size', () => {
    using dir = new TempDir();
    const [text, blob] = [dir.write('text', 'a'), dir.write('blob', 'bytes')];
    const witness = new Witness(Date.now());
    witness.text(text, 'a');
    witness.size(blob, 5);
    const testimony = witness.testify() as Testimony;
    expect(Witness.holds(testimony)).toBe(true);
    fs.writeFileSync(text, 'b');
    expect(Witness.holds(testimony)).toBe(false);
    fs.writeFileSync(text, 'a');
    fs.truncateSync(blob, 4);
    expect(Witness.holds(testimony)).toBe(false);
    fs.rmSync(blob);
    expect(Witness.holds(testimony)).toBe(false);
  });

  test('is not told where it cannot be told again, or changed too lately to see a further change', () => {
    using dir = made();
    expect(testify(join(dir.path, 'ctx'), Date.now())).toBeNull();
    const witness = new Witness(Date.now());
    expect(witness.testify()).toBeDefined();
    witness.refuse();
    expect(witness.testify()).toBeUndefined();
  });

  test('is not told of a file that changed between two looks', () => {
    using dir = made();
    const ctx = join(dir.path, 'ctx');
    const witness = new Witness(Date.now() + 3_600_000);
    for (const content of ['first', 'second']) {
      fs.writeFileSync(join(ctx, 'g'), content);
      const tree = ContextTree.open(ctx, { xattrs: false });
      tree.list(tree.root);
      witness.tree(ctx, tree);
    }
    expect(witness.testify()).toBeUndefined();
  });
});
