import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { IgnoreMatcher } from '../../src/frontend/ignore/index.ts';
import { type Testimony, Witness } from '../../src/recall/index.ts';
import { ContextTree } from '../../src/tree/index.ts';
import { TempDir } from '../tree/support.ts';

/** So few names that what is looked at, ignored, changed and written meets. */
const paths = fc.constantFrom('a', 'b', 'c', 'a/a', 'a/b', 'a/c', 'a/a/a', 'a/a/b', 'b/a', 'b/b', 'c/a');

interface Look {
  readonly path: string;
  /** All names of it are asked for, as a COPY of it does. */
  readonly all: boolean;
}
interface Change {
  readonly kind: 'write' | 'mkdir' | 'remove' | 'chmod' | 'symlink' | 'renew';
  readonly path: string;
}

const looks = fc.array(fc.record<Look>({ path: fc.oneof(fc.constant(''), paths), all: fc.boolean() }), {
  minLength: 1,
  maxLength: 6,
});
const changes = (count: number) =>
  fc.array(
    fc.record<Change>({ kind: fc.constantFrom('write', 'mkdir', 'remove', 'chmod', 'symlink', 'renew'), path: paths }),
    { minLength: count, maxLength: count + 3 },
  );
const ignores = fc.array(
  fc.oneof(
    paths,
    paths.map((path) => `!${path}`),
    fc.constantFrom('**/a', '!**/b', '*', 'a/*', '!a/a/b', '**/c'),
  ),
  { maxLength: 3 },
);

let count = 0;

/** Changes a file so that its state differs, also where the clock of the file system has not moved on. */
function change(root: string, { kind, path }: Change): void {
  const full = join(root, path);
  try {
    const there = fs.lstatSync(full, { throwIfNoEntry: false });
    if (kind === 'write') {
      if (there?.isFile() !== false) fs.writeFileSync(full, 'x'.repeat(++count));
    } else if (kind === 'mkdir') fs.mkdirSync(full, { recursive: true });
    else if (kind === 'chmod') {
      if (there?.isFile() || there?.isDirectory()) fs.chmodSync(full, 0o700 | (++count % 64));
    } else if (kind === 'symlink') {
      if (there === undefined) fs.symlinkSync(`target-${++count}`, full);
    } else if (kind === 'remove') fs.rmSync(full, { recursive: true, force: true });
    else if (there?.isDirectory()) {
      fs.renameSync(full, `${root}-${++count}`);
      fs.mkdirSync(full);
    }
  } catch (error) {
    // A directory that is not there, or a file in its place.
    expect((error as NodeJS.ErrnoException).code).toMatch(/^(ENOENT|ENOTDIR|EEXIST)$/);
  }
}

/** What a build sees that looks at these paths. */
function see(tree: ContextTree, all: readonly Look[]): readonly unknown[] {
  return all.map(({ path, all: isListed }) => {
    let dir = tree.root;
    const names = path === '' ? [] : path.split('/');
    const seen: unknown[] = [];
    for (const name of names) {
      const node = tree.lookup(dir, name);
      seen.push(node && { type: node.type, mode: node.mode, size: node.size, link: node.linkname });
      if (node?.type !== 'directory') return seen;
      dir = tree.enter(dir, name);
    }
    return isListed ? [...seen, listing(tree, dir)] : seen;
  });
}

function listing(tree: ContextTree, dir: ContextTree['root']): unknown {
  return tree.list(dir).map((name) => {
    const node = tree.lookup(dir, name);
    return [
      name,
      node && { type: node.type, mode: node.mode, size: node.size, link: node.linkname },
      node?.type === 'directory' ? listing(tree, tree.enter(dir, name)) : undefined,
    ];
  });
}

const open = (root: string, ignore: readonly string[]): ContextTree =>
  ContextTree.open(root, { xattrs: false, ignore: new IgnoreMatcher([...ignore]) });

test('while what a build looked at holds, it would see the same, whatever changed; and nothing alone is no change (property)', () => {
  using dir = new TempDir();
  let held = 0;
  fc.assert(
    fc.property(
      changes(5),
      ignores,
      looks,
      fc.option(paths, { nil: undefined }),
      changes(1),
      (made, ignore, look, out, after) => {
        const root = join(dir.path, `ctx${++count}`);
        fs.mkdirSync(root);
        for (const one of made) change(root, one);
        const witness = new Witness(Date.now() + 3_600_000);
        const tree = open(root, ignore);
        witness.tree(root, tree);
        const seen = see(tree, look);
        // What the build itself writes, at last.
        if (out !== undefined) change(root, { kind: 'write', path: out });
        const written = out === undefined ? [] : [join(root, out)];
        const testimony = JSON.parse(JSON.stringify(witness.testify(written) ?? null)) as Testimony | null;
        if (testimony === null) return;
        const atOnce = Witness.holds(testimony);
        if (out === undefined) expect(atOnce).toBe(true);
        if (atOnce) expect(see(open(root, ignore), look)).toEqual(seen);
        for (const one of after) change(root, one);
        if (!Witness.holds(testimony)) return;
        held++;
        expect(see(open(root, ignore), look)).toEqual(seen);
      },
    ),
    { numRuns: 50 },
  );
  // Not that it never holds.
  expect(held).toBeGreaterThan(0);
});
