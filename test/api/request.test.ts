import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { BuildSource } from '../../src/api/index.ts';
import { requestOf } from '../../src/api/request.ts';
import { type GraphOptions, parseBuildRequest } from '../../src/cli/options/build-request.ts';
import { chooseOutputs, type OutputSpec } from '../../src/exporter/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { fakeContext } from '../fakes/cli-context.ts';

let cwd = '';
beforeAll(() => {
  cwd = realpathSync(mkdtempSync(join(tmpdir(), 'tsbuild-api-request-')));
  mkdirSync(join(cwd, 'ctx/sub'), { recursive: true });
  for (const name of ['ctx/Dockerfile', 'ctx/only-here', 'ctx/both', 'both', 'key.pem'])
    writeFileSync(join(cwd, name), '');
});
afterAll(() => rmSync(cwd, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** As in the directory of the tests. */
function requestIn(source: BuildSource, env: Readonly<Record<string, string>> = {}): unknown {
  vi.spyOn(process, 'cwd').mockReturnValue(cwd);
  const before = process.env;
  process.env = { ...env };
  try {
    const { ...request } = requestOf(source);
    return request;
  } finally {
    process.env = before;
  }
}

interface Row {
  readonly source: Partial<BuildSource>;
  readonly options: GraphOptions;
  readonly context?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const rows: Readonly<Record<string, Row>> = {
  nothing: { source: {}, options: {} },
  'a path': { source: { file: 'both' }, options: { file: 'both' } },
  'a path that only the context has': { source: { file: 'only-here' }, options: { file: 'only-here' } },
  'an absolute path': { source: { file: '/etc/passwd' }, options: { file: '/etc/passwd' } },
  'a web address for the Dockerfile': {
    source: { file: 'https://example.com/Dockerfile' },
    options: { file: 'https://example.com/Dockerfile' },
  },
  'a git repository': { context: 'https://example.com/x.git#main', source: {}, options: {} },
  'a git repository without a scheme': { context: 'github.com/x/y', source: {}, options: {} },
  'a repository over SSH': { context: 'git@example.com:x/y.git', source: {}, options: {} },
  'a path in a repository': {
    context: 'ssh://git@example.com/x.git',
    source: { file: 'sub/Dockerfile' },
    options: { file: 'sub/Dockerfile' },
  },
  'a Dockerfile of this machine for a repository': {
    context: 'https://example.com/x.git',
    source: { file: '/etc/passwd' },
    options: { file: '/etc/passwd' },
  },
  'a lock file beside a repository': {
    context: 'https://example.com/x.git',
    source: { lock: { locked: true } },
    options: { locked: true },
  },
  'no lock file that nobody asked for': { context: 'https://example.com/x.git', source: { lock: {} }, options: {} },
  'a lock file by name': { source: { lock: { file: 'my.lock' } }, options: { lockFile: 'my.lock' } },
  'a lock file that is written': { source: { lock: { update: true } }, options: { updateLock: true } },
  'a lock file that is written in part': {
    source: { lock: { update: ['alpine'] } },
    options: { updateLockName: ['alpine'] },
  },
  'what is built': {
    source: { target: 't', platforms: ['arm64', 'linux/amd64'], noCache: true, pull: true, strict: true },
    options: { target: 't', platform: ['arm64,linux/amd64'], cache: false, pull: true, strict: true },
  },
  'stages that run again': { source: { noCache: ['a', 'b'] }, options: { cacheFilter: ['a,b'] } },
  'names and values': {
    source: {
      buildArgs: { A: '1', B: '' },
      labels: { l: 'x=y' },
      buildContexts: { a: 'sub', b: 'docker-image://alpine', c: 'oci-layout://lay:1', d: 'git@example.com:x' },
    },
    options: {
      buildArg: ['A=1', 'B='],
      label: ['l=x=y'],
      buildContext: ['a=sub', 'b=docker-image://alpine', 'c=oci-layout://lay:1', 'd=git@example.com:x'],
    },
  },
  'secrets and agents': {
    source: { secrets: { f: { file: 'token' } }, ssh: { default: [], deploy: ['key.pem'] } },
    options: { secret: ['id=f,src=token'], ssh: ['default', 'deploy=key.pem'] },
    env: { SSH_AUTH_SOCK: '/run/agent' },
  },
  'a step has its surroundings': {
    source: {
      network: 'host',
      extraHosts: { db: '10.0.0.1', six: '[fe80::1]', me: 'host-gateway' },
      shmSize: 1024,
      ulimits: [{ name: 'core', soft: -1, hard: -1 }],
      allow: ['security.insecure'],
    },
    options: {
      network: 'host',
      addHost: ['db=10.0.0.1', 'six=[fe80::1]', 'me=host-gateway'],
      shmSize: '1k',
      ulimit: ['core=-1'],
      allow: ['security.insecure'],
    },
  },
  times: {
    source: { reproducible: true, sourceDateEpoch: 5, timeout: 90_000, stepTimeout: 1500, jobs: 3 },
    options: { reproducible: true, sourceDateEpoch: '5', timeout: '90s', stepTimeout: '1.5s', jobs: '3' },
  },
  'times of the environment': {
    source: {},
    options: {},
    env: { SOURCE_DATE_EPOCH: '7', TSBUILD_REPRODUCIBLE: '1' },
  },
  caches: {
    source: { cacheFrom: ['type=local,src=c', 'example.com/c'], cacheTo: ['type=local,dest=c,mode=max'] },
    options: { cacheFrom: ['type=local,src=c', 'example.com/c'], cacheTo: ['type=local,dest=c,mode=max'] },
  },
};

describe('the library builds what the command line builds', () => {
  test.each(Object.entries(rows))('%s', async (_, { source, options, context = 'ctx', env = {} }) => {
    const typed = await parseBuildRequest(fakeContext({ cwd, env }), context, options);
    const { processLimit: _limit, ...request } = typed;
    expect(requestIn({ context, ...source }, env)).toEqual(request);
  });

  /** What both make of something: a request, or that it cannot be used. */
  async function bothOf(
    source: Partial<BuildSource>,
    options: GraphOptions,
    env: Readonly<Record<string, string>> = {},
  ) {
    const settled = async (make: () => unknown): Promise<unknown> => {
      try {
        const made = (await make()) as Readonly<Record<string, unknown>>;
        return Object.fromEntries(Object.entries(made).filter(([name]) => name !== 'processLimit'));
      } catch (error) {
        if (isTsbuildError(error)) return error.code;
        throw error;
      }
    };
    return [
      await settled(() => requestIn({ context: 'ctx', ...source }, env)),
      await settled(() => parseBuildRequest(fakeContext({ cwd, env }), 'ctx', options)),
    ];
  }

  test('times of the environment, however they are written', async () => {
    const texts = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'0123456789 xe.-+_'.split('')), maxLength: 13 }),
      fc.constantFrom('0x10', '1e3', ' 7', '7 ', '-1', '+5', '0b1', '99999999999', '100000000000', 'Infinity', '007'),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const [made, typed] = await bothOf({}, {}, { SOURCE_DATE_EPOCH: text });
        expect(made).toEqual(typed);
      }),
      { numRuns: 200 },
    );
  });

  test('contexts, hosts and labels, whatever is in them', async () => {
    const text = fc.string({ unit: fc.constantFrom(...'abAB019:/.-_@[]#?% '.split('')), minLength: 1, maxLength: 12 });
    const places = fc.oneof(
      text,
      fc
        .tuple(fc.constantFrom('docker-image://', 'oci-layout://', 'https://', 'git@', './', '../', '/'), text)
        .map((one) => one.join('')),
    );
    await fc.assert(
      fc.asyncProperty(places, text, async (place, value) => {
        const name = 'name';
        const [made, typed] = await bothOf(
          { buildContexts: { [name]: place }, labels: { [name]: value }, buildArgs: { [name]: value } },
          { buildContext: [`${name}=${place}`], label: [`${name}=${value}`], buildArg: [`${name}=${value}`] },
        );
        expect(made).toEqual(typed);
      }),
      { numRuns: 200 },
    );
  });

  test('addresses of hosts', async () => {
    const addresses = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV6().map((ip) => `[${ip}]`),
      fc.constantFrom('host-gateway', '127.1', '1.2.3.4 ', '[1.2.3.4', 'fe80::1%lo', 'example.com', ''),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('db', 'a.b', 'a b', 'a:b', 'ä'), addresses, async (host, ip) => {
        const [made, typed] = await bothOf({ extraHosts: { [host]: ip } }, { addHost: [`${host}=${ip}`] });
        expect(made).toEqual(typed);
      }),
      { numRuns: 200 },
    );
  });

  test('an address is a directory where there is one of that name', () => {
    mkdirSync(join(cwd, 'github.com/x/y'), { recursive: true });
    expect(requestIn({ context: 'github.com/x/y' })).toMatchObject({ contextDir: join(cwd, 'github.com/x/y') });
    rmSync(join(cwd, 'github.com'), { recursive: true });
  });
});

