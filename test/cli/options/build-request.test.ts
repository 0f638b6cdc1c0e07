import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type GraphOptions, parseBuildRequest } from '../../../src/cli/options/build-request.ts';
import type { BuildRequest } from '../../../src/engine/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { fakeContext, type FakeContextOptions } from '../../fakes/cli-context.ts';

const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-cli-test-'));
fs.writeFileSync(join(dir, 'Dockerfile'), 'FROM scratch\n');
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const parse = (options: GraphOptions, context: FakeContextOptions = {}): Promise<BuildRequest> =>
  parseBuildRequest(fakeContext({ cwd: dir, ...context }), '.', options);

/** The request, or what is wrong with the options as the user is told it. */
async function outcome(options: GraphOptions, context: FakeContextOptions = {}): Promise<BuildRequest | string> {
  try {
    return await parse(options, context);
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE')) return error.message;
    throw error;
  }
}

describe('KEY=VALUE options', () => {
  test('the value may hold anything; the last one of a key wins', async () => {
    const { buildArgs, labels } = await parse({
      buildArg: ['A=1', 'B==x=', 'A=2', 'C=', 'ü=ä', 'D= spaces ,"quotes"\n'],
      label: ['org.label=x', 'bare'],
    });
    expect([...buildArgs]).toEqual([
      ['A', '2'],
      ['B', '=x='],
      ['C', ''],
      ['ü', 'ä'],
      ['D', ' spaces ,"quotes"\n'],
    ]);
    expect([...labels]).toEqual([
      ['org.label', 'x'],
      ['bare', ''],
    ]);
  });

  test('a bare build argument is the variable of that name, and nothing where there is none', async () => {
    const { buildArgs } = await parse({ buildArg: ['HERE', 'EMPTY', 'GONE'] }, { env: { HERE: 'x', EMPTY: '' } });
    expect([...buildArgs]).toEqual([
      ['HERE', 'x'],
      ['EMPTY', ''],
    ]);
  });

  test.each([['build-arg'], ['label'], ['build-context']])('--%s without a name is refused', async (name) => {
    const key = name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    expect(await outcome({ [key]: ['=x'] })).toMatch(new RegExp(`Cannot use --${name} "=x": the name is missing`));
  });

  test('build contexts: directories are made absolute, addresses stay', async () => {
    const { namedContexts } = await parse({
      buildContext: ['a=../x', 'b=docker-image://alpine', 'c=git@example.com:x/y', 'd=oci-layout://lay:1', 'e=/abs'],
    });
    expect(Object.fromEntries(namedContexts)).toEqual({
      a: join(dir, '../x'),
      b: 'docker-image://alpine',
      c: 'git@example.com:x/y',
      d: `oci-layout://${dir}/lay:1`,
      e: '/abs',
    });
  });
});

describe('secrets', () => {
  test.each<[string, string, object]>([
    ['a file', 'id=t,src=token', { kind: 'file', path: join(dir, 'token') }],
    ['a file by its long name', 'id=t,source=/abs', { kind: 'file', path: '/abs' }],
    ['a variable', 'id=t,env=TOKEN', { kind: 'value', value: 'v' }],
    ['a variable by type', 'type=env,id=TOKEN', { kind: 'value', value: 'v' }],
    ['a variable by type and source', 'type=env,id=t,src=TOKEN', { kind: 'value', value: 'v' }],
    ['a variable that is not set', 'id=t,env=GONE', { kind: 'value', value: '', unset: 'GONE' }],
    ['the variable of that name', 'id=TOKEN', { kind: 'value', value: 'v' }],
    ['the file of that name', 'id=token', { kind: 'file', path: join(dir, 'token') }],
    ['the file, though there is a variable', 'id=TOKEN,type=file', { kind: 'file', path: join(dir, 'TOKEN') }],
    ['keys in upper case', 'ID=t,SRC=token', { kind: 'file', path: join(dir, 'token') }],
    ['a path with a comma, quoted', 'id=t,"src=/a,b"', { kind: 'file', path: '/a,b' }],
    ['a path with quotes', 'id=t,"src=/a""b"', { kind: 'file', path: '/a"b' }],
  ])('%s', async (_name, text, source) => {
    const { secrets } = await parse({ secret: [text] }, { env: { TOKEN: 'v' } });
    expect([...secrets.values()]).toEqual([source]);
  });

  test.each([
    ['src=x', /the id is missing/],
    ['id=', /the id is missing/],
    ['', /unexpected ""/],
    ['id=x,type=vault', /unsupported secret type "vault"/],
    ['id=x,mode=0400', /unexpected "mode=0400"/],
    ['id=x,"src=y', /quote is not closed/],
  ])('%s is refused', async (text, message) => {
    expect(await outcome({ secret: [text] })).toMatch(message);
  });
});

