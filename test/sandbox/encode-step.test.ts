import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capabilityMask, parseCapability } from '../../src/sandbox/capabilities.ts';
import { encodeFields, encodeStep, ULIMITS } from '../../src/sandbox/encode-step.ts';
import type { MountSpec, StepSpec } from '../../src/sandbox/types.ts';

type Options = Parameters<typeof encodeStep>[1];

const spec = (more: Partial<StepSpec> = {}): StepSpec => ({
  lowers: ['/l1', '/l2'],
  upper: '/up',
  work: '/wk',
  args: ['/bin/sh', '-c', 'true'],
  env: ['A=1', 'B='],
  cwd: '/src',
  user: '1000:1000',
  hostname: 'host',
  network: 'none',
  security: 'sandbox',
  ...more,
});

const options = (plan: Partial<Options['plan']> = {}, more: Partial<Options> = {}): Options => ({
  plan: { idShift: 100_000, idCount: 65_536, how: 'newidmap', copies: false, ...plan },
  seccompPath: '/filter',
  ...more,
});

/** The pairs as the helper reads them (native/src/spec.c). */
function pairsOf(bytes: Buffer): readonly (readonly [string, string])[] {
  const words: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at);
    words.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  expect(words.pop()?.toString(), 'the last word').toBe('end');
  expect(words.length % 2).toBe(0);
  return Array.from({ length: words.length / 2 }, (_, at): [string, string] => [
    words[at * 2]?.toString() ?? '',
    words[at * 2 + 1]?.toString('latin1') ?? '',
  ]);
}

const encoded = (more: Partial<StepSpec> = {}, own: Options = options()): readonly (readonly [string, string])[] =>
  pairsOf(encodeStep(spec(more), own));
/** All values of a key. */
const of = (pairs: readonly (readonly [string, string])[], key: string): readonly string[] =>
  pairs.filter(([name]) => name === key).map(([, value]) => value);

