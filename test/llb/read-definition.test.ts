import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeDefinition,
  type Definition,
  encodeDefinition,
  encodeOp,
  formatDefinition,
  loadGraph,
  local,
  marshal,
  merge,
  opFromJson,
  readDefinition,
  scratch,
} from '../../src/llb/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { refusal } from './support.ts';

/** A step, a copy with an owner by name and one by id 0, a removal and a merge. */
function sample(): Definition {
  const source = {
    digest: sha256(encodeOp(opFromJson({ source: { identifier: 'docker-image://docker.io/library/base:1' } }))),
  };
  const ops: unknown[] = [
    { source: { identifier: 'docker-image://docker.io/library/base:1' } },
    {
      inputs: [source],
      exec: {
        meta: {
          args: ['sh', '-c', 'id'],
          env: ['A=1'],
          cwd: '/',
          user: 'daemon',
          extraHosts: [{ Host: 'h', IP: '1.2.3.4' }],
        },
        mounts: [
          { dest: '/', input: 0, output: 0 },
          { dest: '/c', input: -1, output: -1, mountType: 'CACHE', cacheOpt: { ID: 'c', sharing: 'LOCKED' } },
          { dest: '/s', input: -1, output: -1, mountType: 'SECRET', secretOpt: { ID: 's', mode: 256, optional: true } },
        ],
        network: 'NONE',
        secretenv: [{ ID: 'x', name: 'X' }],
      },
      platform: { Architecture: 'amd64', OS: 'linux' },
    },
  ];
  const def = ops.map((op) => encodeOp(opFromJson(op)));
  const step = { digest: sha256(def[1] ?? new Uint8Array()) };
  const file = {
    inputs: [step],
    file: {
      actions: [
        {
          input: 0,
          secondaryInput: -1,
          output: -1,
          mkfile: {
            path: '/f',
            mode: 420,
            data: Buffer.from('text').toString('base64'),
            timestamp: '-1',
            owner: { user: { byName: { name: 'daemon' } }, group: { byID: 0 } },
          },
        },
        { input: 1, secondaryInput: -1, output: 0, rm: { path: '/f', allowNotFound: true } },
      ],
    },
  };
  def.push(encodeOp(opFromJson(file)));
  def.push(encodeOp(opFromJson({ inputs: [{ digest: sha256(def[2] ?? new Uint8Array()) }] })));
  return {
    def,
    metadata: new Map([
      [step.digest, { ignoreCache: true, description: new Map([['llb.customname', 'a step']]), caps: new Map() }],
    ]),
  };
}

const ENUMS: Readonly<Record<string, readonly string[]>> = {
  network: ['UNSET', 'HOST', 'NONE'],
  security: ['SANDBOX', 'INSECURE'],
  mountType: ['BIND', 'SECRET', 'SSH', 'CACHE', 'TMPFS'],
  sharing: ['SHARED', 'PRIVATE', 'LOCKED'],
};
const BODIES = ['exec', 'source', 'file', 'build', 'merge', 'diff'];
const ACTIONS = ['copy', 'mkfile', 'mkdir', 'rm'];

/** An op as Go's encoding/json writes BuildKit's structs (solver/pb/json.go): oneofs in objects of their own, enums and int64 as numbers. */
function toGo(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((item) => toGo(item));
  if (typeof value === 'string' && ENUMS[key]) return ENUMS[key].indexOf(value);
  if (typeof value === 'string' && ['input', 'secondaryInput', 'output', 'index', 'timestamp', 'size'].includes(key))
    return Number(value);
  if (typeof value !== 'object' || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    if (key === 'op' && BODIES.includes(name)) out['Op'] = { [name]: toGo(item, name) };
    else if (ACTIONS.includes(name)) out['Action'] = { [name]: toGo(item, name) };
    else if (name === 'byName') out['User'] = { byName: toGo(item) };
    else if (name === 'byID') out['User'] = item === 0 ? {} : { byId: item };
    else out[name] = toGo(item, name);
  }
  if (key === 'op' && !('Op' in out)) out['Op'] = {};
  return out;
}

