import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BuildOutcome } from '../../../src/engine/building/build.ts';
import { Expectation } from '../../../src/engine/building/expectation.ts';
import { packedForm, type OutputRequest } from '../../../src/engine/building/outputs.ts';
import { RecordedBuild } from '../../../src/engine/building/recorded-build.ts';
import { type BuildRequest, emptyRequest } from '../../../src/engine/request.ts';
import type { Session } from '../../../src/engine/session.ts';
import { type OutputSpec, parseOutput } from '../../../src/exporter/index.ts';
import { keptBuilds } from '../../../src/report/index.ts';
import { sha256, TsbuildError } from '../../../src/util/index.ts';
import { makeLayer, openStore, type TestStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';

let opened: TestStore;
beforeEach(() => {
  opened = openStore();
});
afterEach(() => opened[Symbol.dispose]());

const session = (): Session => ({ store: opened.store }) as unknown as Session;
const outputs: OutputRequest = { specs: [], stdout: process.stdout };
const outcome = (more: Partial<BuildOutcome> = {}): BuildOutcome =>
  ({ metadata: {}, results: [], layers: [], diagnostics: [], ...more }) as unknown as BuildOutcome;
const recorded = (named: Partial<ConstructorParameters<typeof RecordedBuild>[0]> = {}): RecordedBuild =>
  new RecordedBuild({ cwd: '/project/dir', context: '.', ...named }, { now: opened.store.now });
const kept = () => keptBuilds(opened.store).map(({ record }) => record);

describe('what is remembered of a build', () => {
  test('that gave an image: its names, its digest and its layers', async () => {
    const layer = makeLayer(opened.store, { size: 3000 });
    const digest = sha256('image');
    const build = outcome({
      metadata: { 'image.name': 'docker.io/library/a:1,docker.io/library/b:1', 'containerimage.digest': digest },
      results: [[layer]],
    });
    const one = recorded({ tag: 'a:1' });
    expect(await one.of(session(), testTask(), outputs, async () => build)).toBe(build);
    expect(kept()).toMatchObject([
      {
        about: { title: 'a:1' },
        result: 'done',
        outputs: [{ names: ['docker.io/library/a:1', 'docker.io/library/b:1'], digest }],
      },
    ]);
    expect(one.record).toMatchObject({ result: 'done' });
  });

  test('that failed: why, and what to do; the failure is what it was', async () => {
    const failure = new TsbuildError('TSB_STEP', 'process did not complete', { hint: 'look at its log' });
    await expect(recorded().of(session(), testTask(), outputs, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(kept()).toMatchObject([
      { result: 'failed', error: { message: 'process did not complete', hint: 'look at its log' } },
    ]);
  });

  test('that failed, and something else on the way out of it: the first of them', async () => {
    const first = new TsbuildError('TSB_STEP', 'the step failed');
    const both = new SuppressedError(new Error('the worker did not end'), first);
    await expect(recorded().of(session(), testTask(), outputs, () => Promise.reject(both))).rejects.toBe(both);
    expect(kept()).toMatchObject([{ error: { message: 'the step failed' } }]);
  });

  test('that was canceled: that it was', async () => {
    const task = testTask();
    const canceling = recorded().of(session(), task, outputs, async () => {
      task.controller.abort(new TsbuildError('TSB_CANCELED', 'Canceled'));
      task.signal.throwIfAborted();
      return outcome();
    });
    await expect(canceling).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    expect(kept()).toMatchObject([{ result: 'canceled' }]);
  });

  test('has the same titles as people have for their builds, without what a terminal would obey', async () => {
    const titles: readonly (readonly [Parameters<typeof recorded>[0], string, string])[] = [
      [{}, 'dir', 'dir'],
      [{ context: 'service' }, 'service', 'service'],
      [{ context: '-' }, 'standard input', 'standard input'],
      [
        { context: 'https://example.com/x.git#main' },
        'https://example.com/x.git#main',
        'https://example.com/x.git#main',
      ],
      [{ context: 'git@example.com:x.git' }, 'git@example.com:x.git', 'git@example.com:x.git'],
      [{ context: undefined }, 'graph', 'graph'],
      [{ target: 'test' }, 'test', 'dir'],
      [{ target: 'test', tag: 'a:1' }, 'a:1', 'dir'],
      [{ context: '/' }, '/', '/'],
      [{ tag: 'a\u001b[2Jb\nc' }, 'a^[[2Jb c', 'dir'],
    ];
    for (const [named, title, context] of titles) {
      opened.advance(1000);
      await recorded(named).of(session(), testTask(), outputs, async () => outcome());
      expect(kept()[0]?.about, JSON.stringify(named)).toMatchObject({ title, context });
    }
  });

  test('that cannot be written down is built all the same', async () => {
    rmSync(opened.store.layout.reports, { recursive: true });
    writeFileSync(opened.store.layout.reports, 'no directory');
    const build = outcome();
    expect(await recorded().of(session(), testTask(), outputs, async () => build)).toBe(build);
  });

  test('of which a layer is gone, or was never there, is built all the same', async () => {
    const gone = makeLayer(opened.store);
    opened.store.layers.forget(gone);
    const build = outcome({ results: [[gone, 'f'.repeat(32)]] });
    expect(await recorded().of(session(), testTask(), outputs, async () => build)).toBe(build);
    expect(kept()).toHaveLength(1);
  });
});

describe('whether a request is news', () => {
  const request = (more: Partial<BuildRequest> = {}): BuildRequest => ({
    ...emptyRequest,
    contextDir: '/ctx',
    ...more,
  });
  const isNews = (more: Partial<BuildRequest> = {}): boolean => new Expectation(session(), request(more)).isNews;

  test('it is until it was built, here, by whatever command', () => {
    expect(isNews()).toBe(true);
    new Expectation(session(), request()).met();
    expect(isNews()).toBe(false);
    using again = openStore(opened.root);
    expect(new Expectation({ store: again.store } as unknown as Session, request()).isNews).toBe(false);
  });

  test.each<[string, Partial<BuildRequest>]>([
    ['another directory', { contextDir: '/other' }],
    ['another Dockerfile', { dockerfile: { inContext: 'Other' } }],
    ['another stage', { target: 'test' }],
    ['another platform', { platforms: [{ os: 'linux', architecture: 'arm64' }] }],
    ['a step that is to run again', { noCache: true }],
  ])('it is for %s', (_what, more) => {
    new Expectation(session(), request()).met();
    expect(isNews(more)).toBe(true);
  });

  test('repositories and archives are told apart by where they are', () => {
    const remote = (url: string): Partial<BuildRequest> => ({
      contextDir: undefined as unknown as string,
      context: { kind: 'remote', url },
    });
    new Expectation(session(), request(remote('https://example.com/one.git'))).met();
    expect(isNews(remote('https://example.com/one.git'))).toBe(false);
    expect(isNews(remote('https://example.com/two.git'))).toBe(true);
  });
});

describe('the one form that all outputs want their layers in', () => {
  const specOf = (text: string): OutputSpec => parseOutput(text, { cwd: '/', names: ['app'] });
  const form = (...texts: readonly string[]): unknown =>
    packedForm({ specs: texts.map(specOf), stdout: process.stdout });

  test.each<[readonly string[], unknown]>([
    [['type=image'], { kind: 'gzip' }],
    [['type=image,compression=zstd'], { kind: 'zstd' }],
    [['type=image,compression=zstd,compression-level=7'], { kind: 'zstd', level: 7 }],
    [['type=oci,dest=/a', 'type=docker,dest=/b'], { kind: 'gzip' }],
    [['type=image', 'type=oci,dest=/a,compression=zstd'], undefined],
    [['type=image,compression=zstd,compression-level=7', 'type=image,compression=zstd'], undefined],
    [['type=image', 'type=local,dest=/a'], undefined],
    [['type=local,dest=/a'], undefined],
    // Other times in its files make another layer.
    [['type=image,rewrite-timestamp=true'], undefined],
    [[], undefined],
  ])('of %j is %j', (texts, expected) => {
    expect(form(...texts)).toEqual(expected);
  });
});
