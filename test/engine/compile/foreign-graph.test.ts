import { describe, expect, test } from 'vitest';
import { checkSupported, sourceOf, usageOf } from '../../../src/engine/compile/foreign-graph.ts';
import {
  type BuildOp,
  type Graph,
  image,
  type LlbVertex,
  loadGraphs,
  marshal,
  type RunOptions,
  type State,
} from '../../../src/llb/index.ts';

const base = image('docker.io/library/base:1');
const graphs = (...states: readonly State[]): readonly Graph[] => loadGraphs(states.map((state) => marshal(state)));
const run = (more: Partial<RunOptions>, from: State = base): State => from.run({ args: ['x'], ...more });
const owned = { uid: 0, gid: 0, mode: 0o400, optional: false };

describe('graphs of other programs', () => {
  test('what their steps take from outside is known before the first one runs', () => {
    const first = run({
      meta: { network: 'host' },
      secrets: [{ ...owned, id: 'token', target: '/s', optional: true }],
      ssh: [{ ...owned, id: 'default', target: '/a' }],
      mounts: [{ dest: '/c', cache: { id: 'npm', sharing: 'shared' } }],
    });
    const secrets = [{ ...owned, id: 'token', env: 'TOKEN' }];
    const second = run({ meta: { security: 'insecure' }, secrets }, first);
    const usage = usageOf(graphs(second, base));
    expect([...usage.entitlements.keys()].toSorted()).toEqual(['network.host', 'security.insecure']);
    // Wanted by one step is wanted.
    expect([...usage.secrets.values()]).toEqual([expect.objectContaining({ id: 'token', required: true })]);
    expect([...usage.ssh.values()]).toEqual([expect.objectContaining({ id: 'default', required: true })]);
    expect([...usage.caches]).toEqual(['npm']);
  });

  test('a step that takes nothing takes nothing', () => {
    const usage = usageOf(graphs(run({})));
    for (const part of [usage.entitlements, usage.secrets, usage.ssh, usage.caches]) expect(part.size).toBe(0);
  });

  test('what a graph has built is a definition in an input of its own, and nothing else', () => {
    const check = (body: Partial<BuildOp>): void =>
      checkSupported({
        name: 'the odd one',
        ranges: [],
        op: { inputs: [], body: { kind: 'build', builder: -1, inputs: new Map(), attrs: new Map(), ...body } },
      } as unknown as LlbVertex);
    const fails = (why: string): unknown =>
      expect.objectContaining({ code: 'TSB_LLB', message: `Cannot solve "the odd one": ${why}` });
    const inputs = new Map([['buildkit.llb.definition', { input: 0 }]]);
    expect(() => check({ builder: 0, inputs })).toThrow(fails('only LLB builder is currently allowed'));
    expect(() => check({})).toThrow(fails('no llb definition input buildkit.llb.definition found'));
    check({ inputs });
  });

  test('all others are taken', () => {
    for (const { vertices } of graphs(run({}, run({})))) for (const vertex of vertices) checkSupported(vertex);
  });

  test('their text is that which came along, the first that is not empty', () => {
    const definition = marshal(base);
    expect(sourceOf(definition)).toEqual({ name: 'definition', text: '' });
    const info = (filename: string, text: string) => ({ filename, data: Buffer.from(text) });
    const source = { locations: new Map(), infos: [info('empty', ''), info('main.hlb', 'fs default() {}'), info('b', 'b')] };
    expect(sourceOf({ ...definition, source: source as never })).toEqual({ name: 'main.hlb', text: 'fs default() {}' });
  });
}); // oxfmt-ignore
