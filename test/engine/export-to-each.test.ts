import { expect, test } from 'vitest';
import { exportToEach } from '../../src/engine/caches/export-to-each.ts';
import type { BuildEvent } from '../../src/events/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';

interface Spec {
  readonly name: string;
  readonly ignoreError: boolean;
  readonly fails?: Error;
}

const now = (): number => 1;
const warnings = (events: readonly BuildEvent[]): readonly string[] =>
  events.flatMap((event) => (event.type === 'diagnostic' ? event.diagnostic.message : []));

/** Exports to places; those that were tried, in order. */
async function exportAll(specs: readonly Spec[], task = testTask()): Promise<readonly string[]> {
  const tried: string[] = [];
  await exportToEach({ now }, task, specs, ({ name, fails }) => ({
    what: `cache to ${name}`,
    run: () => {
      tried.push(name);
      return fails === undefined ? Promise.resolve() : Promise.reject(fails);
    },
  }));
  return tried;
}

test('one place after the other, each a step of its own; one that takes nothing is passed over', async () => {
  const task = testTask();
  const active: string[] = [];
  await exportToEach(
    { now },
    task,
    ['a', 'none', 'b'].map((name) => ({ name, ignoreError: true })),
    ({ name }) =>
      name === 'none'
        ? undefined
        : {
            what: `cache to ${name}`,
            ...(name === 'b' ? { vertex: 'exporting cache to registry' } : {}),
            run: async (status) => {
              expect(active).toEqual([]);
              active.push(name);
              status('writing', 1, 2);
              await Promise.resolve();
              active.pop();
            },
          },
  );
  const names = task.seen.flatMap((event) => (event.type === 'vertex' ? event.name : []));
  expect([...new Set(names)]).toEqual(['exporting cache to a', 'exporting cache to registry']);
  expect(task.seen.filter(({ type }) => type === 'status')).toHaveLength(2);
});

test('one that fails is a warning with what to do, and keeps nobody else from it', async () => {
  const task = testTask();
  const fails = new TsbuildError('TSB_REGISTRY', 'it answered 403', { hint: 'log in' });
  const specs = [
    { name: 'a', ignoreError: true, fails },
    { name: 'b', ignoreError: true },
  ];
  expect(await exportAll(specs, task)).toEqual(['a', 'b']);
  expect(warnings(task.seen)).toEqual([expect.stringMatching(/^Cannot export cache to a: it answered 403.*log in/s)]);
});

test('the first that matters fails the build, once all were tried', async () => {
  const task = testTask();
  const first = new TsbuildError('TSB_REGISTRY', 'it answered 403', { hint: 'log in' });
  const specs = [
    { name: 'a', ignoreError: true, fails: new Error('disk') },
    { name: 'b', ignoreError: false, fails: first },
    { name: 'c', ignoreError: false, fails: new Error('later') },
    { name: 'd', ignoreError: false },
  ];
  await expect(exportAll(specs, task)).rejects.toThrow(
    expect.objectContaining({
      code: 'TSB_EXPORT',
      message: 'Cannot export cache to b: it answered 403',
      hint: 'log in',
      cause: first,
    }),
  );
  expect(warnings(task.seen)).toHaveLength(1);
  const names = task.seen.flatMap((event) => (event.type === 'vertex' ? event.name : []));
  expect(names).toContain('exporting cache to d');
});

test('a build that is canceled says so, and goes on with no other place', async () => {
  const task = testTask();
  const reason = new Error('Ctrl-C');
  const tried: string[] = [];
  const work = exportToEach(
    { now },
    task,
    ['a', 'b'].map((name) => ({ name, ignoreError: true })),
    ({ name }) => ({
      what: name,
      run: () => {
        tried.push(name);
        task.controller.abort(reason);
        return Promise.reject(new Error('connection lost'));
      },
    }),
  );
  await expect(work).rejects.toBe(reason);
  expect([tried, warnings(task.seen)]).toEqual([['a'], []]);
});
