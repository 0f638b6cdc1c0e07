import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CacheSource, KeyLink } from '../../src/solver/index.ts';
import { type Digest, leafKey, sha256 } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';

/** An op with its result: what a cache knows of one edge. */
export interface CachedStep {
  readonly op: Digest;
  readonly output: number;
  /** The steps that it reads, by their place in the list; none: it is a leaf. */
  readonly inputs: readonly { readonly step: number; readonly selector?: Digest }[];
  /** Results, oldest first. */
  readonly results: readonly string[];
}

/** A cache of an implementation that knows these steps, inputs first. */
export type CacheSourceFactory = (
  steps: readonly CachedStep[],
) => { readonly source: CacheSource<string> } & Disposable;

const op = (name: string): Digest => sha256(`op ${name}`);
const leaf = (name: string, ...results: string[]): CachedStep => ({ op: op(name), output: 0, inputs: [], results });

/** Links by which a step is asked for, from one node of each input. */
function linksOf({ op: digest, output, inputs }: CachedStep, from: readonly string[]): KeyLink[] {
  return inputs.map(({ selector }, input) => ({
    op: digest,
    output,
    input,
    from: from[input] ?? '',
    ...(selector === undefined ? {} : { selector }),
  }));
}

/** The nodes of a step, as the solver finds them: those that the links of all inputs lead to. */
async function nodesOf(
  source: CacheSource<string>,
  steps: readonly CachedStep[],
  at: number,
): Promise<readonly string[]> {
  const step = steps[at];
  if (!step) return [];
  if (step.inputs.length === 0) return [leafKey(step.op, step.output)];
  let common: readonly string[] | undefined;
  for (const [input, { step: below }] of step.inputs.entries()) {
    const links = (await nodesOf(source, steps, below)).flatMap((node) =>
      linksOf(
        step,
        step.inputs.map((_, index) => (index === input ? node : '')),
      ).slice(input, input + 1),
    );
    const found = new Set(await source.query(links));
    common = common?.filter((node) => found.has(node)) ?? [...found];
  }
  return common ?? [];
}

async function resultsOf(source: CacheSource<string>, nodes: readonly string[]): Promise<readonly string[]> {
  const records = (await Promise.all(nodes.map(async (node) => source.records(node)))).flat();
  return Promise.all(records.map((record) => source.load(testTask(), record)));
}

/** The contract of `CacheSource`, for what reads and what only imports: run it for every implementation and every fake. */
export function cacheSourceSuite(name: string, make: CacheSourceFactory): void {
  describe(`${name} is a cache source`, () => {
    test('a leaf stands under its key, with its results newest first', async () => {
      using cache = make([leaf('a', 'old', 'new')]);
      expect(await resultsOf(cache.source, [leafKey(op('a'), 0)])).toEqual(['new', 'old']);
      const records = await cache.source.records(leafKey(op('a'), 0));
      const times = records.map(({ createdAt }) => createdAt);
      expect(times).toEqual(times.toSorted((a, b) => b - a));
    });

    test('what it does not know is nothing, and no error', async () => {
      using cache = make([leaf('a', 'x')]);
      const { source } = cache;
      const unknown = leafKey(op('b'), 0);
      for (const node of [unknown, '', '#7', '#', 'NaN', '__proto__', '\0'])
        expect(await source.records(node)).toEqual([]);
      expect(await source.query([])).toEqual([]);
      expect(await source.query([{ op: op('c'), output: 0, input: 0, from: unknown }])).toEqual([]);
    });

    test('a link leads on with all its parts, and with none of them changed', async () => {
      const selector = sha256('/etc');
      const step: CachedStep = { op: op('run'), output: 1, inputs: [{ step: 0, selector }], results: ['made'] };
      using cache = make([leaf('a', 'x'), step]);
      const { source } = cache;
      const from = leafKey(op('a'), 0);
      const link: KeyLink = { op: op('run'), output: 1, input: 0, from, selector };
      const { selector: _, ...bare } = link;
      expect(await resultsOf(source, await source.query([link]))).toEqual(['made']);
      for (const changed of [
        { ...link, op: op('other') },
        { ...link, output: 0 },
        { ...link, input: 1 },
        { ...link, from: leafKey(op('a'), 1) },
        { ...link, selector: sha256('/usr') },
        bare,
      ])
        expect(await source.query([changed])).toEqual([]);
      // Among others it is found all the same, and once.
      expect(await source.query([{ ...link, input: 1 }, link, link])).toHaveLength(1);
    });

    test('a record that there is not does not load', async () => {
      using cache = make([leaf('a', 'x')]);
      for (const id of ['', '9', '0.9', '9.0', 'NaN', '0', '-1.0', 'constructor'])
        await expect(cache.source.load(testTask(), { id: `no such ${id}`, createdAt: 0 })).rejects.toThrow();
    });

    test('any graph of steps is found from its leaves, with all results and no others', async () => {
      const graph = fc
        .array(fc.record({ inputs: fc.array(fc.nat(20), { maxLength: 2 }), results: fc.nat(2), select: fc.boolean() }), {
          minLength: 1,
          maxLength: 8,
        })
        .map((raw) =>
          raw.map(({ inputs, results, select }, at): CachedStep => ({
            op: op(`step ${at}`),
            output: at % 2,
            inputs: at === 0 ? [] : inputs.map((number) => ({
              step: number % at,
              ...(select ? { selector: sha256(`part ${number}`) } : {}),
            })),
            results: Array.from({ length: results }, (_, index) => `result ${at}.${index}`),
          })),
        ); // oxfmt-ignore
      await fc.assert(
        fc.asyncProperty(graph, async (steps) => {
          using cache = make(steps);
          for (const [at, { results }] of steps.entries()) {
            const found = await resultsOf(cache.source, await nodesOf(cache.source, steps, at));
            expect(found).toEqual(results.toReversed());
          }
        }),
        { numRuns: 25 },
      );
    });
  });
}
