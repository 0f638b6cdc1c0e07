import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ownPlan } from '../../src/engine/own-plan.ts';
import { findHelper, measureTrees, TreeMeasurer } from '../../src/sandbox/index.ts';
import { sameStamp } from '../../src/store/index.ts';

let work = '';
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'tsbuild-usage-'));
  for (const name of ['one', 'two words', 'line\nfeed']) {
    mkdirSync(join(work, name, 'etc'), { recursive: true });
    writeFileSync(join(work, name, 'etc', 'file'), name.repeat(3000));
  }
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

const signal = new AbortController().signal;
const trees = (): readonly string[] => ['one', 'two words', 'line\nfeed'].map((name) => join(work, name));

test('in a namespace of its own trees measure as in one that is there, and a change shows', async () => {
  const helperPath = findHelper();
  const options = { helperPath, plan: await ownPlan({ root: work }), signal };
  const alone = await measureTrees(options, trees());
  expect(alone.map(({ path, inodes }) => [path, inodes])).toEqual(trees().map((path) => [path, 3]));
  expect(alone[2]?.bytes).toBeGreaterThanOrEqual(27_000);
  const here = await measureTrees({ helperPath, signal }, trees());
  expect(here.map(({ bytes, inodes }) => [bytes, inodes])).toEqual(alone.map(({ bytes, inodes }) => [bytes, inodes]));
  // Owners are part of a stamp, and who is nobody special outside is root in the namespace.
  const isRoot = userInfo().uid === 0;
  expect(here.map(({ stamp }, at) => sameStamp(stamp, alone[at]?.stamp ?? ''))).toEqual([isRoot, isRoot, isRoot]);
  const again = await measureTrees(options, trees());
  expect(again.map(({ stamp }, at) => sameStamp(stamp, alone[at]?.stamp ?? ''))).toEqual([true, true, true]);
  writeFileSync(join(work, 'one', 'etc', 'file'), 'ONE'.repeat(3000));
  const after = await measureTrees(options, trees());
  expect(after.map(({ stamp }, at) => sameStamp(stamp, alone[at]?.stamp ?? ''))).toEqual([false, true, true]);
  expect(await measureTrees(options, [])).toEqual([]);
});

test('one helper answers all who ask, each with his own trees, also after one has left', async () => {
  using measurer = new TreeMeasurer({ helperPath: findHelper() });
  const asked = trees().map((tree) => measurer.measure([tree, work], signal));
  const left = AbortSignal.abort(new Error('enough'));
  await expect(measurer.measure(trees(), left)).rejects.toMatchObject({ code: 'TSB_CANCELED' });
  const answers = await Promise.all(asked);
  expect(answers.map((usages) => usages.map(({ path, inodes }) => [path, inodes]))).toEqual(
    trees().map((tree) => [
      [tree, 3],
      [work, 10],
    ]),
  );
  expect(await measurer.measure(trees(), signal)).toEqual(
    await measureTrees({ helperPath: findHelper(), signal }, trees()),
  );
});

test('what ends it is told: a cancel, a helper that cannot be had', async () => {
  const plan = await ownPlan({ root: work });
  const canceled = AbortSignal.abort(new Error('enough'));
  await expect(measureTrees({ helperPath: findHelper(), plan, signal: canceled }, trees())).rejects.toMatchObject({
    code: 'TSB_CANCELED',
  });
  await expect(measureTrees({ helperPath: join(work, 'no helper'), plan, signal }, trees())).rejects.toMatchObject({
    code: 'TSB_SANDBOX',
  });
});
