import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeDefinition,
  decodeOp,
  type Definition,
  encodeDefinition,
  encodeOp,
  image,
  loadGraph,
  loadGraphs,
  local,
  marshal,
  merge,
  opFromJson,
  scratch,
} from '../../src/llb/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { refusal } from './support.ts';

const ID = `sha256:${'a'.repeat(64)}`;

function definitionOf(...ops: readonly unknown[]): Definition {
  const def: Uint8Array[] = [];
  for (const json of ops) {
    const { inputs = [], ...rest } = json as { inputs?: [number, number][] };
    const refs = inputs.map(([at, index]) => ({ digest: sha256(def[at] ?? new Uint8Array()), index }));
    def.push(encodeOp(opFromJson({ ...rest, inputs: refs })));
  }
  return { def, metadata: new Map() };
}

const source = { source: { identifier: 'docker-image://docker.io/library/alpine:latest' } };
const exec = (mounts: readonly unknown[], meta: object = {}): object => ({
  inputs: [[0, 0]],
  exec: { meta: { args: ['true'], cwd: '/', ...meta }, mounts },
});
const copy = { src: '/a', dest: '/b', mode: -1, timestamp: -1 };
const file = (...actions: readonly object[]): object => ({ inputs: [[0, 0]], file: { actions } });
const result = { inputs: [[1, 0]] };

