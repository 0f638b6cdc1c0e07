import { describe, expect, test } from 'vitest';
import { BuildFailure, locateFailure } from '../../src/engine/failure.ts';
import { withInternalVertex } from '../../src/engine/internal-vertex.ts';
import { Notes } from '../../src/engine/notes.ts';
import { isRemoteContext, namedDockerfile } from '../../src/engine/request-sources.ts';
import { BuildSecrets } from '../../src/secrets/index.ts';
import { SolveError } from '../../src/solver/index.ts';
import type { TreeListing } from '../../src/tree/index.ts';
import { sha256, TsbuildError } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';
import { TempDir } from '../tree/support.ts';

const file = { name: 'Dockerfile', text: 'FROM scratch\nRUN echo s3cret-value\nRUN b\n' };
const line = (number: number) => [{ file: file.name, startLine: number, endLine: number }] as const;
const { mask } = new BuildSecrets(new Map([['token', { kind: 'value', value: 's3cret-value' }]]));

describe('a build that failed', () => {
  const located = (error: unknown, withMask = false): BuildFailure => {
    const found = locateFailure(error, file, () => line(2), withMask ? mask : undefined);
    expect(found).toBeInstanceOf(BuildFailure);
    return found as BuildFailure;
  };

  test('says where its step stands, unless the error knows better', () => {
    const step = new SolveError(sha256('vertex'), 'RUN b', new TsbuildError('TSB_STEP', 'exit code: 1'));
    expect(located(step)).toMatchObject({ code: 'TSB_STEP', ranges: line(2), solving: true });
    expect(located(step).excerpt).toContain('>>> RUN echo s3cret-value');
    const own = new TsbuildError('TSB_DOCKERFILE', 'unknown instruction', {
      ranges: line(3),
      hint: 'did you mean RUN?',
    });
    expect(located(own)).toMatchObject({ ranges: line(3), hint: 'did you mean RUN?', solving: true });
    expect(located(own).excerpt).toContain('>>> RUN b');
  });

  test('is no place of the file where it is about something else', () => {
    const usage = located(new TsbuildError('TSB_USAGE', 'Cannot use --x'));
    expect(usage).toMatchObject({ code: 'TSB_USAGE', ranges: [], solving: false, excerpt: '' });
    const without = locateFailure(new TsbuildError('TSB_USAGE', 'x', { ranges: line(1) }), undefined, () => []);
    expect(without).toMatchObject({ excerpt: '' });
  });

  test('is left as it is where it was canceled, is a fault, or was located before', () => {
    const fault = new RangeError('x');
    const canceled = new TsbuildError('TSB_CANCELED', 'Canceled');
    const before = new BuildFailure(new TsbuildError('TSB_STEP', 'x'), file, line(1));
    for (const error of [fault, canceled, before]) expect(locateFailure(error, file, () => line(2))).toBe(error);
  });

  test('keeps what caused it, for whoever debugs', () => {
    const error = new TsbuildError('TSB_STEP', 'x', { cause: new Error('because') });
    expect(located(error).cause).toBe(error);
  });

  test('shows no secret: not in what it says, in what helps, in the lines of the file, nor in any cause', () => {
    const words = 'it says s3cret-value';
    const errors = [
      new TsbuildError('TSB_STEP', words),
      new TsbuildError('TSB_STEP', 'x', { hint: words }),
      new TsbuildError('TSB_STEP', 'x', { cause: new Error(words) }),
      new TsbuildError('TSB_STEP', 'x', { cause: new Error('y', { cause: new Error(words) }) }),
      new SolveError(sha256('v'), 'RUN b', new TsbuildError('TSB_STEP', 'x', { ranges: line(2) })),
    ];
    for (const error of errors) {
      const shown: unknown[] = [];
      const failure = located(error, true);
      shown.push(failure.excerpt);
      for (let at: unknown = failure; at instanceof Error; at = at.cause)
        shown.push(at.message, at.stack, 'hint' in at && at === failure ? at.hint : '');
      expect(shown.join('\n')).not.toContain('s3cret-value');
    }
  });
});

describe('work that is no step', () => {
  const states = async (work: () => Promise<unknown>, task = testTask()): Promise<readonly unknown[]> => {
    let now = 10;
    await withInternalVertex(task, () => now++, 'exporting', work).catch(() => undefined);
    return task.seen.map((event) =>
      event.type === 'vertex' ? [event.name, event.state, event.at, event.error] : event.type,
    );
  };

  test('is shown from its beginning to its end', async () => {
    expect(await states(async () => 'made')).toEqual([
      ['exporting', 'started', 10, undefined],
      ['exporting', 'done', 11, undefined],
    ]);
    expect(
      await withInternalVertex(
        testTask(),
        () => 0,
        'x',
        async () => 'made',
      ),
    ).toBe('made');
  });

  test('is shown as failed with why, and as canceled where somebody stopped it', async () => {
    const fails = (): Promise<never> => Promise.reject(new TsbuildError('TSB_EXPORT', 'the disk is full'));
    expect((await states(fails)).at(-1)).toEqual(['exporting', 'failed', 11, 'the disk is full']);
    const task = testTask();
    task.controller.abort();
    expect((await states(fails, task)).at(-1)).toEqual(['exporting', 'canceled', 11, 'the disk is full']);
  });

  test('gives what waits within it the vertex that is shown', async () => {
    const task = testTask();
    await withInternalVertex(
      task,
      () => 0,
      'exporting',
      async (vertex, status, inner) => {
        expect(inner.vertex).toBe(vertex);
        status('half', 1, 2);
      },
    );
    expect(task.seen.map(({ type }) => type)).toEqual(['vertex', 'status', 'vertex']);
    expect(new Set(task.seen.map((event) => 'vertex' in event && event.vertex)).size).toBe(1);
  });
});

