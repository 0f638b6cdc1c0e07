import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeDefinition,
  decodeOp,
  type Definition,
  encodeDefinition,
  encodeOp,
  formatDefinition,
  loadGraph,
  loadGraphs,
  marshal,
  opFromJson,
  opToJson,
  readDefinition,
  stateOf,
} from '../../src/llb/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { type Instruction, instructions, statesOf } from './graphs.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const definitionOf = (program: readonly Instruction[]) => marshal(statesOf(program), { platform });
const digestsOf = ({ def }: Definition) => def.map((bytes) => sha256(bytes));

/** Digest of the vertex that a definition results in; undefined for scratch. */
const resultOf = (definition: Definition) => loadGraph(definition).result?.vertex.digest;

describe('any graph', () => {
  test('has the same bytes whenever it is made', () => {
    fc.assert(
      fc.property(instructions, (program) => {
        expect(digestsOf(definitionOf(program))).toEqual(digestsOf(definitionOf(program)));
      }),
    );
  });

  test('survives its binary form, its JSON, and being built upon', () => {
    fc.assert(
      fc.property(instructions, (program) => {
        const definition = definitionOf(program);
        const digests = digestsOf(definition);
        const again = decodeDefinition(encodeDefinition(definition));
        expect(digestsOf(again)).toEqual(digests);
        expect(again.metadata).toEqual(definition.metadata);
        expect(Buffer.from(encodeDefinition(again))).toEqual(Buffer.from(encodeDefinition(definition)));
        if (digests.length > 0)
          expect(digestsOf(readDefinition(formatDefinition(definition, 'json'))).toSorted()).toEqual(
            digests.toSorted(),
          );
        // What stands on a definition has its vertices, whatever their order.
        const state = stateOf(definition);
        expect(digestsOf(marshal(state, { platform })).toSorted()).toEqual(digests.toSorted());
        expect(resultOf(marshal(state, { platform }))).toBe(resultOf(definition));
      }),
    );
  });

  test('has ops that survive their binary form and protojson', () => {
    fc.assert(
      fc.property(instructions, (program) => {
        for (const [, op] of definitionOf(program).ops) {
          expect(decodeOp(encodeOp(op))).toEqual(decodeOp(encodeOp(opFromJson(opToJson(op)))));
          expect(sha256(encodeOp(opFromJson(opToJson(op))))).toBe(sha256(encodeOp(op)));
          expect(opToJson(decodeOp(encodeOp(op)))).toEqual(opToJson(op));
        }
      }),
    );
  });

  test('lists each vertex once, inputs before what reads them, under the digest of its bytes', () => {
    fc.assert(
      fc.property(instructions, (program) => {
        const definition = definitionOf(program);
        const { vertices, result } = loadGraph(definition);
        expect(vertices.length).toBe(Math.max(definition.def.length - 1, 0));
        const seen = new Set<string>();
        for (const { digest, inputs } of vertices) {
          for (const { vertex } of inputs) expect(seen.has(vertex.digest)).toBe(true);
          expect(seen.has(digest)).toBe(false);
          seen.add(digest);
        }
        expect([...seen].toSorted()).toEqual(digestsOf(definition).slice(0, -1).toSorted());
        if (result) expect(seen.has(result.vertex.digest)).toBe(true);
      }),
    );
  });

  test('may list its ops in any order', () => {
    fc.assert(
      fc.property(instructions, fc.infiniteStream(fc.nat(1000)), (program, order) => {
        const definition = definitionOf(program);
        const ops = definition.def.slice(0, -1).map((bytes) => ({ bytes, at: order.next().value ?? 0 }));
        const shuffled = ops.toSorted((a, b) => a.at - b.at).map(({ bytes }) => bytes);
        const { source, metadata } = definition;
        const other: Definition = {
          def: [...shuffled, ...definition.def.slice(-1)],
          metadata,
          ...(source === undefined ? {} : { source }),
        };
        const graph = loadGraph(other);
        expect(graph.result?.vertex.digest).toBe(resultOf(definition));
        const digests = (one: typeof graph) => one.vertices.map(({ digest }) => digest).toSorted();
        expect(digests(graph)).toEqual(digests(loadGraph(definition)));
      }),
    );
  });

  test('shares with another one the vertices that both have', () => {
    fc.assert(
      fc.property(instructions, instructions, (first, second) => {
        const [one, two] = loadGraphs([definitionOf(first), definitionOf([...first, ...second])]);
        const known = new Map(one?.vertices.map((vertex) => [vertex.digest, vertex]));
        for (const vertex of two?.vertices ?? []) expect(known.get(vertex.digest) ?? vertex).toBe(vertex);
      }),
    );
  });
});

describe('an identity', () => {
  const run = fc.record({
    kind: fc.constant('run' as const),
    on: fc.constant(0),
    args: fc.array(fc.stringMatching(/^[a-z]{1,5}$/), { minLength: 1, maxLength: 3 }),
    env: fc.constant([]),
    mounts: fc.constant([]),
    network: fc.constant('sandbox' as const),
    user: fc.constant(''),
    isFresh: fc.constant(false),
  });
  const base: Instruction = { kind: 'image', name: 'base' };

  test('is that of what is executed, and on what', () => {
    fc.assert(
      fc.property(run, run, (a, b) => {
        const same = JSON.stringify(a.args) === JSON.stringify(b.args);
        expect(resultOf(definitionOf([base, a])) === resultOf(definitionOf([base, b]))).toBe(same);
        const elsewhere: Instruction = { kind: 'image', name: 'other' };
        expect(resultOf(definitionOf([elsewhere, a]))).not.toBe(resultOf(definitionOf([base, a])));
      }),
    );
  });

  test.each<[string, Partial<Extract<Instruction, { kind: 'run' }>>]>([
    ['a variable', { env: [['A', 'b']] }],
    ['the user', { user: 'alice' }],
    ['the network', { network: 'none' }],
    ['a mount', { mounts: [{ dest: '/m', from: 0 }] }],
  ])('is another one with another value of %s', (_what, change) => {
    const [plain] = fc.sample(run, { numRuns: 1, seed: 1 });
    if (!plain) throw new Error('No step');
    expect(resultOf(definitionOf([base, { ...plain, ...change }]))).not.toBe(resultOf(definitionOf([base, plain])));
  });

  test('is the same whether or not the cache may be used', () => {
    fc.assert(
      fc.property(run, (step) => {
        const fresh = definitionOf([base, { ...step, isFresh: true }]);
        expect(resultOf(fresh)).toBe(resultOf(definitionOf([base, step])));
        expect(loadGraph(fresh).result?.vertex.ignoreCache).toBe(true);
      }),
    );
  });
});