describe('loadGraph refuses', () => {
  const cases: readonly (readonly [string, readonly unknown[], RegExp])[] = [
    ['a result output that is not there', [source, { inputs: [[0, 1]] }], /names output 1/],
    ['a negative output index', [source, { inputs: [[0, -1]] }], /names output -1/],
    ['a last op with a body', [source, source], /does not name the result/],
    ['a last op without input', [source, {}], /does not name the result/],
    [
      'a mount input beyond the inputs',
      [source, exec([{ dest: '/', input: 1 }]), result],
      /input of mount "\/" 1, of 1/,
    ],
    ['a mount input below -1', [source, exec([{ dest: '/', input: -2 }]), result], /-2/],
    ['a mount input of 2^31', [source, exec([{ dest: '/', input: 2 ** 31 }]), result], /2147483648/],
    ['a step without root', [source, exec([{ dest: '/x' }]), result], /root mount/],
    ['a step with two roots', [source, exec([{ dest: '/' }, { dest: '/' }]), result], /root mount/],
    [
      'a step without meta',
      [source, { inputs: [[0, 0]], exec: { mounts: [{ dest: '/' }] } }, result],
      /without saying/,
    ],
    ['a step without arguments', [source, exec([{ dest: '/' }], { args: [] }), result], /without arguments/],
    ['a relative working directory', [source, exec([{ dest: '/' }], { cwd: 'x' }), result], /working directory/],
    ['NUL in an argument', [source, exec([{ dest: '/' }], { args: ['a\0b'] }), result], /NUL/],
    ['an output made twice', [source, exec([{ dest: '/' }, { dest: '/x' }]), result], /output 0 twice/],
    ['a gap in the outputs', [source, exec([{ dest: '/', output: 1 }]), result], /output/],
    [
      'a cache mount without id',
      [source, exec([{ dest: '/' }, { dest: '/c', mountType: 'CACHE', output: -1 }]), result],
      /id/,
    ],
    ['a file op without actions', [source, file(), result], /no file actions/],
    ['an empty action', [source, file({ output: 0 }), result], /empty file action/],
    ['an action that reads itself', [source, file({ input: 1, copy }), result], /action input 1/],
    ['an action input below -1', [source, file({ secondaryInput: -3, copy }), result], /-3/],
    [
      'an owner looked up beyond the inputs',
      [source, file({ mkdir: { path: '/x', owner: { user: { byName: { name: 'u', input: 7 } } } } }), result],
      /owner names 7/,
    ],
    ['a merge of one', [source, { inputs: [[0, 0]], merge: { inputs: [{ input: '0' }] } }, result], /fewer than two/],
    [
      'a merge input out of range',
      [source, { inputs: [[0, 0]], merge: { inputs: [{}, { input: 5 }] } }, result],
      /merge input 5/,
    ],
    ['a diff without upper', [source, { inputs: [[0, 0]], diff: { lower: {} } }, result], /without lower or upper/],
    ['a source with inputs', [source, { inputs: [[0, 0]], ...source }, result], /has inputs/],
    ['an op without a body that is not the last', [source, { inputs: [[0, 0]] }, result], /has no body/],
    [
      'a merge of scratch',
      [source, { inputs: [[0, 0]], merge: { inputs: [{}, { input: -1 }] } }, result],
      /merges scratch/,
    ],
    [
      'a diff whose lower is out of range',
      [source, { inputs: [[0, 0]], diff: { lower: { input: 1 }, upper: {} } }, result],
      /lower input 1, of 1/,
    ],
    [
      'a diff whose upper is out of range',
      [source, { inputs: [[0, 0]], diff: { lower: { input: -1 }, upper: { input: 9 } } }, result],
      /upper input 9, of 1/,
    ],
    ['a variable without a value', [source, exec([{ dest: '/' }], { env: ['A'] }), result], /entry without "="/],
    ['NUL in a variable', [source, exec([{ dest: '/' }], { env: ['A=\0'] }), result], /NUL/],
    ['NUL in a user', [source, exec([{ dest: '/' }], { user: 'a\0' }), result], /NUL/],
    ['an exit code of 256', [source, exec([{ dest: '/' }], { validExitCodes: [0, 256] }), result], /outside 0 to 255/],
    ['a negative exit code', [source, exec([{ dest: '/' }], { validExitCodes: [-1] }), result], /outside 0 to 255/],
    ['a mount without destination', [source, exec([{ dest: '/' }, { output: -1 }]), result], /without destination/],
    ['NUL in a selector', [source, exec([{ dest: '/', selector: 'a\0' }]), result], /NUL/],
    ['an output below -1', [source, exec([{ dest: '/', output: -2 }]), result], /output -2 at mount "\/"/],
    ['a root in memory', [source, exec([{ dest: '/', mountType: 'TMPFS' }]), result], /root of type tmpfs/],
    [
      'a secret without id',
      [source, exec([{ dest: '/' }, { dest: '/s', mountType: 'SECRET', output: -1, secretOpt: {} }]), result],
      /secret mount without id/,
    ],
    [
      'an agent without options',
      [source, exec([{ dest: '/' }, { dest: '/s', mountType: 'SSH', output: -1 }]), result],
      /ssh mount without id/,
    ],
    [
      'a tmpfs of less than nothing',
      [source, exec([{ dest: '/' }, { dest: '/t', mountType: 'TMPFS', output: -1, TmpfsOpt: { size: '-1' } }]), result],
      /negative size/,
    ],
    [
      'a secret whose variable has a "="',
      [
        source,
        {
          ...exec([{ dest: '/' }]),
          exec: { meta: { args: ['x'], cwd: '/' }, mounts: [{ dest: '/' }], secretenv: [{ ID: 'a', name: 'A=B' }] },
        },
        result,
      ],
      /secret without id or variable/,
    ],
    ['a copy to nowhere', [source, file({ copy: { ...copy, dest: '' } }), result], /copy action with an empty path/],
    ['a copy of nothing', [source, file({ copy: { ...copy, src: '' } }), result], /copy action with an empty path/],
    ['NUL in a path', [source, file({ mkdir: { path: '/a\0b', mode: 0o755 } }), result], /NUL/],
    ['a mode beyond 7777', [source, file({ mkdir: { path: '/a', mode: 0o10000 } }), result], /the mode 4096/],
    ['a mode below -1', [source, file({ copy: { ...copy, mode: -2 } }), result], /the mode -2/],
    ['a link whose target has a NUL', [source, file({ symlink: { oldpath: 'a\0', newpath: '/l' } }), result], /NUL/],
    ['an action output below -1', [source, file({ output: -2, copy }), result], /action output -2/],
    ['a file op without output', [source, file({ output: -1, copy }), result], /has no output/],
    ['a file output made twice', [source, file({ copy }, { copy }), result], /output 0 twice/],
    ['a gap in the file outputs', [source, file({ output: 1, copy }), result], /does not make output 0/],
    [
      'an owner without name or id',
      [source, file({ mkdir: { path: '/x', owner: { user: {} } } }), result],
      /owner without name or id/,
    ],
    ['NUL in an attribute', [{ source: { ...source.source, attrs: { a: 'b\0' } } }, { inputs: [[0, 0]] }], /NUL/],
    ['NUL in an identifier', [{ source: { identifier: 'http://x/\0' } }, { inputs: [[0, 0]] }], /NUL/],
    ['a source without scheme', [{ source: { identifier: '/etc' } }, { inputs: [[0, 0]] }], /identifier/],
  ];
  test.each(cases)('%s', (_, ops, message) => {
    expect(refusal(() => loadGraph(definitionOf(...ops)))).toMatch(message);
  });

  test('inputs that are not in the definition', () => {
    const last = encodeOp(opFromJson({ inputs: [{ digest: ID }] }));
    expect(refusal(() => loadGraph({ def: [encodeOp(opFromJson(source)), last], metadata: new Map() }))).toMatch(
      /not in/,
    );
    const op = encodeOp(opFromJson({ inputs: [{ digest: ID }], file: { actions: [{ copy }] } }));
    const end = encodeOp(opFromJson({ inputs: [{ digest: sha256(op) }] }));
    expect(refusal(() => loadGraph({ def: [op, end], metadata: new Map() }))).toMatch(/not in the definition/);
  });

  test('more ops than anyone needs, before looking at them', () => {
    const one = encodeOp(opFromJson(source));
    const def = Array.from({ length: 1_000_000 }, () => one);
    expect(refusal(() => loadGraph({ def, metadata: new Map() }))).toMatch(/1000000 ops/);
  });

  test('source locations in a file that is not there', () => {
    const definition = definitionOf(source, { inputs: [[0, 0]] });
    const digest = sha256(definition.def[0] ?? new Uint8Array());
    const locations = new Map([[digest, { locations: [{ sourceIndex: 3, ranges: [] }] }]]);
    expect(refusal(() => loadGraph({ ...definition, source: { locations, infos: [] } }))).toMatch(/source file 3/);
  });
});

