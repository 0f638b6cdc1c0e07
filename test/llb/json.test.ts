import { describe, expect, test } from 'vitest';
import { type Definition, encodeOp, loadGraph, opFromJson, opToJson, readDefinition } from '../../src/llb/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { refusal } from './support.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('protojson', () => {
  test.each<[string, object, object]>([
    ['null as if the field were not there', { exec: { network: null, mounts: null }, platform: null }, { exec: {} }],
    ['an enum by its number', { exec: { network: 2 } }, { exec: { network: 'NONE' } }],
    ['64-bit numbers as text or as numbers', { inputs: [{ digest: DIGEST, index: '3' }, { index: 3 }] }, { inputs: [{ digest: DIGEST, index: '3' }, { index: '3' }] }],
    ['bytes in base64 for URLs', { file: { actions: [{ mkfile: { data: '-_8' } }] } }, { file: { actions: [{ mkfile: { data: '+/8=' } }] } }],
    ['defaults as nothing', { exec: { network: 'UNSET', meta: { args: [], cwd: '' } } }, { exec: { meta: {} } }],
    ['maps in the order of their keys', { source: { attrs: { b: '', a: 'x' } } }, { source: { attrs: { a: 'x', b: '' } } }],
    ['the least time in nanoseconds', { file: { actions: [{ mkdir: { timestamp: '-9223372036854775808' } }] } }, { file: { actions: [{ mkdir: { timestamp: '-9223372036854775808' } }] } }],
  ])('has %s', (_what, json, written) => {
    expect(opToJson(opFromJson(json))).toEqual(written);
  }); // oxfmt-ignore

  test('keys of maps that objects of JavaScript have of their own are keys like any other', () => {
    const json: unknown = JSON.parse('{"source":{"attrs":{"__proto__":"a","constructor":"b"}}}');
    const op = opFromJson(json);
    expect(op.body).toMatchObject({ attrs: new Map([['__proto__', 'a'], ['constructor', 'b']]) }); // oxfmt-ignore
    expect(JSON.stringify(opToJson(op))).toBe(JSON.stringify(json));
  });

  test.each<[string, unknown, string]>([
    ['nothing', null, 'Op is not an object'],
    ['a list', [], 'Op is not an object'],
    ['a field of objects of JavaScript', JSON.parse('{"__proto__":{}}'), 'Op.__proto__ is not known'],
    ['a list in place of a message', { exec: [] }, 'Op.exec is not an object'],
    ['a message in place of a list', { inputs: {} }, 'Op.inputs is not a list'],
    ['a list in place of a map', { source: { attrs: [] } }, 'Op.source.attrs is not an object'],
    ['text in place of a map', { source: { attrs: 'a' } }, 'Op.source.attrs is not an object'],
    ['a number in a map of texts', { source: { attrs: { a: 1 } } }, 'Op.source.attrs.a is not a string'],
    ['nothing in a list', { exec: { meta: { args: ['a', null] } } }, 'Op.exec.meta.args[1] is not a string'],
    ['a number as bytes', { file: { actions: [{ mkfile: { data: 1 } }] } }, 'actions[0].mkfile.data is not base64 text'],
    ['text as a truth', { exec: { mounts: [{ readonly: 'true' }] } }, 'mounts[0].readonly is not true or false'],
    ['two bodies', { exec: {}, source: {} }, 'Op has both "exec" and "source"'],
    ['two kinds of an action', { file: { actions: [{ rm: {}, mkdir: {} }] } }, 'actions[0] has both "rm" and "mkdir"'],
    ['a negative id', { exec: { mounts: [{ secretOpt: { uid: -1 } }] } }, 'secretOpt.uid is out of range'],
    ['an id beyond 32 bits', { exec: { mounts: [{ secretOpt: { uid: 2 ** 32 } }] } }, 'is 4294967296, which is out of range'],
    ['a time beyond 64 bits', { file: { actions: [{ mkdir: { timestamp: '9223372036854775808' } }] } }, 'timestamp is out of range'],
    ['an index that no number holds exactly', { inputs: [{ index: '9007199254740993' }] }, 'Op.inputs[0].index is 9007199254740993'],
    ['half a value of an enum', { exec: { network: 0.5 } }, 'network has the unknown value 0.5'],
    ['a list with the name of a value', { exec: { network: ['HOST'] } }, 'network has the unknown value […]'],
    ['an object that cannot be text', { exec: { network: { toString: 1, valueOf: 1 } } }, 'network has the unknown value {…}'],
  ])('refuses %s', (_what, json, message) => {
    expect(refusal(() => opFromJson(json))).toContain(message);
  }); // oxfmt-ignore

  test('says what is wrong without all of it', () => {
    const long = 'x'.repeat(100_000);
    for (const json of [{ [long]: 1 }, { exec: { network: long } }, { source: { attrs: { [long]: 1 } } }])
      expect(refusal(() => opFromJson(json)).length).toBeLessThan(400);
  });
});

