import { describe, expect, test } from 'vitest';
import {
  type Definition,
  definitionOfSource,
  image,
  loadGraph,
  marshal,
  rewriteSources,
  scratch,
  type SourceOp,
  type State,
} from '../../src/llb/index.ts';

const platform = { os: 'linux', architecture: 'amd64' } as const;
const info = { filename: 'Dockerfile', data: Buffer.from('FROM a\nFROM b\n'), language: 'Dockerfile' };
const base = (name: string, line: number): State =>
  image(`docker.io/library/${name}:1`, {
    name: `[stage ${name}]`,
    location: { info, ranges: [{ start: { line, character: 0 }, end: { line, character: 0 } }] },
  });

/** A copy of two images, each with a name and a place. */
function definition(): Definition {
  const copy = (from: State, dest: string) =>
    ({ kind: 'copy', from: { output: from.output, dir: '/' }, src: '/', dest, options: {} }) as const;
  return marshal(scratch().file([copy(base('a', 1), '/one'), copy(base('b', 2), '/other')]), { platform });
}

const sources = (of: Definition) => loadGraph(of).vertices.filter(({ op }) => op.body?.kind === 'source');
const called = (name: string): string => `docker-image://docker.io/library/${name}:1`;
const rename =
  (from: string, to: string) =>
  (source: SourceOp): SourceOp =>
    source.identifier === called(from) ? { ...source, identifier: called(to) } : source;

describe('other sources in a definition', () => {
  test('give what the definition would have been with them', () => {
    const made = rewriteSources(definition(), rename('a', 'c'));
    const copy = (from: State, dest: string) =>
      ({ kind: 'copy', from: { output: from.output, dir: '/' }, src: '/', dest, options: {} }) as const;
    const wanted = marshal(scratch().file([copy(base('c', 1), '/one'), copy(base('b', 2), '/other')]), { platform });
    expect(made.def.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(
      wanted.def.map((bytes) => Buffer.from(bytes).toString('hex')),
    );
    expect([...made.metadata.keys()].toSorted()).toEqual([...wanted.metadata.keys()].toSorted());
  });

  test('keep names and places', () => {
    const made = sources(rewriteSources(definition(), rename('a', 'c')));
    expect(made.find(({ name }) => name === '[stage a]')).toMatchObject({
      op: { body: { identifier: called('c') } },
      ranges: [{ file: 'Dockerfile', startLine: 1 }],
    });
  });

  test('that become one are one, with what is known of both', () => {
    const made = rewriteSources(definition(), rename('b', 'a'));
    expect(made.def).toHaveLength(3);
    const [only, ...others] = sources(made);
    expect(others).toEqual([]);
    expect(only?.ranges.map(({ startLine }) => startLine).toSorted()).toEqual([1, 2]);
  });

  test('are none when nothing changes, and scratch has none', () => {
    const given = definition();
    expect(rewriteSources(given, (source) => source)).toBe(given);
    const nothing: Definition = { def: [], metadata: new Map() };
    expect(rewriteSources(nothing, rename('a', 'b'))).toBe(nothing);
  });

  test('a malformed definition is refused before anything is asked', () => {
    const cut: Definition = { def: definition().def.slice(1), metadata: new Map() };
    expect(() => rewriteSources(cut, () => expect.unreachable())).toThrow(/not in the definition/);
  });
});

test('a definition of one source has it as its result', () => {
  const source: SourceOp = {
    kind: 'source',
    identifier: 'https://web.test/f',
    attrs: new Map([['http.filename', 'x']]),
  };
  expect(loadGraph(definitionOfSource(source)).result?.vertex.op.body).toEqual(source);
});