describe('loadGraph accepts', () => {
  test('scratch', () => {
    expect(loadGraph({ def: [], metadata: new Map() })).toEqual({ vertices: [], result: undefined });
  });

  test('ops in any order', () => {
    const { def, metadata } = definitionOf(source, file({ mkdir: { path: '/a' } }), result);
    const swapped = { def: [def[1], def[0], def[2]].filter((op) => op !== undefined), metadata };
    expect(loadGraph(swapped).result?.vertex.op.body?.kind).toBe('file');
  });

  test('a chain of fifty thousand steps', () => {
    let state = scratch();
    for (let index = 0; index < 50_000; index++) {
      state = state.file([{ kind: 'rm', path: `/${index}`, allowNotFound: true, allowWildcard: false }]);
    }
    expect(loadGraph(marshal(state)).vertices).toHaveLength(50_000);
  });

  test('graphs that share vertices, and the wish of either not to use the cache', () => {
    const base = image('docker.io/library/alpine:latest', { platform: { os: 'linux', architecture: 'amd64' } });
    const make = (ignoreCache: boolean, path: string) =>
      marshal(
        base
          .file([{ kind: 'mkdir', path: '/a', mode: 0o755, makeParents: false, options: {} }], { ignoreCache })
          .file([{ kind: 'mkdir', path, mode: 0o755, makeParents: false, options: {} }]),
      );
    const [one, two] = loadGraphs([make(false, '/b'), make(true, '/c')]);
    expect(one?.result?.vertex.inputs[0]?.vertex).toBe(two?.result?.vertex.inputs[0]?.vertex);
    expect(one?.result?.vertex.inputs[0]?.vertex.ignoreCache).toBe(true);
  });
});

