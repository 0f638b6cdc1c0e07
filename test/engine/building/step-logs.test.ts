import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { StepLogs } from '../../../src/engine/building/step-logs.ts';
import type { BuildEvent, VertexState } from '../../../src/events/index.ts';
import { sha256 } from '../../../src/util/index.ts';
import { filesBelow, openStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';

const vertexOf = (name: string) => sha256(name);
const state = (name: string, is: VertexState): BuildEvent => ({
  type: 'vertex',
  vertex: vertexOf(name),
  name,
  inputs: [],
  state: is,
  at: 0,
});
const said = (name: string, text: string): BuildEvent => ({
  type: 'log',
  vertex: vertexOf(name),
  stream: 1,
  data: Buffer.from(text),
  at: 0,
});

/** What is told on of these events, and the texts of the logs that were kept. */
function watched(events: readonly BuildEvent[]) {
  using opened = openStore();
  const task = testTask();
  {
    using logs = new StepLogs(opened.store.logs);
    const watching = logs.watch(task);
    expect(watching.signal).toBe(task.signal);
    for (const event of events) watching.events(event);
  }
  expect(filesBelow(opened.store.layout.ingest)).toEqual([]);
  return {
    told: task.seen,
    kept: opened.store.logs.list().map(({ path }) => readFileSync(path, 'utf8')),
    logs: task.seen.flatMap((event) => (event.type === 'vertex' && event.log !== undefined ? [event.log] : [])),
  };
}

describe('what steps print', () => {
  test('is kept where a step fails, under its name, and the event says where', () => {
    const { told, kept, logs } = watched([
      state('RUN make', 'started'),
      said('RUN make', 'one\n'),
      said('RUN make', 'two\n'),
      state('RUN make', 'failed'),
    ]);
    expect(kept).toEqual(['RUN make\none\ntwo\n']);
    expect(logs).toHaveLength(1);
    expect(told.map(({ type }) => type)).toEqual(['vertex', 'log', 'log', 'vertex']);
  });

  test.each<VertexState>(['done', 'canceled', 'cached'])('is let go where a step is %s', (end) => {
    const { kept, logs } = watched([said('RUN x', 'text'), state('RUN x', end)]);
    expect([kept, logs]).toEqual([[], []]);
  });

  test('is each step’s own, however their lines are mixed', () => {
    const { kept } = watched([
      said('a', '1'),
      said('b', '2'),
      said('a', '3'),
      state('b', 'done'),
      said('a', '4'),
      state('a', 'failed'),
    ]);
    expect(kept).toEqual(['a\n134']);
  });

  test('of a try that is begun anew is not that of the next one', () => {
    const { kept } = watched([said('a', 'first'), state('a', 'started'), said('a', 'second'), state('a', 'failed')]);
    expect(kept).toEqual(['a\nsecond']);
  });

  test('stays while a step waits', () => {
    expect(watched([said('a', 'begun '), state('a', 'pending'), said('a', 'on'), state('a', 'failed')]).kept).toEqual([
      'a\nbegun on',
    ]);
  });

  test('that says nothing has no log', () => {
    const { kept, told } = watched([state('a', 'started'), state('a', 'failed')]);
    expect(kept).toEqual([]);
    expect(told).toEqual([state('a', 'started'), state('a', 'failed')]);
  });

  test('leaves no file of steps that still run when a build ends', () => {
    expect(watched([said('a', 'x'.repeat(1_000_000))]).kept).toEqual([]);
  });
});
