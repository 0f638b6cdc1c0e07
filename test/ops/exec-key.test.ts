import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { execKey } from '../../src/ops/exec/exec-key.ts';
import { contentKey, nodeKey } from '../../src/solver/keys.ts';
import type { ExecMeta, ExecOp, Mount, Op } from '../../src/llb/index.ts';
import { sha256 } from '../../src/util/index.ts';

const META: ExecMeta = {
  args: ['/bin/sh', '-c', 'x'],
  env: ['PATH=/bin', 'A=b'],
  cwd: '/',
  user: '',
  extraHosts: [],
  hostname: '',
  ulimits: [],
  cgroupParent: '',
  removeMountStubsRecursive: true,
  validExitCodes: [],
};
const ROOT: Mount = {
  type: 'bind',
  input: 0,
  selector: '',
  dest: '/',
  output: 0,
  readonly: false,
  resultId: '',
  contentCache: 'default',
};
const EXEC: ExecOp = {
  kind: 'exec',
  meta: META,
  mounts: [ROOT],
  network: 'sandbox',
  security: 'sandbox',
  secretEnv: [],
  cdiDevices: [],
};

interface Step {
  readonly exec: ExecOp;
  readonly platform: Op['platform'];
  readonly devices: readonly string[];
}
const step = (parts: Partial<Step> = {}): Step => ({
  exec: EXEC,
  platform: {
    os: 'linux',
    architecture: 'amd64',
    variant: '',
    osVersion: '',
    osFeatures: [],
  },
  devices: [],
  ...parts,
});
const meta = (change: Partial<ExecMeta>): Step => step({ exec: { ...EXEC, meta: { ...META, ...change } } });
const exec = (change: Partial<ExecOp>): Step => step({ exec: { ...EXEC, ...change } });
const mounts = (...more: Partial<Mount>[]): Step =>
  exec({ mounts: [ROOT, ...more.map((one): Mount => ({ ...ROOT, input: -1, output: -1, dest: '/m', ...one }))] });
const platform = (change: object): Step => step({ platform: { ...step().platform, ...change } as never });
const key = ({ exec: body, platform: where, devices }: Step): string =>
  execKey({ inputs: [], ...(where === undefined ? {} : { platform: where }), body }, body, devices);

const secret = { id: 's', uid: 0, gid: 0, mode: 0o400, optional: false };

/** What differs in anything that a step can tell is another step. */
const DIFFERENT: Readonly<Record<string, readonly Step[]>> = {
  architecture: [step(), platform({ architecture: 'arm64' }), platform({ architecture: 'arm' })],
  variant: [platform({ variant: 'v7' }), platform({ variant: 'v8' }), platform({ os: 'windows' }), platform({ osVersion: '10.0' })],
  'words of arguments': [['a', 'bc'], ['ab', 'c'], ['abc'], ['a', 'b', 'c'], ['a bc'], ['a\0bc'], ['', 'abc'], ['abc', ''], []].map((args) => meta({ args })),
  variables: [['A=b', 'C=d'], ['A=b\nC=d'], ['A=b\0C=d'], ['C=d', 'A=b'], ['A=bC', '=d'], ['A=', 'b=C=d'], []].map((env) => meta({ env })),
  'working directory and user': [meta({ cwd: '/a' }), meta({ cwd: '/a/' }), meta({ user: 'a' }), meta({ user: '0' }), meta({ user: ':0' }), meta({ hostname: '/a' }), meta({ hostname: 'a' })],
  'hosts and limits': [
    meta({ extraHosts: [{ host: 'a', ip: '1.1.1.1' }] }), meta({ extraHosts: [{ host: 'b', ip: '1.1.1.1' }] }), meta({ extraHosts: [{ host: 'a', ip: '1.1.1.2' }] }),
    meta({ extraHosts: [{ host: 'a', ip: '1.1.1.1' }, { host: 'b', ip: '1.1.1.1' }] }), meta({ ulimits: [{ name: 'nofile', soft: 1, hard: 2 }] }),
    meta({ ulimits: [{ name: 'nofile', soft: 2, hard: 2 }] }), meta({ ulimits: [{ name: 'nproc', soft: 1, hard: 2 }] }), meta({ validExitCodes: [1] }), meta({ validExitCodes: [0, 1] }),
  ],
  'network and security': [exec({ network: 'host' }), exec({ network: 'none' }), exec({ security: 'insecure' })],
  secrets: [
    exec({ secretEnv: [{ id: 'a', name: 'b', optional: false }] }), exec({ secretEnv: [{ id: 'b', name: 'a', optional: false }] }), exec({ secretEnv: [{ id: 'a', name: 'b', optional: true }] }),
    ...[secret, { ...secret, id: 't' }, { ...secret, uid: 1 }, { ...secret, gid: 1 }, { ...secret, mode: 0o444 }, { ...secret, optional: true }].map((one) => mounts({ type: 'secret', secret: one })),
    ...[secret, { ...secret, id: 't' }].map((one) => mounts({ type: 'ssh', ssh: one })),
  ],
  mounts: [
    mounts({ type: 'cache', cache: { id: 'a', sharing: 'shared' } }), mounts({ type: 'cache', cache: { id: 'b', sharing: 'shared' } }), mounts({ type: 'cache', cache: { id: 'a', sharing: 'locked' } }),
    mounts({ type: 'tmpfs', tmpfs: { size: 1 } }), mounts({ type: 'tmpfs', tmpfs: { size: 2 } }), mounts({ input: 1 }), mounts({ input: 1, dest: '/n' }), mounts({ input: 1, readonly: true }),
    mounts({ input: 1, output: 1 }), mounts({ input: 1 }, { input: 1, dest: '/n' }), mounts({ input: 1, dest: '/n' }, { input: 1 }), exec({ mounts: [{ ...ROOT, readonly: true }] }),
  ],
  devices: [step({ devices: ['a/b=c'] }), step({ devices: ['a/b=c', 'a/b=d'] }), step({ devices: ['a/b=c,a/b=d'] })],
}; // oxfmt-ignore

