import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mediaTypes } from '../../src/image/index.ts';
import { type CachedLayer, collectCache, decodeRemoteConfig, type EdgeToCache, encodeRemoteConfig, type RemoteConfig } from '../../src/remote-cache/index.ts'; // oxfmt-ignore
import type { KeyLink } from '../../src/solver/index.ts';
import { type Digest, hexOf, leafKey, sha256 } from '../../src/util/index.ts';

const layer = (text: string): CachedLayer => ({
  descriptor: { mediaType: mediaTypes.ociLayer, digest: sha256(text), size: text.length },
  diffId: sha256(text),
  createdAt: 1000,
  description: text,
  fromImage: false,
});
/** The node of a source, and that of what an op makes. */
const node = (name: string): string => hexOf(sha256(`node ${name}`));
const op = (name: string): Digest => sha256(`op ${name}`);
const link = (name: string, from: string, more: Partial<KeyLink> = {}): KeyLink => ({ op: op(name), output: 0, input: 0, from, ...more }); // oxfmt-ignore
const key = (name: string, output = 0): Digest => `sha256:${leafKey(op(name), output)}`;
const edge = (name: string, ...layers: readonly string[]): EdgeToCache => ({
  nodes: [node(name)],
  ...(layers.length === 0 ? {} : { result: { layers: layers.map(layer), createdAt: 2000 } }),
});
const collect = (
  edges: readonly EdgeToCache[],
  links: Readonly<Record<string, readonly KeyLink[]>> = {},
): RemoteConfig => {
  const byNode = new Map(Object.entries(links).map(([name, list]) => [node(name), list]));
  return collectCache(edges, (asked) => byNode.get(asked) ?? []);
};

