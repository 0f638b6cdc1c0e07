import { describe, expect, test } from 'vitest';
import {
  decodeOp,
  diff,
  image,
  loadGraph,
  local,
  marshal,
  MAX_DEFINITION_BYTES,
  merge,
  type NodeLocation,
  scratch,
  type State,
} from '../../src/llb/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { ALPINE, BUSYBOX, digestOf, PATH, platform } from './buildkit.ts';

const alpine = image(ALPINE, { platform });
const step = (state: State, command: string, more: object = {}): State => state.run({ args: [command], ...more });
const at = (line: number, filename = 'Dockerfile'): NodeLocation => ({ info: file(filename), ranges: [{ start: { line, character: 0 }, end: { line, character: 5 } }] }); // oxfmt-ignore
const files = new Map<string, NodeLocation['info']>();
function file(filename: string): NodeLocation['info'] {
  const known = files.get(filename) ?? { filename, data: Buffer.from('FROM x'), language: 'Dockerfile' };
  files.set(filename, known);
  return known;
}

describe('a definition', () => {
  test('of scratch has nothing in it', () => {
    expect(marshal(scratch())).toEqual({ def: [], metadata: new Map(), ops: [] });
    expect(marshal(merge([scratch(), scratch()]))).toEqual(marshal(scratch()));
  });

  test('ends with an op that only reads the result, with the digest that BuildKit gives it', () => {
    const state = alpine
      .addEnv('PATH', PATH)
      .user('1000:1000')
      .run({ args: ['/bin/sh', '-c', 'cat /proc/$$/status'] });
    const { def, ops } = marshal(state, { platform });
    expect(def.map((bytes) => sha256(bytes))).toEqual([
      'sha256:695cb55d3e4564aac1da5dc700ad19b0691b13e0784b3336a3af45d05d5bd1b0',
      'sha256:67bd5afc0e5a95d86d16d1a4a841a06bae107653ac49b94409be98cc179a5538',
      'sha256:10ca18f8a6401f4d90bce1d7e0bd89897597e4bc2e34c14e9b6ecea8f1b570a7',
    ]);
    expect(ops.map(([digest]) => digest)).toEqual(def.map((bytes) => sha256(bytes)));
    expect(decodeOp(def.at(-1) ?? new Uint8Array()).inputs).toEqual([{ digest: digestOf(state), index: 0 }]);
  });

  test('has what is equal once, however it came about', () => {
    const twice = merge([step(image(ALPINE, { platform }), 'a'), step(image(ALPINE, { platform }), 'a')]);
    // Image, step, merge, result.
    expect(marshal(twice, { platform }).def).toHaveLength(4);
    expect(loadGraph(marshal(twice, { platform })).result?.vertex.inputs).toHaveLength(2);
  });

  test('of a graph with very many ways through it has each vertex once', () => {
    let state = alpine;
    for (let level = 0; level < 200; level++) state = merge([step(state, `a${level}`), step(state, `b${level}`)]);
    expect(marshal(state, { platform }).def).toHaveLength(1 + 200 * 3 + 1);
  });

  test('takes the platform of the build where an op says none', () => {
    const architectures = (state: State): readonly (string | undefined)[] =>
      marshal(state, { platform: { os: 'linux', architecture: 'riscv64' } }).ops.map(
        ([, op]) => op.platform?.architecture,
      );
    expect(architectures(step(image(ALPINE), 'x'))).toEqual(['riscv64', 'riscv64', undefined]);
    expect(architectures(step(alpine, 'x'))).toEqual(['amd64', 'amd64', undefined]);
    expect(architectures(step(scratch(), 'x'))).toEqual(['riscv64', undefined]);
    expect(architectures(step(local('c'), 'x'))).toEqual([undefined, 'riscv64', undefined]);
  });

  test('that nobody could read is not made, and says what makes it large', () => {
    let state: State = alpine.addEnv('LARGE', 'x'.repeat(MAX_DEFINITION_BYTES / 4));
    for (const command of ['a', 'b', 'c']) state = step(state, command);
    expect(marshal(state, { platform }).def).toHaveLength(5);
    expect(() => marshal(step(state, 'd'), { platform })).toThrow(
      expect.objectContaining({ code: 'TSB_LLB', hint: expect.stringContaining('environment variables') as string }),
    );
  });
});

