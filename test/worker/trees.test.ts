import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findHelper } from '../../src/sandbox/index.ts';
import type { HandlerContext } from '../../src/worker/handler-context.ts';
import { newTreeDirectory, Trees } from '../../src/worker/trees.ts';
import { until } from '../support/until.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
let context: HandlerContext;
beforeEach(() => {
  dir = new TempDir();
  context = {
    config: { treesDir: join(dir.path, 'trees'), helperPath: findHelper(undefined) },
    signal: new AbortController().signal,
  } as unknown as HandlerContext;
});
afterEach(() => dir[Symbol.dispose]());

/** A layer: a directory, bottom first in lists. */
const layer = (name: string): string => {
  const path = join(dir.path, 'layers', name);
  mkdirSync(path, { recursive: true });
  return path;
};

describe('directories that stand for layers where no overlay can be', () => {
  test('a chain of steps copies its base once', () => {
    const trees = new Trees();
    const [base, one, two] = [layer('base'), layer('one'), layer('two')];
    const first = trees.take(context, [base]);
    expect(first.apply).toEqual([base]);
    first.keep(one);
    const second = trees.take(context, [base, one]);
    expect(second.dir).toBe(first.dir);
    expect(second.apply).toEqual([]);
    second.keep(two);
    // A step further on gets what is missing.
    const fourth = trees.take(context, [base, one, two, layer('three')]);
    expect([fourth.dir, fourth.apply]).toEqual([first.dir, [layer('three')]]);
  });

  test('one that a step has is nobody else’s', () => {
    const trees = new Trees();
    const base = layer('base');
    trees.take(context, [base]).keep(layer('one'));
    const mine = trees.take(context, [base, layer('one')]);
    const other = trees.take(context, [base, layer('one')]);
    expect(other.dir).not.toBe(mine.dir);
    expect(other.apply).toEqual([base, layer('one')]);
  });

  test('one with other layers is not taken, and one that failed is deleted', async () => {
    const trees = new Trees();
    const base = layer('base');
    const first = trees.take(context, [base]);
    first.keep(layer('one'));
    expect(trees.take(context, [base, layer('other')]).dir).not.toBe(first.dir);
    expect(trees.take(context, [base]).dir).not.toBe(first.dir);
    const again = trees.take(context, [base, layer('one')]);
    expect(again.dir).toBe(first.dir);
    again.discard();
    await until('it is deleted', () => !existsSync(again.dir));
  });

  test('few are kept for later, and the oldest goes', async () => {
    const trees = new Trees();
    const kept = Array.from({ length: 6 }, (_, at) => trees.take(context, [layer(`base${at}`)]));
    for (const [at, tree] of kept.entries()) tree.keep(layer(`top${at}`));
    await until('the oldest are deleted', () => kept.filter(({ dir: path }) => existsSync(path)).length === 4);
    expect(kept.map(({ dir: path }) => existsSync(path))).toEqual([false, false, true, true, true, true]);
    // What is beneath an opaque root is not seen, and not compared.
    expect(trees.take(context, [layer('base5'), layer('top5')]).dir).toBe(kept[5]?.dir);
  });

  test('whatever is taken, what it shows and what is applied are the layers that were asked for (property)', () => {
    const names = ['a', 'b', 'c'].map(layer);
    const stack = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.record({ stack, top: fc.constantFrom(...names), ends: fc.boolean() }), { maxLength: 12 }), (steps) => {
        const trees = new Trees();
        const shows = new Map<string, readonly string[]>();
        for (const { stack: layers, top, ends } of steps) {
          const tree = trees.take(context, layers);
          const before = shows.get(tree.dir) ?? [];
          expect([...before, ...tree.apply]).toEqual(layers);
          if (!ends) continue;
          tree.keep(top);
          shows.set(tree.dir, [...layers, top]);
        }
      }),
      { numRuns: 60 },
    );
  }); // oxfmt-ignore

  test('there are none where the session has no place for them', () => {
    expect(() => newTreeDirectory(undefined)).toThrow(expect.objectContaining({ code: 'TSB_INTERNAL' }));
    const made = [newTreeDirectory(join(dir.path, 'new/place')), newTreeDirectory(join(dir.path, 'new/place'))];
    expect(new Set(made).size).toBe(2);
    for (const path of made) expect(existsSync(path)).toBe(true);
  });
});