/** What `buildctl debug dump-llb` prints of a definition. */
function dumpLlb(definition: Definition): string {
  const { def } = JSON.parse(Buffer.from(formatDefinition(definition, 'json')).toString()) as {
    def: Record<string, unknown>;
  };
  const lines = Object.entries(def).map(([digest, op]) => {
    const entry = definition.metadata.get(digest as never);
    const metadata = entry
      ? {
          ...(entry.ignoreCache ? { ignore_cache: true } : {}),
          description: Object.fromEntries(entry.description),
          caps: { 'exec.meta.base': true },
        }
      : {};
    return JSON.stringify({ Op: toGo(op, 'op'), Digest: digest, OpMetadata: metadata });
  });
  return `${lines.join('\n')}\n`;
}

describe('a definition is read', () => {
  test('as the message that BuildKit passes on', () => {
    expect(readDefinition(encodeDefinition(sample()))).toEqual(decodeDefinition(encodeDefinition(sample())));
  });

  test('as "tsbuild llb --format=json" writes it, byte for byte', () => {
    const read = readDefinition(formatDefinition(sample(), 'json'));
    expect(read.def.map((bytes) => sha256(bytes))).toEqual(sample().def.map((bytes) => sha256(bytes)));
    expect(read.metadata).toEqual(sample().metadata);
  });

  test('as "buildctl debug dump-llb" lists it, with the same digests and names', () => {
    const graph = loadGraph(readDefinition(Buffer.from(dumpLlb(sample()))));
    const own = loadGraph(sample());
    expect(graph.vertices.map(({ digest }) => digest)).toEqual(own.vertices.map(({ digest }) => digest));
    expect(graph.vertices.map(({ name, ignoreCache }) => [name, ignoreCache])).toEqual(
      own.vertices.map(({ name, ignoreCache }) => [name, ignoreCache]),
    );
    expect(graph.vertices[1]).toMatchObject({ name: 'a step', ignoreCache: true });
  });

  test('whatever was marshalled here, in all forms alike', () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/);
    const definitions = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => {
      const copies = names.map((one) =>
        scratch().file([
          {
            kind: 'copy',
            from: { output: local(one).output, dir: '/' },
            src: `/${one}`,
            dest: '/',
            options: { mode: 0o600 },
          },
          { kind: 'mkdir', path: `/${one}/d`, mode: 0o755, makeParents: true, options: {} },
        ]),
      );
      const [first = scratch()] = copies;
      return marshal(copies.length > 1 ? merge(copies) : first, { platform: { os: 'linux', architecture: 'amd64' } });
    });
    fc.assert(
      fc.property(definitions, (definition) => {
        const digests = definition.def.map((bytes) => sha256(bytes));
        for (const form of [
          encodeDefinition(definition),
          formatDefinition(definition, 'json'),
          Buffer.from(dumpLlb(definition)),
        ])
          expect(readDefinition(form).def.map((bytes) => sha256(bytes))).toEqual(digests);
      }),
      { numRuns: 30 },
    );
  });
});

describe('what is no definition is refused', () => {
  const dump = dumpLlb(sample());
  test.each<[string, string, RegExp]>([
    ['an op that was changed', dump.replace('"sh"', '"bash"'), /op 2 is not the one with digest sha256:/],
    ['an op with a field that is not known', dump.replace('"args"', '"argv"'), /argv.* is not known/],
    ['JSON of another kind', '{"name":"x"}', /neither a definition nor/],
    ['a list in place of ops', '{"def":[]}', /are not objects/],
    ['a digest of another kind', '{"Op":{"Op":{}},"Digest":"md5:1"}', /no sha256 digest/],
    ['a line that is cut', dump.slice(0, -20), /line 4 is not JSON/],
  ])('%s', (_what, text, message) => {
    expect(refusal(() => readDefinition(Buffer.from(text)))).toMatch(message);
  });

  test('any text: with a reason, never with another error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        refusal(() => readDefinition(Buffer.from(`{${text}`)));
        refusal(() => readDefinition(Buffer.from(text)));
      }),
    );
  });
});