describe('what is known of ops beside their identity', () => {
  const metadataOf = (state: State) => {
    const definition = marshal(state, { platform });
    const digest = loadGraph(definition).result?.vertex.digest;
    return digest === undefined ? undefined : definition.metadata.get(digest);
  };
  const resultCaps = (state: State): readonly string[] => {
    const { def, metadata } = marshal(state, { platform });
    return [...(metadata.get(sha256(def.at(-1) ?? ''))?.caps.keys() ?? [])].toSorted();
  };

  test('is name, description and group of progress, and none of it another digest', () => {
    const progressGroup = { id: 'g', name: 'group', weak: true };
    const named = step(alpine, 'x', { name: 'shown', description: { a: 'b' }, progressGroup });
    expect(metadataOf(named)).toMatchObject({
      description: new Map([
        ['a', 'b'],
        ['llb.customname', 'shown'],
      ]),
      progressGroup,
      ignoreCache: false,
    });
    expect(digestOf(named)).toBe(digestOf(step(alpine, 'x')));
  });

  test('of two that are one is that of both: whoever wants no cache has none, and the later name is shown', () => {
    const one = step(alpine, 'x', { ignoreCache: true, name: 'first', description: { a: '1' } });
    const two = step(alpine, 'x', { name: 'second', description: { b: '2' } });
    const { metadata } = marshal(merge([one, two]), { platform });
    const digest = digestOf(one);
    expect(digest === undefined ? undefined : metadata.get(digest)).toMatchObject({
      ignoreCache: true,
      description: new Map([
        ['a', '1'],
        ['llb.customname', 'second'],
        ['b', '2'],
      ]),
    });
  });

  test('has the result ask for what any op of the graph does', () => {
    expect(resultCaps(step(alpine, 'x'))).toEqual(['constraints', 'platform']);
    expect(resultCaps(step(alpine, 'x', { ignoreCache: true }))).toContain('meta.ignorecache');
    expect(resultCaps(step(step(alpine, 'x', { name: 'n' }), 'y'))).toContain('meta.description');
  });
});

describe('places in source files', () => {
  test('are listed for each op, and each file once', () => {
    const base = image(ALPINE, { platform, location: at(1) });
    const state = step(step(base, 'a', { location: at(2) }), 'b', { location: at(3, 'other') });
    const { source, ops } = marshal(state, { platform });
    expect(source?.infos.map(({ filename }) => filename)).toEqual(['Dockerfile', 'other']);
    const lines = ops.map(([digest]) =>
      source?.locations.get(digest)?.locations.map(({ sourceIndex, ranges }) => [sourceIndex, ranges[0]?.start?.line]),
    );
    expect(lines).toEqual([[[0, 1]], [[0, 2]], [[1, 3]], undefined]);
  });

  test('of what is the same are all of them', () => {
    const state = merge([step(alpine, 'a', { location: at(2) }), step(alpine, 'a', { location: at(7) })]);
    const { source } = marshal(state, { platform });
    const digest = digestOf(step(alpine, 'a'));
    const found = digest === undefined ? undefined : source?.locations.get(digest);
    expect(found?.locations.map(({ ranges }) => ranges[0]?.start?.line)).toEqual([2, 7]);
  });
});

describe('trees that are laid on each other', () => {
  test('are inputs one after the other, the same one twice too; a difference may have scratch on one side', () => {
    const busybox = image(BUSYBOX, { platform });
    const bodyOf = (state: State) => loadGraph(marshal(state, { platform })).result?.vertex;
    expect(bodyOf(merge([alpine, busybox, alpine]))?.op).toMatchObject({
      inputs: [alpine, busybox, alpine].map((state) => ({ digest: digestOf(state), index: 0 })),
      body: { kind: 'merge', inputs: [{ input: 0 }, { input: 1 }, { input: 2 }] },
    });
    expect(bodyOf(diff(alpine, alpine))?.op).toMatchObject({
      inputs: [{ digest: digestOf(alpine) }, { digest: digestOf(alpine) }],
      body: { kind: 'diff', lower: { input: 0 }, upper: { input: 1 } },
    });
    expect(bodyOf(diff(alpine, scratch()))?.op.body).toMatchObject({ lower: { input: 0 }, upper: { input: -1 } });
  });
});