describe('decoding', () => {
  test.each([
    ['an unknown field', Uint8Array.of(0x7a, 0), /unknown field 15/],
    ['two bodies', Uint8Array.of(0x1a, 0, 0x22, 0), /both source and file/],
    ['a field given twice', Uint8Array.of(0x52, 0, 0x52, 0), /given twice/],
    ['a cut length', Uint8Array.of(0x1a, 9), /has only 0 bytes left/],
    ['a cut varint', Uint8Array.of(0x80), /cut off/],
    ['a varint without end', new Uint8Array(12).fill(0xff), /64 bits/],
    ['field number 0', Uint8Array.of(0x02, 0), /field number 0/],
    ['a group', Uint8Array.of(0x53), /wire type 3/],
    ['a string that is not UTF-8', Uint8Array.of(0x1a, 3, 0x0a, 1, 0xff), /UTF-8/],
    ['an unknown enum value', Uint8Array.of(0x12, 2, 0x18, 9), /network has the unknown value 9/],
    ['an input that is not a digest', Uint8Array.of(0x0a, 3, 0x0a, 1, 0x61), /not a sha256 digest/],
    [
      'an index beyond exact numbers',
      Uint8Array.of(0x0a, 10, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
      /out of range/,
    ],
  ])('refuses %s', (_, op, message) => {
    expect(refusal(() => decodeOp(op))).toMatch(message);
  });

  // GHSA-7236-3392-c5c6: a mode that is not known must not be taken for the absence of a sandbox.
  test('refuses security modes that are not known, and takes none for the sandbox (PRC-20)', () => {
    const byMode = (value: number) => Uint8Array.of(0x12, 2, 0x20, value);
    for (const value of [2, 7, 0x7f])
      expect(refusal(() => decodeOp(byMode(value)))).toContain(`security has the unknown value ${value}`);
    for (const security of ['SANDBOX ', 'sandbox', 7, -1, ''])
      expect(refusal(() => opFromJson({ exec: { security } }))).toContain('security has the unknown value');
    for (const op of [decodeOp(byMode(0)), decodeOp(Uint8Array.of(0x12, 0)), opFromJson({ exec: { security: null } })])
      expect(op).toMatchObject({ body: { security: 'sandbox' } });
    expect(decodeOp(byMode(1))).toMatchObject({ body: { security: 'insecure' } });
  });

  test('refuses JSON numbers that are no integers', () => {
    for (const index of [1.5, Number.NaN, '1e3', '9'.repeat(30), {}, true]) {
      expect(refusal(() => opFromJson({ inputs: [{ digest: ID, index }] }))).toMatch(/whole number|out of range/);
    }
  });

  test('never throws anything but a typed error on damaged bytes', () => {
    const definition = encodeDefinition(definitionOf(source, exec([{ dest: '/' }]), result));
    const mutation = fc.array(fc.tuple(fc.nat(definition.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(mutation, (changes) => {
        const damaged = Uint8Array.from(definition);
        for (const [at, byte] of changes) damaged[at] = byte;
        refusal(() => loadGraph(decodeDefinition(damaged)));
      }),
      { numRuns: 500 },
    );
  });
});

test('a definition survives its binary form', () => {
  const info = { filename: 'Dockerfile', data: Buffer.from('FROM x'), language: 'Dockerfile' };
  const base = image('docker.io/library/alpine:latest', { name: 'base' });
  const state = merge([
    base.run({
      args: ['/bin/sh', '-c', 'x'],
      ignoreCache: true,
      location: { info, ranges: [{ start: { line: 3, character: 0 }, end: { line: 4, character: 0 } }] },
    }),
    scratch().file([
      { kind: 'copy', from: { output: local('context').output, dir: '/' }, src: 'a/', dest: 'b/', options: {} },
    ]),
  ]);
  const definition = marshal(state);
  const again = decodeDefinition(encodeDefinition(definition));
  expect(again.def.map((op) => sha256(op))).toEqual(definition.def.map((op) => sha256(op)));
  const { result: end } = loadGraph(again);
  const step = end?.vertex.inputs[0]?.vertex;
  expect(step).toMatchObject({ ignoreCache: true, ranges: [{ file: 'Dockerfile', startLine: 3, endLine: 4 }] });
  expect(end?.vertex.name).toBe('merge (/bin/sh -c x, copy /a /b/)');
});
