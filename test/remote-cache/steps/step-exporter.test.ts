import { describe, expect, test } from 'vitest';
import type { Task } from '../../../src/events/index.ts';
import {
  type CachedLayer,
  decodeRecord,
  ObjectPlace,
  openEnvelope,
  StepExporter,
  type StepLayers,
} from '../../../src/remote-cache/index.ts';
import { decodeIndex } from '../../../src/remote-cache/steps/scope-index.ts';
import type { StepExporterOptions } from '../../../src/remote-cache/steps/step-exporter.ts';
import { StepNaming } from '../../../src/remote-cache/steps/step-naming.ts';
import type { KnownEdge } from '../../../src/solver/index.ts';
import { type Digest, sha256, TsbuildError } from '../../../src/util/index.ts';
import { MemoryObjects } from '../../fakes/memory-objects.ts';
import { layerOf } from '../../support/shared-cache.ts';
import { testTask } from '../../support/task.ts';

/** A result is the texts of its layers, bottom first. */
type Result = readonly string[];
type Edge = KnownEdge<Result>;

const base: Edge = {
  vertex: sha256('base'),
  name: 'base',
  nodes: [],
  result: ['base'],
  source: true,
  target: false,
  executed: false,
  ops: [sha256('op base')],
  output: 0,
  inputs: [],
};

function step(name: string, result: Result | undefined, more: Partial<Edge> = {}): Edge {
  return {
    vertex: sha256(name),
    name,
    nodes: [],
    result,
    source: false,
    target: false,
    executed: true,
    ops: [sha256(`op ${name}`)],
    output: 0,
    inputs: [{ edge: base }],
    ...more,
  };
}

/** One scope of a shared cache in memory, and builds that write to it. */
class Cache {
  readonly objects = new MemoryObjects();
  now = 1_700_000_000_000;

  exporter(
    more: Partial<StepExporterOptions<Result>> = {},
    layers: Partial<StepLayers<Result>> = {},
  ): StepExporter<Result> {
    return new StepExporter<Result>({
      place: new ObjectPlace(this.objects, 'main'),
      task: testTask(),
      mode: 'max',
      author: { who: 'alice' },
      now: () => this.now,
      layers: {
        describe: async (_task, result) => result.map(layerOf),
        ids: (result) => result,
        blob: (_task, { descriptor, description }) => ({
          ...descriptor,
          open: (start) => [Buffer.from(description).subarray(start)],
        }),
        mountFrom: () => [],
        onThere: () => undefined,
        createdAt: () => 1000,
        linksTo: () => [],
        ...layers,
      },
      ...more,
    });
  }

  async build(known: readonly Edge[], more: Partial<StepExporterOptions<Result>> = {}): Promise<unknown> {
    return this.exporter(more).finish(testTask(), known);
  }

  requests(what: string): readonly string[] {
    return this.objects.requests
      .filter((line) => line.startsWith(`${what} `))
      .map((line) => line.slice(what.length + 1));
  }

  /** Texts of the layers that are there. */
  get layers(): readonly string[] {
    return [...this.objects.objects]
      .filter(([name]) => name.startsWith('blobs/'))
      .map(([, { bytes }]) => Buffer.from(bytes).toString())
      .toSorted();
  }

  /** Results by the name of what they are of; undefined for a record that only leads on. */
  records(names: Readonly<Record<string, Edge>>): Readonly<Record<string, readonly string[] | undefined>> {
    const naming = new StepNaming<Result>(() => []);
    return Object.fromEntries(
      Object.entries(names).flatMap(([key, edge]) =>
        naming.namesOf(edge).flatMap((name, at) => {
          const found = [...this.objects.objects].find(([path]) => path.endsWith(`/${name}`));
          if (found === undefined) return [];
          const { payload } = openEnvelope(found[1].bytes, 'test');
          const record = decodeRecord(payload, { scope: 'main', name }, 'test');
          return [[at === 0 ? key : `${key} ${at}`, record.layers?.map(({ description }) => description)]];
        }),
      ),
    );
  }
}

/** What a place refuses everything with. */
const refuses = (code: 'TSB_REGISTRY' | 'TSB_IMAGE', what: RegExp) => (request: string) => {
  if (what.test(request)) throw new TsbuildError(code, `Cannot ${request}: denied`);
};

const one = step('one', ['base', '1']);
const two = step('two', ['base', '1', '2'], { inputs: [{ edge: one }], target: true });