describe('a cache that is made of what a build knows', () => {
  test('has a record for a source, under its own digest, and one for what is made of it, under that of the op', () => {
    const { records } = collect([edge('base'), edge('made', 'l')], { made: [link('run', node('base'))] });
    expect(records).toEqual([
      { digest: `sha256:${node('base')}`, inputs: [], results: [] },
      { digest: key('run'), inputs: [[{ link: 0 }]], results: [{ layers: 0, createdAt: 2000 }] },
    ]);
  });

  test('tells the outputs of an op apart, and what of an input it reads', () => {
    const selector = sha256('/part');
    const { records } = collect([edge('base'), edge('one', 'l'), edge('two', 'm')], {
      one: [link('run', node('base'), { output: 1, selector })],
      two: [link('run', node('base'), { output: 2 })],
    });
    expect(records.slice(1).map(({ digest, inputs }) => [digest, inputs])).toEqual([
      [key('run', 1), [[{ link: 0, selector }]]],
      [key('run', 2), [[{ link: 0 }]]],
    ]);
  });

  test('has all ways in which an input is known: by what made it, and by its content', () => {
    const content = hexOf(sha256('content'));
    const { records } = collect([edge('base'), edge('context', 'c'), edge('made', 'l')], {
      context: [link('copy', node('base'))],
      made: [link('run', node('context')), link('run', content)],
    });
    const made = records.find(({ digest }) => digest === key('run'));
    expect(made?.inputs.map((ways) => ways.map((way) => records[way.link]?.digest))).toEqual([
      [key('copy'), `sha256:${content}`],
    ]);
  });

  test('has a record for each op that may have made the same', () => {
    const { records } = collect([edge('base'), edge('made', 'l')], {
      made: [link('one', node('base')), link('other', node('base'))],
    });
    expect(records.slice(1).map(({ digest, results }) => [digest, results.length])).toEqual([
      [key('one'), 1],
      [key('other'), 1],
    ]);
  });

  test('leaves out what leads to no result, and inputs that nobody else could know', () => {
    const { records, layers } = collect(
      [edge('base'), edge('other'), edge('dead'), edge('made', 'l'), edge('lost', 'm')],
      {
        dead: [link('run', node('other'))],
        made: [link('make', node('base'))],
        // A node of another build, which is no digest of content, and one of which a second input is missing.
        lost: [
          link('run', 'of another build'),
          link('two', node('base')),
          link('two', 'of another build', { input: 1 }),
        ],
      },
    );
    expect(records.map(({ digest }) => digest)).toEqual([`sha256:${node('base')}`, key('make')]);
    expect(layers.map((one) => one.layer?.description)).toEqual(['l', 'm']);
  });

  test('has each layer once on what it stands on', () => {
    const { layers, records } = collect(
      [edge('base', 'a'), edge('one', 'a', 'b'), edge('two', 'a', 'c', 'b'), edge('none')],
      { one: [link('one', node('base'))], two: [link('two', node('one'))] },
    );
    expect(layers.map((one) => [one.layer?.description, one.parent])).toEqual([
      ['a', -1],
      ['b', 0],
      ['c', 0],
      ['b', 2],
    ]);
    expect(records.map(({ results }) => results.map((result) => result.layers))).toEqual([[0], [1], [3]]);
  });

  test('says the same result once, and an empty one as having no layers', () => {
    const same = edge('base', 'a');
    expect(collect([same, same]).records).toMatchObject([{ results: [{ layers: 0 }] }]);
    const empty: EdgeToCache = { nodes: [node('base')], result: { layers: [], createdAt: 1 } };
    expect(collect([empty]).records).toMatchObject([{ results: [{ layers: [], createdAt: 1 }] }]);
  });

  test('keeps so many ways to an input at most: content that changes with every build would add up', () => {
    const many = Array.from({ length: 150 }, (_, at) => link('run', hexOf(sha256(`content ${at}`))));
    const { records } = collect([edge('made', 'l')], { made: many });
    const made = records.find(({ digest }) => digest === key('run'));
    expect(made?.inputs.map((ways) => ways.length)).toEqual([100]);
    expect(records).toHaveLength(101);
  });

  test('has no more layers than its manifest may name', () => {
    const names = Array.from({ length: 1001 }, (_, at) => `l${at}`);
    expect(collect([edge('made', ...names.slice(1))]).layers).toHaveLength(1000);
    expect(() => collect([edge('made', ...names)])).toThrow(
      expect.objectContaining({ code: 'TSB_EXPORT', hint: expect.stringContaining('mode=min') as string }),
    );
  });

  test('can be read, and stands on nothing but what comes before, whatever the local cache says (property)', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
    // Links lead anywhere, in circles too: a step that changes nothing has its own result as input.
    const links = fc.array(fc.record({ to: name, from: name, op: name, input: fc.nat(2), output: fc.nat(1) }), { maxLength: 25 }); // oxfmt-ignore
    const edges = fc.array(fc.tuple(name, fc.array(fc.constantFrom('x', 'y', 'z'), { maxLength: 3 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(edges, links, (listed, all) => {
        const byName = Object.groupBy(all, ({ to }) => to);
        const config = collect(
          listed.map(([one, layers]) => edge(one, ...layers)),
          Object.fromEntries(
            Object.entries(byName).map(([to, list]) => [
              to,
              (list ?? []).map(({ from, op: by, input, output }) => link(by, node(from), { input, output })),
            ]),
          ),
        );
        for (const [at, { inputs, results }] of config.records.entries()) {
          for (const ways of inputs) {
            expect(ways.length).toBeGreaterThan(0);
            for (const way of ways) expect(way.link).toBeLessThan(at);
          }
          for (const { layers } of results)
            if (typeof layers === 'number') expect(layers).toBeLessThan(config.layers.length);
        }
        const blobs = new Map(config.layers.flatMap((one) => one.layer ? [[one.layer.descriptor.digest, one.layer.descriptor]] : [])); // oxfmt-ignore
        expect(decodeRemoteConfig(encodeRemoteConfig(config), blobs, 'test')).toEqual(config);
      }),
      { numRuns: 200 },
    );
  });
});