describe('the key of a step (CAC-03)', () => {
  test('is another one for whatever the step can tell', () => {
    const steps = Object.values(DIFFERENT).flat();
    const keys = new Map<string, Step>();
    for (const one of steps) {
      const same = keys.get(key(one));
      expect(same, JSON.stringify([same, one])).toBeUndefined();
      keys.set(key(one), one);
    }
    expect(keys.size).toBe(steps.length);
    expect(key(step())).toBe(key(structuredClone(step())));
  });

  test('of any two steps is the same when and only when they are', () => {
    const word = fc.oneof(
      fc.constantFrom('', 'a', 'b', 'ab', 'A=b', '\n', '\0', ',', '"', '[]', '1'),
      fc.string({ maxLength: 3 }),
    );
    const words = fc.array(word, { maxLength: 3 });
    const any = fc.record({
      args: words, env: words, cwd: word, user: word, hostname: word,
      extraHosts: fc.array(fc.record({ host: word, ip: word }), { maxLength: 2 }),
      ulimits: fc.array(fc.record({ name: word, soft: fc.integer(), hard: fc.integer() }), { maxLength: 2 }),
      validExitCodes: fc.array(fc.nat(3), { maxLength: 2 }),
    }); // oxfmt-ignore
    fc.assert(
      fc.property(any, any, (a, b) => {
        expect(key(meta(a)) === key(meta(b))).toBe(JSON.stringify(a) === JSON.stringify(b));
        // A word that moves from one field to its neighbour.
        const moved = { ...a, cwd: a.user, user: a.cwd };
        expect(key(meta(a)) === key(meta(moved))).toBe(a.cwd === a.user);
      }),
      { numRuns: 3000 },
    );
  });

  test('stands on what its inputs are, by which part and in which order', () => {
    const op = sha256('op');
    const link = (input: number, from: string, selector?: string) => ({
      op, output: 0, input, from: contentKey(sha256(from)), ...(selector === undefined ? {} : { selector: sha256(selector) }),
    }); // oxfmt-ignore
    const nodes = [
      nodeKey(op, 0, []), nodeKey(sha256('other'), 0, []), nodeKey(op, 1, []), nodeKey(op, 0, [link(0, 'base')]), nodeKey(op, 0, [link(0, 'base2')]),
      nodeKey(op, 0, [link(1, 'base')]), nodeKey(op, 0, [link(0, 'base', 's')]), nodeKey(op, 0, [link(0, 'base', 't')]),
      nodeKey(op, 0, [link(0, 'a'), link(1, 'b')]), nodeKey(op, 0, [link(0, 'b'), link(1, 'a')]),
    ]; // oxfmt-ignore
    expect(new Set(nodes).size).toBe(nodes.length);
  });
});
