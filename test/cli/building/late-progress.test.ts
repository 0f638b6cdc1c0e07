import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { lateProgress } from '../../../src/cli/building/late-progress.ts';
import type { BuildEvent } from '../../../src/events/index.ts';
import { sha256 } from '../../../src/util/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const step = (name: string): BuildEvent => ({
  type: 'vertex',
  vertex: sha256(name),
  name,
  inputs: [],
  state: 'started',
  at: 0,
});

test('what is over within a second is not told', async () => {
  const context = fakeContext();
  const progress = lateProgress(context, 'preparing x');
  progress.events(step('[1/1] quick'));
  vi.advanceTimersByTime(999);
  await progress.close();
  vi.advanceTimersByTime(60_000);
  expect(context.err()).toBe('');
});

test('what takes longer is told from its beginning', async () => {
  const context = fakeContext();
  const progress = lateProgress(context, 'preparing x');
  progress.events(step('[1/2] early'));
  expect(context.err()).toBe('');
  vi.advanceTimersByTime(1000);
  progress.events(step('[2/2] late'));
  await progress.close();
  expect(context.err()).toMatch(/\[1\/2\] early[^]*\[2\/2\] late/);
});

test('what begins to say something later is told, too', async () => {
  const context = fakeContext();
  const progress = lateProgress(context, 'preparing x');
  vi.advanceTimersByTime(3000);
  progress.events(step('waiting for registry.test'));
  progress.events(step('[1/1] after it'));
  await progress.close();
  expect(context.err()).toMatch(/waiting for registry\.test[^]*\[1\/1\] after it/);
});
