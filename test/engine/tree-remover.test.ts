import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { treeRemover } from '../../src/engine/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';

let work = '';
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'tsbuild-remover-'));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

function makeTrees(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => {
    const tree = join(work, `tree ${at}`);
    mkdirSync(join(tree, 'fs', 'etc'), { recursive: true });
    writeFileSync(join(tree, 'fs', 'etc', 'file\n'), 'text', { mode: 0o000 });
    return tree;
  });
}

const remover = (signal: AbortSignal = new AbortController().signal): ReturnType<typeof treeRemover> =>
  treeRemover({ root: work, signal });

test('many trees are gone when it resolves, and what is not there is no failure', async () => {
  const trees = makeTrees(600);
  await remover()([...trees, join(work, 'never made')]);
  expect(trees.filter((tree) => existsSync(tree))).toEqual([]);
  await remover()([]);
});

test('after a cancel nobody deletes any more', async () => {
  const trees = makeTrees(300);
  const controller = new AbortController();
  const removing = remover(controller.signal)(trees);
  controller.abort(new Error('enough'));
  const error: unknown = await removing.catch((caught: unknown) => caught);
  expect(isTsbuildError(error, 'TSB_CANCELED')).toBe(true);
  const left = trees.filter((tree) => existsSync(tree));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(trees.filter((tree) => existsSync(tree))).toEqual(left);
});

test('a helper that cannot be had is named', async () => {
  const trees = makeTrees(1);
  const remove = treeRemover({ root: work, helper: join(work, 'no helper'), signal: new AbortController().signal });
  await expect(remove(trees)).rejects.toThrow('no helper');
  expect(existsSync(trees[0] ?? '')).toBe(true);
});