describe('other values', () => {
  test('platforms in any spelling, with commas or repeated', async () => {
    const { platforms } = await parse({ platform: ['linux/amd64, linux/arm/v7', 'aarch64', 'linux/arm64/v8'] });
    expect(platforms).toEqual([
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm', variant: 'v7' },
      { os: 'linux', architecture: 'arm64' },
      { os: 'linux', architecture: 'arm64' },
    ]);
  });

  test.each<[keyof GraphOptions, string, keyof BuildRequest, unknown]>([
    ['shmSize', '64m', 'shmSize', 64 * 1024 * 1024],
    ['shmSize', '1.5GiB', 'shmSize', 1.5 * 1024 ** 3],
    ['shmSize', '0', 'shmSize', 0],
    ['sourceDateEpoch', '0', 'sourceDateEpoch', 0],
    ['jobs', '3', 'jobs', 3],
    ['network', 'none', 'network', 'none'],
  ])('--%s %s', async (option, text, field, value) => {
    expect((await parse({ [option]: text }))[field]).toEqual(value);
  });

  test.each<[keyof GraphOptions, string, keyof BuildRequest, unknown]>([
    ['addHost', 'db=10.0.0.1', 'extraHosts', [{ host: 'db', ip: '10.0.0.1' }]],
    ['addHost', 'db:::1', 'extraHosts', [{ host: 'db', ip: '::1' }]],
    ['addHost', 'db=[fe80::1]', 'extraHosts', [{ host: 'db', ip: 'fe80::1' }]],
    ['addHost', 'me=host-gateway', 'extraHosts', [{ host: 'me', ip: '127.0.0.1' }]],
    ['ulimit', 'nofile=10', 'ulimits', [{ name: 'nofile', soft: 10, hard: 10 }]],
    ['ulimit', 'core=-1:-1', 'ulimits', [{ name: 'core', soft: -1, hard: -1 }]],
    ['ulimit', 'nproc=1:2', 'ulimits', [{ name: 'nproc', soft: 1, hard: 2 }]],
  ])('--%s %s', async (option, text, field, value) => {
    expect((await parse({ [option]: [text] }))[field]).toEqual(value);
  });

  test.each<[keyof GraphOptions, string]>([
    ['shmSize', '-1'],
    ['shmSize', '1x'],
    ['shmSize', ''],
    ['shmSize', '9'.repeat(30)],
    ['shmSize', '99999999t'],
    ['sourceDateEpoch', 'now'],
    ['sourceDateEpoch', '-1'],
    ['sourceDateEpoch', '1e9'],
    ['jobs', '0'],
    ['jobs', '1.5'],
    ['jobs', 'many'],
    ['network', 'bridge'],
  ])('--%s %s is refused', async (option, text) => {
    expect(await outcome({ [option]: text })).toEqual(expect.any(String));
  });

  test.each<[keyof GraphOptions, string]>([
    ['addHost', 'db'],
    ['addHost', '=10.0.0.1'],
    ['addHost', 'db='],
    ['addHost', 'db=10.0.0'],
    ['addHost', 'db=example.com'],
    ['addHost', 'db=10.0.0.1 10.0.0.2'],
    ['addHost', 'db=10.0.0.1\nevil'],
    ['ulimit', 'nofile'],
    ['ulimit', 'nofile=x'],
    ['ulimit', 'nofile=1:2:3'],
    ['ulimit', 'nofile=99999999999999999999'],
    ['platform', 'linux/amd64/v2/x'],
    ['platform', 'solaris'],
  ])('--%s %s is refused', async (option, text) => {
    expect(await outcome({ [option]: [text] })).toEqual(expect.any(String));
  });

  test('SOURCE_DATE_EPOCH of the environment counts where the option is missing, and an empty one is none', async () => {
    expect((await parse({}, { env: { SOURCE_DATE_EPOCH: '5' } })).sourceDateEpoch).toBe(5);
    expect((await parse({ sourceDateEpoch: '6' }, { env: { SOURCE_DATE_EPOCH: '5' } })).sourceDateEpoch).toBe(6);
    expect(await parse({}, { env: { SOURCE_DATE_EPOCH: '' } })).not.toHaveProperty('sourceDateEpoch');
  });

  test('who asks for the network of the host for all steps grants it', async () => {
    expect([...(await parse({ network: 'host' })).entitlements]).toEqual(['network.host']);
    expect([...(await parse({ network: 'none' })).entitlements]).toEqual([]);
  });
});

