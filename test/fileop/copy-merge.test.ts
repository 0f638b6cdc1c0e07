import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { LayersTree } from '../../src/tree/index.ts';
import { chain, context, copy, describeTree, layers, runInMemory, Scratch, type Spec } from './support.ts';

/** Few names, so that both sides often have the same one. */
const name = fc.constantFrom('a', 'b', 'c');
const file = fc.record({
  file: fc.constantFrom('', 'one', 'other'),
  mode: fc.constantFrom(0o644, 0o600, 0o755, 0o4755),
  mtime: fc.constantFrom(1_600_000_000, 1_500_000_000),
});
const { tree } = fc.letrec<{ tree: Spec; dir: Spec }>((tie) => ({
  tree: fc.dictionary(name, fc.oneof({ maxDepth: 2, withCrossShrink: true }, file, fc.constantFrom('->a', '->/c', '->b/a'), tie('dir')), { maxKeys: 3, noNullPrototype: true }) as fc.Arbitrary<Spec>,
  dir: tie('tree'),
})); // oxfmt-ignore

/** What coreutils make of the same, but for the top directory, of which fsutil leaves mode and owner alone; undefined where they cannot. */
function copied(scratch: Scratch, from: string, onto: string): string | undefined {
  const result = scratch.dir('expected');
  spawnSync('cp', ['-a', '-T', onto, result]);
  const { status } = spawnSync('cp', ['-a', '-T', '--remove-destination', from, result]);
  return status === 0 ? result : undefined;
}

test('a directory is merged into another one as cp does: files replace files, and neither replaces a directory (property)', async () => {
  const outcomes = { made: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(tree, tree, async (source, base) => {
      using scratch = new Scratch();
      const [from, onto] = [scratch.tree(source), scratch.tree({ dest: base })];
      // Nested directories that are there take the mode of the source's.
      spawnSync('find', [from, '-mindepth', '1', '-type', 'd', '-exec', 'chmod', '2711', '{}', '+']);
      const expected = copied(scratch, from, join(onto, 'dest'));
      const run = runInMemory(scratch, chain([copy('/', '/dest')]), [layers(onto), context(from)]);
      if (expected === undefined) {
        outcomes.refused++;
        await expect(run).rejects.toThrow(/non-directory|with file|not a directory/);
        return;
      }
      const parent = scratch.dir('parent');
      mkdirSync(join(parent, 'dest'));
      spawnSync('cp', ['-a', '-T', expected, join(parent, 'dest')]);
      const [ours, theirs] = [describeTree(await run), describeTree(new LayersTree([parent], { idShift: 0 }))];
      expect(ours).toEqual(theirs);
      outcomes.made++;
    }),
    { numRuns: 60 },
  );
  // Neither is rare, or the property would say little.
  expect(Math.min(outcomes.made, outcomes.refused)).toBeGreaterThan(10);
});

test('what always replaces leaves of the destination what the source does not name (property)', async () => {
  const replacing = copy('/', '/dest', { alwaysReplaceExistingDestPaths: true });
  await fc.assert(
    fc.asyncProperty(tree, tree, async (source, base) => {
      using scratch = new Scratch();
      const inputs = [layers(scratch.tree({ dest: base })), context(scratch.tree(source))];
      const made = describeTree(await runInMemory(scratch, chain([replacing]), inputs));
      const alone = describeTree(
        await runInMemory(scratch, chain([copy('/', '/dest')]), [
          layers(scratch.tree({ dest: {} })),
          ...inputs.slice(1),
        ]),
      );
      const before = describeTree(new LayersTree([scratch.tree({ dest: base })], { idShift: 0 }));
      // Everything of the source is there as it is, and of what was there all that nothing of it stands in the way of.
      expect(made).toMatchObject(alone);
      const isDirectory = (look: string | undefined): boolean => look?.startsWith('directory') === true;
      const isKept = (path: string): boolean => {
        if (alone[path] !== undefined) return false;
        for (let at = path; at.includes('/'); at = at.slice(0, at.lastIndexOf('/')))
          if (alone[at] !== undefined && !(isDirectory(alone[at]) && isDirectory(before[at]))) return false;
        return true;
      };
      const kept = Object.entries(before).filter(([path]) => isKept(path));
      expect(made).toEqual({ ...Object.fromEntries(kept), ...alone });
    }),
    { numRuns: 40 },
  );
});
