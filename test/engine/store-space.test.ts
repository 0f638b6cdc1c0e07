import { afterAll, describe, expect, test, vi } from 'vitest';
import { rmSync } from 'node:fs';
import type { Session } from '../../src/engine/session.ts';
import { keepStoreWithin, makeSpace } from '../../src/engine/store-space.ts';
import type { StoreLimits } from '../../src/store/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { findHelper } from '../../src/sandbox/index.ts';
import { makeLayer, openStore } from '../store/support.ts';
import { testTask } from '../support/task.ts';

const opened = openStore();
afterAll(() => {
  opened[Symbol.dispose]();
  rmSync(opened.root, { recursive: true, force: true });
});
const { store } = opened;
const onWarning = vi.fn<(message: string) => void>();
const session = (storeLimits?: StoreLimits, more: object = {}): Session =>
  ({ store, options: { root: opened.root, helper: findHelper(), signal: new AbortController().signal, storeLimits, onWarning, ...more } }) as unknown as Session; // oxfmt-ignore
const full = new TsbuildError('TSB_NO_SPACE', 'no space left');
const LIMITED = { maxBytes: 1, policies: [] };
const has = (id: string): boolean => store.layers.list().some((layer) => layer.id === id);

describe('a build that found the disk full', () => {
  test.each<[string, StoreLimits | undefined, unknown]>([
    ['nobody has said that anything may go', undefined, full],
    ['the limits are none', { policies: [] }, full],
    ['it failed for something else', LIMITED, new TsbuildError('TSB_STEP', 'RUN failed')],
    ['it failed for no reason', LIMITED, undefined],
  ])('is not given what others have where %s', async (_why, limits, error) => {
    const id = makeLayer(store);
    expect(await makeSpace(session(limits), testTask(), error)).toBe(false);
    expect(has(id)).toBe(true);
  });

  test('is told its own failure where space cannot be made', async () => {
    const broken = new Error('outer', { cause: new Error('inner', { cause: full }) });
    const task = testTask();
    task.controller.abort(new Error('enough'));
    expect(await makeSpace(session(LIMITED), task, broken)).toBe(false);
  });
});

describe('a store with limits', () => {
  test('is left alone without any', async () => {
    const id = makeLayer(store);
    await keepStoreWithin(session(), testTask());
    await keepStoreWithin(session({ policies: [] }), testTask());
    expect(has(id)).toBe(true);
  });

  test('that cannot be kept is a warning, and no failure of the build', async () => {
    makeLayer(store, { size: 100_000 });
    await keepStoreWithin(session(LIMITED, { helper: '/none', helperPath: '/none' }), testTask());
    expect(onWarning.mock.calls).toEqual([[expect.stringMatching(/^Cannot keep the store within its limits: ./)]]);
  });

  test('a cancel is a cancel', async () => {
    const task = testTask();
    task.controller.abort(new Error('enough'));
    makeLayer(store, { size: 100_000 });
    await expect(keepStoreWithin(session(LIMITED, { helper: '/none' }), task)).rejects.toThrow('enough');
  });
});