describe('what no build can use is refused', () => {
  test.each<[string, Partial<BuildSource>, string]>([
    ['a limit that timers cannot wait for', { timeout: 2 ** 31 }, '"timeout" 2147483648'],
    ['no time at all', { stepTimeout: 0 }, '"stepTimeout" 0'],
    ['a part of a millisecond', { timeout: 0.5 }, '"timeout" 0.5'],
    ['no job', { jobs: 0 }, '"jobs" 0'],
    ['what is no number', { jobs: Number.NaN }, '"jobs" NaN'],
    ['a negative size', { shmSize: -1 }, '"shmSize" -1'],
    ['half a second', { sourceDateEpoch: 1.5 }, '"sourceDateEpoch" 1.5'],
    ['a time that no date has', { sourceDateEpoch: 1e15 }, '"sourceDateEpoch" 1000000000000000'],
    ['a limit below none', { ulimits: [{ name: 'core', soft: -2, hard: 1 }] }, '"ulimits" -2'],
    ['a line more for /etc/hosts', { extraHosts: { 'a\n1.2.3.4 b': '10.0.0.1' } }, '"extraHosts"'],
    ['a host without an address', { extraHosts: { a: 'example.com' } }, '"extraHosts"'],
    ['an address of one interface', { extraHosts: { a: 'fe80::1%eth0' } }, '"extraHosts"'],
    ['a secret without an id', { secrets: { '': 'x' } }, '"secrets"'],
    ['an argument without a name', { buildArgs: { '': 'x' } }, '"buildArgs"'],
    ['an agent that there is not', { ssh: { default: [] } }, 'SSH_AUTH_SOCK is not set'],
    ['a platform that there is not', { platforms: ['solaris'] }, 'solaris'],
    ['a lock file that is looked up and must not be', { lock: { locked: true, update: true } }, 'with "locked"'],
    ['a lock file that is looked up by nobody', { offline: true, lock: { update: true } }, 'with "offline"'],
    ['registries that are asked and are not', { offline: true, pull: true }, '"offline" with "pull"'],
    ['a lock file without a name', { lock: { file: '' } }, 'the path of its file is empty'],
  ])('%s', (_, source, message) => {
    expect(() => requestIn({ context: 'ctx', ...source })).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: expect.stringContaining(message) as string }),
    );
  });

  test('a Dockerfile that there is not', () => {
    expect(() => requestIn({ context: 'ctx', file: 'none' })).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', message: 'Cannot read Dockerfile "none": it does not exist' }),
    );
  });

  test('an environment that says neither yes nor no', () => {
    expect(() => requestIn({ context: 'ctx' }, { TSBUILD_REPRODUCIBLE: 'maybe' })).toThrow('expected 1 or 0');
    expect(() => requestIn({ context: 'ctx' }, { SOURCE_DATE_EPOCH: 'now' })).toThrow('invalid SOURCE_DATE_EPOCH: now');
  });
});

