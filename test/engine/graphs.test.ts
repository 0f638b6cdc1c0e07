import { describe, expect, test } from 'vitest';
import type { CompiledGraphs, PlatformGraph } from '../../src/engine/compiled.ts';
import { ImageTimes } from '../../src/engine/compile/image-times.ts';
import { withVisitedSteps } from '../../src/engine/building/visited-steps.ts';
import type { Bridge } from '../../src/frontend/index.ts';
import type { LlbVertex } from '../../src/llb/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';

const source = (identifier: string): LlbVertex => vertex(identifier, { kind: 'source', identifier });
const step = (name: string, ...inputs: readonly LlbVertex[]): LlbVertex => vertex(name, { kind: 'exec' }, inputs);

function vertex(name: string, body: object, inputs: readonly LlbVertex[] = []): LlbVertex {
  return {
    digest: sha256(name),
    name,
    op: { inputs: [], body },
    inputs: inputs.map((input) => ({ vertex: input, output: 0 })),
    ignoreCache: false,
  } as unknown as LlbVertex;
}

/** Graphs of platforms, each of which lists its vertices, inputs first, and ends in the last. */
const graphs = (...lists: readonly (readonly LlbVertex[])[]): CompiledGraphs =>
  ({
    platforms: lists.map((vertices) => ({ graph: { vertices, result: { vertex: vertices.at(-1), output: 0 } } })),
  }) as unknown as CompiledGraphs;

const wanting = (text: string) => ({ wants: (name: string) => name.includes(text), visit: () => Promise.resolve() });

describe('steps that somebody wants to look into', () => {
  const base = source('docker-image://a');
  const one = step('RUN one', base);
  const two = step('RUN two', one);
  const copy = vertex('COPY one', { kind: 'file' }, [two]);

  test('run whatever is cached, and nothing else does', () => {
    const { platforms } = withVisitedSteps(graphs([base, one, two, copy]), wanting('one'));
    const [graph] = platforms.map((platform) => platform.graph);
    expect(graph?.vertices.map(({ name, ignoreCache }) => [name, ignoreCache])).toEqual([
      ['docker-image://a', false],
      ['RUN one', true],
      ['RUN two', false],
      // Not a step that has a sandbox.
      ['COPY one', false],
    ]);
    // What stands on it stands on the changed one, up to the result.
    expect(graph?.vertices[2]?.inputs[0]?.vertex).toBe(graph?.vertices[1]);
    expect(graph?.result?.vertex).toBe(graph?.vertices[3]);
    expect([one.ignoreCache, two.inputs[0]?.vertex]).toEqual([false, one]);
  });

  test('are one for platforms that share them', () => {
    const [first, second] = withVisitedSteps(graphs([base, one], [base, one, two]), wanting('one')).platforms;
    expect(first?.graph.vertices[1]).toBe(second?.graph.vertices[1]);
  });

  test('are none without a visitor, or with one for steps that fail', () => {
    const compiled = graphs([base, one]);
    expect(withVisitedSteps(compiled, undefined)).toBe(compiled);
    expect(withVisitedSteps(compiled, { visit: () => Promise.resolve() })).toBe(compiled);
  });

  test('have to be there, and what there is is named', () => {
    const looked = (list: readonly LlbVertex[]) => () => withVisitedSteps(graphs(list), wanting('three'));
    expect(looked([base, one, two])).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', hint: 'its steps are: RUN one; RUN two' }),
    );
    expect(looked([base])).toThrow(expect.objectContaining({ hint: 'it has no RUN at all' }));
    const many = Array.from({ length: 23 }, (_, at) => step(`RUN ${at}`, base));
    expect(looked([base, ...many])).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/; RUN 19; and 3 more$/) as string }),
    );
  });
});

/** A graph that has these images, by their digests. */
const graphOf = (...names: readonly string[]): Pick<PlatformGraph, 'graph'> => ({
  graph: {
    vertices: [
      ...names.map((name) => source(`docker-image://r.test/${name}:1@${sha256(name)}`)),
      source('local://context'),
      step('RUN x'),
    ],
    result: undefined,
  },
});

describe('when the base images of a build were made', () => {
  const images: Readonly<Record<string, { readonly created?: string; readonly digest?: Digest }>> = {
    old: { created: '2020-01-01T00:00:00.9Z', digest: sha256('old') },
    new: { created: '2024-01-01T00:00:00Z', digest: sha256('new') },
    silent: { digest: sha256('silent') },
    wrong: { created: 'yesterday', digest: sha256('wrong') },
    future: { created: '1960-01-01T00:00:00Z', digest: sha256('future') },
    nameless: { created: '2000-01-01T00:00:00Z' },
  };
  async function times(...asked: readonly string[]): Promise<ImageTimes> {
    const found = new ImageTimes();
    const bridge = found.watch({
      resolveImage: ({ ref }: { readonly ref: string }) => {
        const { created, digest } = images[ref] ?? {};
        return Promise.resolve({ config: { created }, digest });
      },
    } as unknown as Bridge);
    for (const ref of asked) {
      const image = await bridge.resolveImage({ ref } as unknown as Parameters<Bridge['resolveImage']>[0]);
      expect(image.digest).toBe(images[ref]?.digest);
    }
    return found;
  }
  test.each<[readonly string[], number]>([
    [['old'], 1_577_836_800],
    [['new', 'old'], 1_577_836_800],
    [['new'], 1_704_067_200],
    // Then nothing can be said: all may be the build's own.
    [[], 0],
    [['new', 'silent'], 0],
    [['new', 'wrong'], 0],
    [['new', 'future'], 0],
  ])('%j', async (names, seconds) => {
    expect((await times(...names)).oldest(graphOf(...names))).toBe(seconds);
  });

  test('counts the images that the graph of a platform has', async () => {
    const found = await times('old', 'new', 'nameless');
    expect(found.oldest(graphOf('new'))).toBe(1_704_067_200);
    // One that nobody asked about tells nothing.
    expect(found.oldest(graphOf('new', 'unknown'))).toBe(0);
  });
});