describe('whatever is typed', () => {
  const words = `id src type env file registry local ref dest mode max tag device alias linux amd64 nofile network.host default
    example.com/a:b 10.0.0.1 1 -1 a/b __proto__ constructor compression zstd oci-mediatypes false digest ignore-error`;
  const word = fc.constantFrom(...words.split(/\s+/));
  const glue = fc.constantFrom(
    '=',
    ',',
    ':',
    '"',
    '/',
    ' ',
    '\n',
    '\u001b',
    '\u0000',
    '\u202e',
    'ü',
    '😀',
    '\ud800',
    '@',
    '[',
    ']',
  );
  const text = fc
    .array(fc.oneof(word, word, glue, fc.string({ maxLength: 3 })), { maxLength: 9 })
    .map((parts) => parts.join(''));

  const repeated = [
    'platform', 'buildArg', 'label', 'buildContext', 'cacheFilter', 'addHost', 'ulimit', 'allow', 'secret', 'ssh', 'cacheFrom', 'cacheTo',
  ] as const; // oxfmt-ignore
  const single = ['shmSize', 'sourceDateEpoch', 'jobs', 'network'] as const;

  test.each(repeated)('--%s is understood or refused with a reason', async (option) => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 3 }), async (values) => {
        const found = await outcome({ [option]: values }, { env: { SSH_AUTH_SOCK: '/agent' } });
        if (typeof found === 'string') expect(found).not.toBe('');
        else expectWhole(found);
      }),
      { numRuns: 200 },
    );
  });

  test.each(single)('--%s is understood or refused with a reason', async (option) => {
    const numeric = fc.stringMatching(/^-?\d{1,40}(\.\d{1,3})?[bkmgtBKMGT]?i?b?$/);
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, numeric), async (value) => {
        const found = await outcome({ [option]: value });
        if (typeof found !== 'string') expectWhole(found);
      }),
      { numRuns: 200 },
    );
  });

  /** Nothing in a request is what later code cannot use: numbers are whole and exact, paths are absolute. */
  function expectWhole(request: BuildRequest): void {
    const numbers = [
      request.jobs,
      request.shmSize ?? 0,
      request.sourceDateEpoch ?? 0,
      ...request.ulimits.flatMap(({ soft, hard }) => [soft, hard]),
    ];
    for (const number of numbers) expect(Number.isSafeInteger(number), String(number)).toBe(true);
    for (const { host, ip } of request.extraHosts) expect(`${host} ${ip}`).toMatch(/^\S+ [\d.a-f:]+$/i);
    for (const source of request.secrets.values()) if (source.kind === 'file') expect(source.path).toMatch(/^\//);
    for (const paths of request.ssh.values()) for (const path of paths) expect(path).toMatch(/^\//);
    for (const { os, architecture } of request.platforms) expect(`${os}/${architecture}`).toMatch(/^[\w.-]+\/[\w.-]+$/);
    for (const one of request.cacheFrom) if (one.type === 'local') expect(one.src).toMatch(/^\//);
    for (const one of request.cacheTo) if (one.type === 'local') expect(one.dest).toMatch(/^\//);
  }

  test('fields of --secret come back whatever is in them, when they are quoted as CSV has it', async () => {
    const quote = (field: string): string => `"${field.replaceAll('"', '""')}"`;
    const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0'));
    await fc.assert(
      fc.asyncProperty(value, value, async (id, name) => {
        const { secrets } = await parse({ secret: [[`id=${id}`, `env=${name}`].map(quote).join(',')] });
        expect([...secrets]).toEqual([[id, { kind: 'value', value: '', unset: name }]]);
      }),
      { numRuns: 100 },
    );
  });
});