describe('a step as the helper reads it', () => {
  test('has everything about it, lists in their order', () => {
    const pairs = encoded({ groups: [27, 998], cgroups: ['/sys/fs/cgroup/a'], hold: true, shmSize: 1 });
    for (const [key, values] of Object.entries({
      shift: ['100000'],
      'id-count': ['65536'],
      lower: ['/l1', '/l2'],
      upper: ['/up'],
      work: ['/wk'],
      arg: ['/bin/sh', '-c', 'true'],
      env: ['A=1', 'B='],
      cwd: ['/src'],
      user: ['1000:1000'],
      hostname: ['host'],
      group: ['27', '998'],
      cgroup: ['/sys/fs/cgroup/a'],
      hold: ['1'],
      'shm-size': ['1'],
      tty: ['0'],
    }))
      expect([key, of(pairs, key)]).toEqual([key, values]);
  });

  test('any words arrive as they are', () => {
    const word = fc
      .string({ unit: 'binary', maxLength: 20 })
      .filter((text) => !text.includes('\0') && text.isWellFormed());
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), fc.array(word, { maxLength: 5 }), word, (args, env, cwd) => {
        const pairs = encoded({ args, env, cwd });
        const text = (values: readonly string[]): readonly string[] =>
          values.map((value) => Buffer.from(value, 'latin1').toString());
        expect([text(of(pairs, 'arg')), text(of(pairs, 'env')), text(of(pairs, 'cwd'))]).toEqual([args, env, [cwd]]);
      }),
    );
  });

  test.each<[string, Partial<StepSpec>]>([
    ['arg', { args: ['a\0b'] }],
    ['env', { env: ['A=\0'] }],
    ['cwd', { cwd: '/\0' }],
    ['user', { user: 'a\0' }],
    ['hostname', { hostname: '\0' }],
    ['m.target', { mounts: [{ type: 'tmpfs', target: '/a\0b' }] }],
  ])('a NUL byte in its %s is refused: it would end the word', (key, more) => {
    expect(() => encoded(more)).toThrow(
      expect.objectContaining({
        code: 'TSB_SANDBOX',
        message: `Cannot start the step: its ${key} contains a NUL byte`,
      }),
    );
  });

  test('arrives whole however much it is', () => {
    const lowers = Array.from({ length: 500 }, (_, at) => `/layers/${'x'.repeat(at)}`);
    const env = [`LONG=${'€'.repeat(70_000)}`, 'LAST=1'];
    const pairs = encoded({ lowers, env });
    expect(of(pairs, 'lower')).toEqual(lowers);
    expect(of(pairs, 'env').map((bytes) => Buffer.from(bytes, 'latin1').toString())).toEqual(env);
  });

  test('has a filter and a set of capabilities, or neither when it may do everything', () => {
    const usual = encoded();
    expect([of(usual, 'insecure'), of(usual, 'seccomp'), of(usual, 'capabilities')]).toEqual([
      ['0'],
      ['/filter'],
      [String(0xa8_04_25_fbn)],
    ]);
    const insecure = encoded({ security: 'insecure', capDrop: ['ALL'] });
    expect([of(insecure, 'insecure'), of(insecure, 'seccomp'), of(insecure, 'capabilities')]).toEqual([
      ['1'],
      [],
      [String(2n ** 64n - 1n)],
    ]);
  });

  test("may have no filter, or nothing hidden, and docker's capabilities all the same", () => {
    const words = ['unfiltered', 'unmasked', 'seccomp', 'capabilities'];
    const said = (more: Partial<StepSpec>) => words.map((word) => of(encoded(more), word));
    const usual = [String(0xa8_04_25_fbn)];
    expect(said({})).toEqual([['0'], ['0'], ['/filter'], usual]);
    expect(said({ unfiltered: true })).toEqual([['1'], ['0'], [], usual]);
    expect(said({ unmasked: true })).toEqual([['0'], ['1'], ['/filter'], usual]);
  });

  test('is in no network that nobody made for it', () => {
    expect(of(encoded({ network: 'none' }), 'private-network')).toEqual(['1']);
    expect(of(encoded({ network: 'host' }), 'private-network')).toEqual(['0']);
    expect(of(encoded({ network: 'host' }), 'network')).toEqual([]);
    for (const network of ['isolated', 'proxied'] as const) {
      expect(of(encoded({ network, networkPath: '/ns' }), 'network')).toEqual(['/ns']);
      expect(() => encoded({ network })).toThrow('A step in a network of its own has none');
    }
  });

  test('counts no processes where there is no namespace to count them in', () => {
    expect(of(encoded({ processLimit: 7 }), 'process-limit')).toEqual(['7']);
    expect(of(encoded({ processLimit: 7 }, options({ how: 'none' })), 'process-limit')).toEqual(['0']);
  });

  test('cannot keep an id where there is only one', () => {
    const keepIds = { uid: 5, gid: 6 };
    const pairs = encoded({ keepIds });
    expect([of(pairs, 'keep-uid'), of(pairs, 'keep-gid'), of(pairs, 'fakes')]).toEqual([['5'], ['6'], []]);
    const one = options({ owners: {} as never });
    expect(of(encoded({}, one), 'fakes')).toEqual(['1']);
    expect(() => encoded({ keepIds }, one)).toThrow(/^Cannot keep your id/);
  });

  test('has copies of its layers where nothing can be mounted, and a place for them', () => {
    const tree = { dir: '/tree', apply: ['/l2'] };
    const mounts: readonly MountSpec[] = [{ type: 'layers', target: '/m', lowers: ['/x'] }];
    const pairs = encoded({ mounts }, options({ copies: true }, { tree }));
    expect([of(pairs, 'lower'), of(pairs, 'tree'), of(pairs, 'tree-layer')]).toEqual([[], ['/tree/root'], ['/l2']]);
    expect(of(pairs, 'm.tree')).toEqual([expect.stringMatching(/^\/tree\/mount-\d+$/)]);
    expect(() => encoded({}, options({ copies: true }))).toThrow('no place for the copies');
  });

  test('begins with its surroundings where the next step may have the same, and nothing secret is among them', () => {
    const place = options({}, { place: '/place', formatsDir: '/formats' });
    const surroundings = (more: Partial<StepSpec>, own: Options = place): readonly string[] => {
      const keys = encoded(more, own).map(([key]) => key);
      return keys.slice(0, Math.max(0, keys.indexOf('step')));
    };
    const usual = surroundings({ mounts: [{ type: 'file', target: '/s', data: Buffer.from('s') }], groups: [1] });
    expect(usual).toEqual(
      expect.arrayContaining(['shift', 'place', 'hostname', 'shm-size', 'private-network', 'seccomp']),
    );
    for (const key of ['lower', 'upper', 'work', 'arg', 'env', 'user', 'group', 'mount', 'm.data', 'limit'])
      expect([key, usual.includes(key)]).toEqual([key, false]);
    // What is this one step's alone has no process made before.
    expect(surroundings({ cgroups: ['/sys/fs/cgroup/a'] })).toEqual([]);
    expect(surroundings({ emulator: { name: 'e', interpreter: '/e', rule: ':e:' } })).toEqual([]);
    expect(surroundings({}, options({ how: 'none' }, { place: '/place' }))).toEqual([]);
    expect(surroundings({}, options())).toEqual([]);
  });

  test('is emulated only where namespace A has a place for formats', () => {
    const emulator = { name: 'arm64', interpreter: '/qemu', rule: ':x:' };
    const keys = ['emulator', 'e.directory', 'e.interpreter', 'e.rule'];
    const all = (own: Options) => keys.map((key) => of(encoded({ emulator }, own), key)[0]);
    expect(all(options({}, { formatsDir: '/formats' }))).toEqual(['arm64', '/formats', '/qemu', ':x:']);
    expect(all(options())).toEqual([undefined, undefined, undefined, undefined]);
  });
});

