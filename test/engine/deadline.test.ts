import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadline } from '../../src/engine/deadline.ts';
import type { BuildEvent, VertexState } from '../../src/events/index.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const vertex = (name: string, state: VertexState): BuildEvent => ({
  type: 'vertex',
  vertex: sha256(name),
  name,
  inputs: [],
  state,
  at: 0,
});

describe('the deadline of a build', () => {
  test('is none without a limit: the task is the caller’s own', () => {
    const caller = testTask();
    using deadline = new Deadline(caller, undefined);
    expect(deadline.task).toBe(caller);
    vi.advanceTimersByTime(1e9);
    const error = new Error('x');
    expect(deadline.explain(error)).toBe(error);
  });

  test('ends the task with what the build was at, and hands on all events', () => {
    const caller = testTask();
    using deadline = new Deadline(caller, 90_000);
    const events = [
      vertex('[1/3] RUN done', 'started'),
      vertex('[1/3] RUN done', 'done'),
      vertex('[2/3] RUN \u001b[2Jslow', 'started'),
      vertex('[3/3] COPY', 'cached'),
    ];
    for (const event of events) deadline.task.events(event);
    expect(caller.seen).toEqual(events);
    vi.advanceTimersByTime(89_999);
    expect(deadline.task.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(deadline.task.signal.aborted).toBe(true);
    expect(caller.signal.aborted).toBe(false);
    const reason: unknown = deadline.explain(new Error('a step was killed'));
    expect(isTsbuildError(reason, 'TSB_TIMEOUT')).toBe(true);
    expect(String(reason)).toContain('The build took longer than 1m30s; it was at "[2/3] RUN ^[[2Jslow"');
    expect(String(reason)).not.toContain('RUN done');
  });

  test.each([
    [0, /took longer than 1s$/],
    [3, /it was at "step 0", "step 1", "step 2"$/],
    [5, /it was at "step 0", "step 1", "step 2" and 2 more$/],
  ])('with %d steps at work names the first', (count, message) => {
    using deadline = new Deadline(testTask(), 1000);
    for (let at = 0; at < count; at++) deadline.task.events(vertex(`step ${at}`, 'started'));
    vi.advanceTimersByTime(1000);
    expect(String(deadline.explain(undefined))).toMatch(message);
  });

  test('does not speak for a build that failed before, or was canceled', () => {
    const caller = testTask();
    const deadline = new Deadline(caller, 1000);
    caller.controller.abort(new Error('Ctrl-C'));
    expect(deadline.task.signal.aborted).toBe(true);
    const own = new Error('own');
    expect(deadline.explain(own)).toBe(own);
    deadline[Symbol.dispose]();
    vi.advanceTimersByTime(2000);
    expect(deadline.explain(own)).toBe(own);
  });
});