describe('what a context and a Dockerfile are', () => {
  test.each([
    ['https://example.test/x.tar', true],
    ['http://example.test/x.git#main', true],
    ['git@example.test:x/y.git', true],
    ['https://example.test/there', true],
    ['.', false],
    ['sub', false],
    ['/nowhere', false],
    ['nowhere', false],
  ])('%s is an address: %s', (path, isRemote) => {
    using dir = new TempDir();
    dir.mkdir('sub');
    expect(isRemoteContext(dir.path, path)).toBe(isRemote);
  });

  test('a path that is there is no address, whatever it looks like', () => {
    using dir = new TempDir();
    for (const part of ['https:', 'https:/example.test']) dir.mkdir(part);
    expect(isRemoteContext(dir.path, 'https://example.test')).toBe(false);
  });

  test('-f is from the working directory, or from the context where it is only there', () => {
    using dir = new TempDir();
    dir.write('context/Dockerfile');
    dir.write('context/only-there');
    dir.write('Dockerfile');
    dir.write('lower/dockerfile');
    const named = (name: string, context = `${dir.path}/context`) => namedDockerfile(dir.path, context, name);
    expect(named('Dockerfile')).toEqual({ dir: dir.path, name: 'Dockerfile' });
    expect(named('only-there')).toEqual({ dir: `${dir.path}/context`, name: 'only-there' });
    expect(named('context/only-there')).toEqual({ dir: `${dir.path}/context`, name: 'only-there' });
    expect(named('lower/Dockerfile')).toEqual({ dir: `${dir.path}/lower`, name: 'Dockerfile' });
    expect(named('https://example.test/Dockerfile')).toEqual({ url: 'https://example.test/Dockerfile' });
    expect(() => named('lower/Containerfile')).toThrow(
      'Cannot read Dockerfile "lower/Containerfile": it does not exist',
    );
    expect(() => named('https:/user:pw@example.test')).toThrow(TsbuildError);
  });

  test('-f of a context that is elsewhere is within that, unless it is absolute or an address', () => {
    using dir = new TempDir();
    const path = dir.write('Dockerfile');
    const named = (name: string) => namedDockerfile(dir.path, undefined, name);
    expect(named('Dockerfile')).toEqual({ inContext: 'Dockerfile' });
    expect(named('none/Dockerfile')).toEqual({ inContext: 'none/Dockerfile' });
    expect(named(path)).toEqual({ dir: dir.path, name: 'Dockerfile' });
    expect(named('http://example.test/x')).toEqual({ url: 'http://example.test/x' });
    expect(() => named('/nowhere/x')).toThrow('it does not exist');
  });
});

describe('what steps read', () => {
  const [step, content, other] = [sha256('step'), sha256('content'), sha256('other')];
  const listing = (root: string): TreeListing =>
    ({ root, directories: new Map([[root, { text: root }]]) }) as unknown as TreeListing;

  test('is listed when there is time, once for each content', () => {
    const notes = new Notes();
    let made = 0;
    const list = (root: string) => () => (made++, listing(root));
    notes.read(step, 0, content, list('one'));
    notes.read(step, 1, content, list('same'));
    notes.read(step, 2, other, list('two'));
    expect([notes.isPending, made, notes.listingOf(step, 0)]).toEqual([true, 0, undefined]);
    notes.settle();
    notes.settle();
    expect([notes.isPending, made]).toEqual([false, 2]);
    expect([0, 1, 2, 3].map((input) => notes.listingOf(step, input))).toEqual(['one', 'one', 'two', undefined]);
    expect([...notes.listings.keys()]).toEqual(['one', 'two']);
    expect([notes.contentOf(step, 0), notes.contentOf(other, 0)]).toEqual([content, undefined]);
  });

  test('is not listed where the store has that list', () => {
    const notes = new Notes();
    notes.know(content, 'stored');
    notes.read(step, 0, content, () => {
      throw new Error('It is there');
    });
    notes.settle();
    expect([notes.listingOf(step, 0), notes.listings.size]).toEqual(['stored', 0]);
  });

  test('of a source is what it was last', () => {
    const notes = new Notes();
    notes.source(step, { what: 'source', name: 'a', value: '1' });
    notes.source(step, { what: 'source', name: 'a', value: '2' });
    expect(notes.sourceOf(step)).toMatchObject({ value: '2' });
    expect(notes.sourceOf(other)).toBeUndefined();
  });
});
