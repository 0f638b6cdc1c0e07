import { describe, expect, test } from 'vitest';
import { Expectation } from '../../src/engine/building/expectation.ts';
import { BuildFailure, locateFailure } from '../../src/engine/failure.ts';
import { withInternalVertex } from '../../src/engine/internal-vertex.ts';
import type { BuildRequest } from '../../src/engine/request.ts';
import type { Session } from '../../src/engine/session.ts';
import { Mask } from '../../src/secrets/mask.ts';
import { SolveError } from '../../src/solver/index.ts';
import { type SourceRange, sha256, TsbuildError } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';
import { testTask } from '../support/task.ts';

describe('whether a build is news', () => {
  const request = { contextDir: '/src', target: 'app', platforms: [], noCache: false } as unknown as BuildRequest;

  test('it is until it was built, also for later commands', () => {
    using opened = openStore();
    const session = { store: opened.store } as Session;
    const first = new Expectation(session, request);
    expect(first.isNews).toBe(true);
    first.met();
    expect(new Expectation(session, request).isNews).toBe(false);
  });

  test.each([
    ['another context', { contextDir: '/other' }],
    ['another target', { target: 'test' }],
    ['another Dockerfile', { dockerfile: { inContext: 'Other' } }],
    ['another platform', { platforms: [{ os: 'linux', architecture: 'arm64' }] }],
    ['no cache', { noCache: true }],
  ])('%s is news', (_name, change) => {
    using opened = openStore();
    const session = { store: opened.store } as Session;
    new Expectation(session, request).met();
    expect(new Expectation(session, { ...request, ...change }).isNews).toBe(true);
  });
});

describe('where a build failed', () => {
  const file = { name: 'Dockerfile', text: 'FROM scratch\nRUN login hunter2\n' };
  const line = (startLine: number): SourceRange => ({ file: 'Dockerfile', startLine, endLine: startLine });
  const step = new SolveError(
    sha256('run'),
    'RUN',
    new TsbuildError('TSB_STEP', 'hunter2: exit 1', { hint: 'not hunter2' }),
  );
  const rangesOf = (vertex: string): readonly SourceRange[] => (vertex === sha256('run') ? [line(2)] : []);

  test('a step is shown with its lines', () => {
    const failure = locateFailure(step, file, rangesOf) as BuildFailure;
    expect(failure).toBeInstanceOf(BuildFailure);
    expect(failure).toMatchObject({ code: 'TSB_STEP', message: 'hunter2: exit 1', solving: true, ranges: [line(2)] });
    expect(failure.excerpt).toMatch(/^Dockerfile:2\n/);
    expect(failure.excerpt).toContain('  2 | >>> RUN login hunter2');
    expect(failure.cause).toBe(step);
  });

  test('places that the failure names itself come before those of its vertex', () => {
    const own = new SolveError(sha256('run'), 'RUN', new TsbuildError('TSB_CONTEXT', 'x', { ranges: [line(1)] }));
    expect(locateFailure(own, file, rangesOf)).toMatchObject({ ranges: [line(1)] });
  });

  test('nothing that is said has a secret in it, not even a cause', () => {
    const failure = locateFailure(step, file, rangesOf, new Mask([Buffer.from('hunter2')])) as BuildFailure;
    expect(failure).toMatchObject({ message: '***: exit 1', hint: 'not ***' });
    expect(failure.excerpt).toContain('RUN login ***');
    for (let at: unknown = failure; at instanceof Error; at = at.cause)
      expect(`${at.message} ${at.stack ?? ''}`).not.toContain('hunter2');
  });

  test('a wrong request has no place, and no solving has begun', () => {
    const failure = locateFailure(new TsbuildError('TSB_USAGE', 'no'), file, rangesOf);
    expect(failure).toMatchObject({ solving: false, excerpt: '', ranges: [] });
    expect(locateFailure(new TsbuildError('TSB_USAGE', 'no'), undefined, rangesOf)).toMatchObject({ excerpt: '' });
  });

  test('faults, cancellations, and what has its place already stay what they are', () => {
    const located = locateFailure(step, file, rangesOf);
    for (const error of [new TypeError('x'), new TsbuildError('TSB_CANCELED', 'Canceled'), located, 'text'])
      expect(locateFailure(error, file, rangesOf)).toBe(error);
    // Of two, the first counts: what fails while things are put away only follows.
    expect(locateFailure(new SuppressedError(new Error('later'), step), file, rangesOf)).toMatchObject({
      code: 'TSB_STEP',
    });
  });
});

describe('work that is shown as a vertex', () => {
  const states = (task: ReturnType<typeof testTask>): readonly unknown[] =>
    task.seen.map((event) => (event.type === 'vertex' ? [event.state, event.error] : [event.type]));

  test('begins, reports and ends', async () => {
    const task = testTask();
    const work = withInternalVertex(
      task,
      () => 7,
      'loading',
      async (_vertex, status) => {
        status('layer', 3, 10);
        return 'done';
      },
    );
    expect(await work).toBe('done');
    expect(states(task)).toEqual([['started', undefined], ['status'], ['done', undefined]]);
    const [start, status] = task.seen;
    expect(status).toEqual({
      type: 'status',
      vertex: sha256('tsbuild.internal:loading'),
      id: 'layer',
      current: 3,
      total: 10,
      unit: 'bytes',
      at: 7,
    });
    expect(start).toMatchObject({ name: 'loading', inputs: [], vertex: sha256('tsbuild.internal:loading') });
  });

  test('fails, or is canceled, with what was thrown', async () => {
    const fail = (): Promise<never> => Promise.reject(new Error('no space'));
    const task = testTask();
    await expect(withInternalVertex(task, () => 0, 'x', fail)).rejects.toThrow('no space');
    expect(states(task)).toEqual([
      ['started', undefined],
      ['failed', 'no space'],
    ]);
    const canceled = testTask();
    canceled.controller.abort();
    await expect(withInternalVertex(canceled, () => 0, 'x', fail)).rejects.toThrow('no space');
    expect(states(canceled)).toEqual([
      ['started', undefined],
      ['canceled', 'no space'],
    ]);
  });
});
