import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freeLeftovers } from '../../src/engine/leftovers.ts';
import type { Session } from '../../src/engine/session.ts';
import { FakeWorker } from '../fakes/worker.ts';
import { openStore, type TestStore } from '../store/support.ts';
import { testTask } from '../support/task.ts';

/** A session with a worker in this process, and how often it was asked for. */
function sessionOf(opened: TestStore): { readonly session: Session; readonly worker: FakeWorker; started: number } {
  const worker = new FakeWorker(opened.store);
  const result = { worker, started: 0, session: undefined as unknown as Session };
  const start = (): Promise<FakeWorker> => {
    result.started++;
    return Promise.resolve(worker);
  };
  return Object.assign(result, { session: { store: opened.store, now: () => 0, worker: start } as unknown as Session });
}

function putAside({ store }: TestStore): string {
  const tree = join(store.layout.garbage, 'tree');
  fs.mkdirSync(join(tree, 'fs'), { recursive: true });
  return tree;
}

describe('what killed builds left behind', () => {
  test('costs nothing, not even a worker, when there is nothing', async () => {
    using opened = openStore();
    const task = testTask();
    const all = sessionOf(opened);
    await freeLeftovers(all.session, task);
    expect([all.started, task.seen]).toEqual([0, []]);
  });

  test('is deleted by the worker, and shown', async () => {
    using opened = openStore();
    const tree = putAside(opened);
    const task = testTask();
    await freeLeftovers(sessionOf(opened).session, task);
    expect(fs.existsSync(tree)).toBe(false);
    expect(task.seen).toMatchObject([
      { name: 'deleting what killed builds left behind', state: 'started' },
      { state: 'done' },
    ]);
  });

  test('fails no build when it cannot be deleted, and is found again by the next', async () => {
    using opened = openStore();
    const tree = putAside(opened);
    const { session, worker } = sessionOf(opened);
    worker.on.removeTrees = () => {
      throw new Error('the disk is read-only');
    };
    const task = testTask();
    await freeLeftovers(session, task);
    expect(task.seen).toMatchObject([{ state: 'started' }, { state: 'failed', error: 'the disk is read-only' }]);
    expect(fs.existsSync(tree)).toBe(true);
    await freeLeftovers(sessionOf(opened).session, testTask());
    expect(fs.existsSync(tree)).toBe(false);
  });

  test('is left to another command that is at it', async () => {
    using opened = openStore();
    putAside(opened);
    const all = sessionOf(opened);
    const lock = await opened.store.lock('gc');
    await freeLeftovers(all.session, testTask());
    lock.release();
    expect(all.started).toBe(0);
  });
});
