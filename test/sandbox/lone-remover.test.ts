import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { currentUser, findHelper, LoneRemover, readPlanInputs, requirePlan } from '../../src/sandbox/index.ts';

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'tsbuild-remover-'));
});
afterEach(() => rmSync(work, { recursive: true, force: true }));

const remover = () => new LoneRemover({ helperPath: findHelper(), plan: requirePlan(readPlanInputs(currentUser())) });

/** Trees with files in them. */
function trees(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => {
    const tree = join(work, `tree${at}`);
    mkdirSync(join(tree, 'a/b'), { recursive: true });
    for (const name of ['one', 'a/two', 'a/b/three']) writeFileSync(join(tree, name), name);
    return tree;
  });
}

/** Helpers of this process that delete. */
function helpers(): number {
  const children = readdirSync('/proc/self/task').flatMap((task) => fileOf(`self/task/${task}/children`).split(' '));
  return children.filter((pid) => pid !== '' && fileOf(`${pid}/cmdline`).split('\0').includes('remove')).length;
}

/** Empty where the thread or process has ended meanwhile. */
function fileOf(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, 'utf8');
  } catch {
    return '';
  }
}

async function noneIsLeft(): Promise<void> {
  await expect.poll(helpers).toBe(0);
}

test('each call is told when its own trees are gone, however many there are', async () => {
  const all = trees(300);
  const own = remover();
  const some = all.slice(0, 7);
  await Promise.all([
    own.remove(some).then(() => expect(some.filter((tree) => existsSync(tree))).toEqual([])),
    own.remove(all.slice(7)),
  ]);
  expect(readdirSync(work)).toEqual([]);
  // When it has nothing to do it ends, and another one is started for what comes then.
  await own.remove(trees(1));
  expect(readdirSync(work)).toEqual([]);
  await noneIsLeft();
});

test('a helper that was started before deletes what comes, and ends', async () => {
  const own = remover();
  {
    using _ahead = own.start();
    // A program that has just begun has no command line yet.
    await expect.poll(helpers).toBe(1);
    await own.remove(trees(3));
    expect(readdirSync(work)).toEqual([]);
  }
  await noneIsLeft();
});

test('one that got nothing to delete ends when it is not needed', async () => {
  const own = remover();
  {
    using _ahead = own.start();
    // A program that has just begun has no command line yet.
    await expect.poll(helpers).toBe(1);
  }
  await noneIsLeft();
  await own.remove(trees(2));
  expect(readdirSync(work)).toEqual([]);
});