describe('limits of a step', () => {
  const limits = (name: string, soft: number, hard: number) =>
    of(encoded({ ulimits: [{ name, soft, hard }] }), 'limit');

  test('go by the numbers of Linux, -1 for none', () => {
    expect(limits('nofile', 1024, 2048)).toEqual(['7:1024:2048']);
    expect(limits('CORE', 0, 0)).toEqual(['4:0:0']);
    expect(limits('cpu', -1, -1)).toEqual([`0:${2n ** 64n - 1n}:${2n ** 64n - 1n}`]);
    expect(ULIMITS).toHaveLength(16);
    expect(new Set(ULIMITS.map((name) => limits(name, 1, 1)[0])).size).toBe(16);
  });

  test.each(['nofiles', '', 'constructor', 'tostring', '__proto__'])('%j is none', (name) => {
    expect(() => limits(name, 1, 1)).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: `Cannot set limit "${name}": there is no such limit`,
        hint: expect.stringContaining('nofile') as string,
      }),
    );
  });
});

describe('mounts of a step', () => {
  /** Kind and target of each, in the order in which they are made. */
  const targets = (mounts: readonly MountSpec[], more: Partial<StepSpec> = {}): readonly string[] => {
    const pairs = encoded({ mounts, ...more });
    const kinds = of(pairs, 'mount');
    return of(pairs, 'm.target').map((target, at) => `${kinds[at]} ${target}`);
  };
  const tmpfs = (target: string): MountSpec => ({ type: 'tmpfs', target });

  test('are made from the outside in, and in their order at one depth', () => {
    expect(
      targets(['/a/b', '/c', '/a', '/c/d/e', '/b', '/'].map(tmpfs)).filter((line) => line.startsWith('tmpfs')),
    ).toEqual(['/', '/c', '/a', '/b', '/a/b', '/c/d/e'].map((target) => `tmpfs ${target}`));
  });

  test('have /etc/hosts and resolv.conf among them, but where the step mounts these itself', () => {
    expect(targets([])).toEqual(['file /etc/hosts']);
    expect(targets([], { resolvConf: 'nameserver 1.1.1.1\n' })).toEqual(['file /etc/hosts', 'file /etc/resolv.conf']);
    expect(targets([tmpfs('/etc/hosts/')])).toEqual(['tmpfs /etc/hosts/']);
    const [data] = of(encoded({ hosts: '1.2.3.4 x\n' }), 'm.data');
    expect(data).toBe('1.2.3.4 x\n');
    expect(of(encoded({ extraHosts: [{ host: 'db', ip: '10.0.0.1' }] }), 'm.data')[0]).toContain('10.0.0.1\tdb');
  });

  test('have what each kind needs', () => {
    const pairs = encoded({
      hosts: '',
      mounts: [
        { type: 'bind', target: '/1', source: '/s', readonly: true, subpath: 'sub', fill: true },
        { type: 'device', target: '/2', source: '/dev/x' },
        { type: 'socket', target: '/3', source: '/sock', mode: 0o600, uid: 0, gid: 0 },
        { type: 'tmpfs', target: '/4', size: 99 },
        { type: 'layers', target: '/5', lowers: ['/a', '/b'], upper: '/u', work: '/w' },
        { type: 'file', target: '/6', data: Buffer.from([0, 1, 255]), mode: 0o600, uid: 5 },
      ],
    });
    const from = (target: string): Record<string, string> => {
      const at = pairs.findIndex(([key, value]) => key === 'm.target' && value === target);
      const rest = pairs.slice(at + 1);
      const end = rest.findIndex(([key]) => key === 'mount');
      return Object.fromEntries(end < 0 ? rest : rest.slice(0, end));
    };
    expect(from('/1')).toEqual({ 'm.source': '/s', 'm.readonly': '1', 'm.subpath': 'sub', 'm.fill': '1' });
    expect(from('/2')).toEqual({ 'm.source': '/dev/x' });
    expect(from('/3')).toEqual({ 'm.source': '/sock' });
    expect(from('/4')).toEqual({ 'm.mode': String(0o1777), 'm.size': '99' });
    expect(from('/5')).toEqual({ 'm.lower': '/b', 'm.readonly': '0', 'm.upper': '/u', 'm.work': '/w' });
    // A file's bytes may be any; it is read-only where nobody says otherwise.
    expect(from('/6')).toEqual({
      'm.data': '\x00\x01\xff',
      'm.mode': String(0o600),
      'm.uid': '5',
      'm.gid': '0',
      'm.readonly': '1',
    });
  });
});