describe('outputs', () => {
  const choose = (...args: [outputs: readonly string[], push?: boolean, load?: boolean, tags?: readonly string[]]) => {
    const [outputs, push = false, load = false, tags = ['r.example/app:1']] = args;
    return chooseOutputs({ cwd: '/work', outputs, push, load, tags, attributes: [] }).map(short);
  };
  /** Type, and for an image where it goes. */
  function short(spec: OutputSpec): string {
    if (spec.type !== 'image') return spec.type;
    return ['image', ...(spec.store ? ['store'] : []), ...(spec.push === undefined ? [] : ['push'])].join('+');
  }

  test.each<[string, Parameters<typeof choose>, readonly string[]]>([
    ['none: the local store', [[]], ['image+store']],
    ['none and no name', [[], false, false, []], ['image+store']],
    ['a file, and the name in the store', [['type=oci,dest=x']], ['oci', 'image+store']],
    ['a file and no name', [['type=oci,dest=x'], false, false, []], ['oci']],
    ['a file that is kept besides', [['type=oci,dest=x'], false, true, []], ['oci', 'image+store']],
    ['a push', [[], true], ['image+push']],
    ['a push that is kept', [[], true, true], ['image+store+push']],
    ['a push beside a file', [['type=oci,dest=x'], true], ['oci', 'image+push']],
    ['a push of the image that is named', [['type=image'], true], ['image+store+push']],
    ['a push that the output denies', [['type=image,push=false'], true], ['image+store']],
    ['a registry, kept besides', [['type=registry'], false, true], ['image+store+push']],
  ])('%s', (_, args, wanted) => {
    expect(choose(...args)).toEqual(wanted);
  });
});