describe('what a build leaves in a shared cache', () => {
  test('are records of all steps, each layer once, and an index of them', async () => {
    const cache = new Cache();
    expect(await cache.build([base, one, two])).toEqual({ written: 2, kept: 0, layersSent: 3, bytesSent: 6 });
    expect(cache.layers).toEqual(['1', '2', 'base']);
    expect(cache.records({ one, two })).toEqual({ one: ['base', '1'], two: ['base', '1', '2'] });
    const index = await new ObjectPlace(cache.objects, 'main').index(testTask());
    expect(decodeIndex(index ?? Buffer.alloc(0), 'main', 'test').size).toBe(2);
    expect(cache.requests('put').filter((name) => name.startsWith('blobs/'))).toHaveLength(3);
  });

  test('are the same whether steps were offered while the build went on, once or several times', async () => {
    const cache = new Cache();
    const exporter = cache.exporter();
    for (const edge of [base, one, one, two]) exporter.offer(edge);
    expect(await exporter.finish(testTask(), [base, one, two])).toMatchObject({ written: 2, layersSent: 3 });
    expect(cache.requests('put')).toHaveLength(6);
  });

  test('are only what is part of the result, with mode=min', async () => {
    const other = step('other', ['base', 'unused']);
    const cache = new Cache();
    expect(await cache.build([base, one, other, two], { mode: 'min' })).toMatchObject({ written: 2, layersSent: 3 });
    expect(cache.layers).not.toContain('unused');
    expect(cache.records({ other })).toEqual({});
  });

  test('is nothing of what nobody else can name, or have', async () => {
    const cache = new Cache();
    const nameless = step('nameless', ['n'], { ops: [] });
    const missing = step('missing', undefined);
    const report = await cache
      .exporter({}, { describe: async (_task, result) => (result.includes('local') ? undefined : result.map(layerOf)) })
      .finish(testTask(), [base, nameless, missing, step('local', ['local'])]);
    expect(report).toMatchObject({ written: 0 });
    expect(cache.objects.objects.size).toBe(1);
    expect(cache.layers).toEqual(['n']);
  });

  test('leads on where a step is known by its content, too', async () => {
    const content = sha256('what it reads');
    const read = step('read', ['r'], { inputs: [{ edge: one, content, selector: sha256('paths') }], executed: false });
    const cache = new Cache();
    await cache.build([base, one, read]);
    expect(cache.records({ read })).toEqual({ read: ['r'], 'read 1': ['r'] });
    const without = step('without', undefined, { inputs: [{ edge: one, content }] });
    await cache.build([base, one, without]);
    // Its first name is what the others lead to.
    expect(cache.records({ without })).toEqual({ 'without 1': undefined });
  });
});

describe('what is there already', () => {
  test('is not asked for when the index has it, and not written', async () => {
    const cache = new Cache();
    await cache.build([base, one, two]);
    cache.objects.requests.length = 0;
    const report = await cache.build([base, { ...one, executed: false }, { ...two, executed: false }]);
    expect(report).toEqual({ written: 0, kept: 2, layersSent: 0, bytesSent: 0 });
    expect(cache.objects.requests.filter((line) => !line.includes(' index/'))).toEqual([]);
  });

  test('makes way for what was made anew, whose layer is sent though it has the same name', async () => {
    const cache = new Cache();
    await cache.build([base, one]);
    const layer = [...cache.objects.objects.keys()].find((name) => name.endsWith(sha256('1').slice(7))) ?? '';
    cache.objects.objects.set(layer, { bytes: Buffer.from('x'), modifiedAt: 0 });
    expect(await cache.build([base, one])).toMatchObject({ written: 1, layersSent: 1 });
    expect(cache.layers).toEqual(['1', 'base']);
  });

  test('is sent again where a layer was found to be damaged', async () => {
    const cache = new Cache();
    await cache.build([base, one]);
    const damaged = new Set<Digest>([sha256('base')]);
    const report = await cache.build([base, { ...one, executed: false }], { damaged: () => damaged });
    expect(report).toMatchObject({ layersSent: 1, bytesSent: 'base'.length });
  });

  test('is kept from expiring after a day, with its layers', async () => {
    const cache = new Cache();
    const again = [base, { ...one, executed: false }];
    await cache.build([base, one]);
    cache.now += 23 * 3_600_000;
    await cache.build(again);
    expect(cache.requests('touch')).toEqual([]);
    cache.now += 2 * 3_600_000;
    await cache.build(again);
    expect(cache.requests('touch')).toHaveLength(3);
    // The index has it that this was done.
    await cache.build(again);
    expect(cache.requests('touch')).toHaveLength(3);
  });
});