/** JSON that is nested as deep as a call stack is not. */
const nested = (open: string, close: string, core = ''): string =>
  `${open.repeat(50_000)}${core}${close.repeat(50_000)}`;

describe('JSON that is nested too deeply is refused', () => {
  test.each<[string, string]>([
    ['lists in a line of "buildctl debug dump-llb"', `{"Digest":"${DIGEST}","Op":{"a":${nested('[', ']')}}}`],
    ['objects there', `{"Digest":"${DIGEST}","Op":${nested('{"Op":', '}', '{}')}}`],
    ['a value', `{"def":{"${DIGEST}":{"exec":{"network":${nested('[', ']')}}}}}`],
    ['a field that is not known', `{"def":{"${DIGEST}":{"x":${nested('[', ']')}}}}`],
    ['a definition in a definition', `{"def":{},"source":${nested('{"infos":[{"definition":{"Source":', '}}]}', '{}')}}`],
    ['a definition in an op', `{"def":{"${DIGEST}":${nested(`{"build":{"def":{"Source":{"infos":[{"definition":{"metadata":{"${DIGEST}":`, '}}}]}}}}', '{}')}}}`],
  ])('%s', (_what, text) => {
    expect(refusal(() => readDefinition(Buffer.from(text)))).toMatch(/^Cannot read (LLB|the definition): /);
  }); // oxfmt-ignore

  test('and what is not is read', () => {
    const inner = '{"infos":[{"definition":{"Source":{"infos":[{"filename":"f"}]}}}]}';
    const { source } = readDefinition(Buffer.from(`{"def":{},"source":${inner}}`));
    expect(source?.infos[0]?.definition?.source?.infos[0]).toMatchObject({ filename: 'f' });
  });
});

describe('an op with more inputs than a function takes arguments', () => {
  const source = encodeOp(opFromJson({ source: { identifier: 'docker-image://docker.io/library/alpine:latest' } }));
  const COUNT = 200_000;
  const merge = encodeOp(
    opFromJson({
      inputs: Array.from({ length: COUNT }, () => ({ digest: sha256(source) })),
      merge: { inputs: Array.from({ length: COUNT }, (_, input) => ({ input })) },
    }),
  );
  const last = encodeOp(opFromJson({ inputs: [{ digest: sha256(merge) }] }));

  test('is loaded, in whatever order ops come and however long the names of its inputs are', () => {
    const description = new Map([['llb.customname', 'n'.repeat(5000)]]);
    const metadata: Definition['metadata'] = new Map([
      [sha256(source), { ignoreCache: false, description, caps: new Map() }],
    ]);
    const { vertices, result } = loadGraph({ def: [merge, source, last], metadata });
    expect(vertices.map(({ op }) => op.body?.kind)).toEqual(['source', 'merge']);
    expect(result?.vertex.inputs).toHaveLength(COUNT);
    // Together the names of its inputs are longer than any string can be.
    expect(result?.vertex.name).toBe(`merge (${'n'.repeat(992)}…`);
  });
});