test('fields of other calls are encoded alike', () => {
  expect(
    pairsOf(
      encodeFields([
        ['a', 'ä'],
        ['b', 7],
        ['c', true],
        ['d', false],
      ]),
    ),
  ).toEqual([
    ['a', Buffer.from('ä').toString('latin1')],
    ['b', '7'],
    ['c', '1'],
    ['d', '0'],
  ]);
  expect(pairsOf(encodeFields([]))).toEqual([]);
});

describe('capabilities', () => {
  test.each([
    ['NET_ADMIN', 'NET_ADMIN'],
    ['cap_net_admin', 'NET_ADMIN'],
    ['Cap_Sys_Time', 'SYS_TIME'],
    ['all', 'ALL'],
  ])('%s is %s', (text, name) => {
    expect(parseCapability(text)).toBe(name);
  });

  test.each(['', 'CAP_', 'NET', 'NET_ADMIM', 'constructor'])('%j is none', (text) => {
    expect(() => parseCapability(text)).toThrow(`Unknown capability ${JSON.stringify(text)}`);
  });

  const DOCKER = 0xa8_04_25_fbn;
  const ALL = (1n << 41n) - 1n;
  test.each<[readonly string[], readonly string[], bigint]>([
    [[], [], DOCKER],
    [['CHOWN'], [], DOCKER],
    [['NET_ADMIN'], [], DOCKER | (1n << 12n)],
    [[], ['CHOWN'], DOCKER & ~1n],
    [['ALL'], [], ALL],
    [[], ['ALL'], 0n],
    [['CHOWN', 'BPF'], ['ALL'], 1n | (1n << 39n)],
    [['ALL'], ['CHOWN'], ALL & ~1n],
    // Of a single name that is added and dropped the drop counts: less is safer.
    [['CHOWN'], ['CHOWN'], DOCKER & ~1n],
    [['ALL'], ['ALL'], ALL],
  ])('docker’s with %j and without %j', (add, drop, mask) => {
    expect(capabilityMask(add, drop)).toBe(mask);
  });
});