describe('a place that does not take everything', () => {
  test('that refuses is not tried again and again, and the end says why', async () => {
    const cache = new Cache();
    cache.objects.before = refuses('TSB_REGISTRY', /^put/);
    const many = Array.from({ length: 50 }, (_, at) => step(`step ${at}`, [`layer ${at}`]));
    await expect(cache.build([base, ...many])).rejects.toMatchObject({ code: 'TSB_REGISTRY' });
    // Those that were on their way, and none after the first answer.
    expect(cache.requests('put').length).toBeLessThanOrEqual(12);
    expect(cache.objects.objects.size).toBe(0);
  });

  test('that fails for one layer has all the others, and their index', async () => {
    const cache = new Cache();
    cache.objects.before = refuses('TSB_IMAGE', new RegExp(`^put blobs/.*${sha256('2').slice(7)}`));
    await expect(cache.build([base, one, two])).rejects.toThrow('denied');
    expect(cache.records({ one, two })).toEqual({ one: ['base', '1'] });
    expect(cache.requests('put').some((name) => name.startsWith('index/'))).toBe(true);
  });

  test('has no record of what has not all of its layers', async () => {
    const cache = new Cache();
    cache.objects.before = refuses('TSB_IMAGE', new RegExp(`^put blobs/.*${sha256('base').slice(7)}`));
    await expect(cache.build([base, one, two])).rejects.toThrow('denied');
    expect(cache.records({ one, two })).toEqual({});
  });

  test('whose index cannot be read is told, and one that is damaged is replaced', async () => {
    const cache = new Cache();
    cache.objects.before = refuses('TSB_REGISTRY', /^get index/);
    await expect(cache.build([base, one])).rejects.toMatchObject({ code: 'TSB_REGISTRY' });
    cache.objects.before = () => undefined;
    cache.objects.objects.set('index/main-x', { bytes: Buffer.from('x'), modifiedAt: 0 });
    const index = (await cache.build([base, one]), cache.requests('put').find((name) => name.startsWith('index/')));
    cache.objects.objects.set(index ?? '', { bytes: Buffer.from('nonsense'), modifiedAt: 0 });
    await cache.build([base, two]);
    const bytes = cache.objects.objects.get(index ?? '')?.bytes ?? Buffer.alloc(0);
    expect(decodeIndex(bytes, 'main', 'test').size).toBeGreaterThan(0);
  });
});

describe('a build that ends before its cache is written', () => {
  const aborted = (task: ReturnType<typeof testTask>): Task => {
    task.controller.abort(new TsbuildError('TSB_CANCELED', 'Canceled'));
    return task;
  };

  test('that failed has what was offered, with an index', async () => {
    const cache = new Cache();
    const exporter = cache.exporter();
    exporter.offer(one);
    await exporter.settle(testTask());
    expect(cache.records({ one, two })).toEqual({ one: ['base', '1'] });
    expect(cache.requests('put').at(-1)).toMatch(/^index\//);
  });

  test('that failed at its first step writes nothing', async () => {
    const cache = new Cache();
    await cache.exporter().settle(testTask());
    expect(cache.objects.requests).toEqual([]);
  });

  test('that was canceled sends nothing more', async () => {
    const cache = new Cache();
    const task = testTask();
    const exporter = cache.exporter({ task });
    exporter.offer(one);
    aborted(task);
    await exporter.idle();
    expect(cache.objects.objects.size).toBe(0);
    await expect(cache.exporter().finish(aborted(testTask()), [base, one])).rejects.toMatchObject({
      code: 'TSB_CANCELED',
    });
  });
});

test('records tell who made a step and when, in whole milliseconds', async () => {
  const cache = new Cache();
  await cache
    .exporter({ author: { who: 'bob', ref: 'refs/heads/x' }, now: () => 5.7 }, { createdAt: () => 1.9 })
    .finish(testTask(), [base, one]);
  const [path, { bytes } = { bytes: Buffer.alloc(0) }] =
    [...cache.objects.objects].find(([name]) => name.startsWith('records/')) ?? [];
  const { payload } = openEnvelope(bytes, 'test');
  const record = decodeRecord(payload, { scope: 'main', name: path?.split('/').at(-1) ?? '' }, 'test');
  expect(record).toMatchObject({ createdAt: 1, writtenAt: 5, author: { who: 'bob', ref: 'refs/heads/x' } });
  const described = (record.layers ?? []) satisfies readonly CachedLayer[];
  expect(described.map(({ descriptor }) => descriptor.digest)).toEqual([sha256('base'), sha256('1')]);
});
