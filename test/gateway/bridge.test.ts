import { describe, expect, test } from 'vitest';
import { FRONTEND_CAPABILITIES } from '../../src/gateway/capabilities.ts';
import type { NestedRequest } from '../../src/gateway/host.ts';
import { decodeDefinition } from '../../src/llb/index.ts';
import type { SourcePolicy } from '../../src/source-policy/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import type { Message } from '../support/gateway-client.ts';
import { AMD64, definitionBytes, hostOf, serve } from './support.ts';

const SOLVE = { allowResultReturn: true, allowResultArrayRef: true };

describe('a frontend that talks gRPC', () => {
  test('is told what there is', async () => {
    await using served = await serve(hostOf({}));
    const pong = await served.client.call('Ping');
    expect(pong['FrontendAPICaps'].map(({ ID }: Message) => ID)).toEqual(FRONTEND_CAPABILITIES);
    const sources = ['git.signatureverify', 'http.signatureverify', 'git.bundle', 'git.checkoutbundle'];
    const some = ['mergeop', ...sources.map((name) => `source.${name}`)];
    expect(pong['LLBCaps'].map(({ ID }: Message) => ID)).toEqual(expect.arrayContaining(some));
    expect(pong['LLBCaps'].every(({ Enabled }: Message) => Enabled)).toBe(true);
    expect(pong['Workers']).toMatchObject([{ platforms: [{ OS: 'linux', Architecture: 'amd64' }] }]);
    expect(JSON.stringify(pong)).not.toContain('gateway.exec');
  });

  test('has a definition solved, looks into it and returns it with metadata', async () => {
    const host = hostOf({ 'a.txt': 'hello', 'b.md': 'x' });
    await using served = await serve(host);
    const { call } = served.client;
    const bytes = definitionBytes();
    const solved = await call('Solve', { ...SOLVE, Definition: bytes });
    const { id, def } = solved['result'].ref;
    expect(Buffer.from(bytes).equals(def)).toBe(true);
    expect(host.log).toEqual(['loaded 1']);
    expect((await call('ReadFile', { Ref: id, FilePath: 'a.txt' }))['Data'].toString()).toBe('hello');
    const part = await call('ReadFile', { Ref: id, FilePath: 'a.txt', Range: { Offset: 1, Length: 3 } });
    expect(part['Data'].toString()).toBe('ell');
    expect((await call('ReadDir', { Ref: id, DirPath: '/', IncludePattern: '*.md' }))['entries']).toMatchObject([
      // Go's mode: setuid is a bit of its own.
      { path: 'b.md', mode: 2 ** 23 + 0o755, uid: 1, gid: 2, size: '1', modTime: '1600000000000000001' },
    ]);
    expect((await call('StatFile', { Ref: id, Path: 'a.txt' }))['stat']).toMatchObject({ path: 'a.txt', size: '5' });
    await call('Evaluate', { Ref: id });
    expect(host.log.at(-1)).toBe('evaluated');
    await call('Return', { result: { ref: { id }, metadata: { 'containerimage.config': Buffer.from('{}') } } });
    const { returned } = served.bridge;
    expect(returned).toMatchObject({ kind: 'result', hasAttestations: false, result: { refs: { kind: 'one' } } });
    expect(await served.status('Ping')).toMatchObject({ code: 9 });
  });

  test('may return scratch, a map by platform, and attestations', async () => {
    await using first = await serve(hostOf({}));
    const none = await first.client.call('Solve', SOLVE);
    expect(none['result'].ref.id).toBe('');
    await first.client.call('Return', { result: { ref: { id: '' } } });
    expect(first.bridge.returned).toMatchObject({ result: { refs: { kind: 'one', definition: undefined } } });
    await using second = await serve(hostOf({}));
    const { id } = (await second.client.call('Solve', { ...SOLVE, Definition: definitionBytes() }))['result'].ref;
    const refs = { 'linux/amd64': { id }, 'linux/arm64': { id: '' } };
    await second.client.call('Return', {
      result: { refs: { refs }, attestations: { x: { attestation: [Buffer.of(1)] } } },
    });
    const { returned } = second.bridge;
    expect(returned).toMatchObject({ kind: 'result', hasAttestations: true });
    if (returned?.kind !== 'result' || returned.result.refs.kind !== 'map') throw new Error('No map');
    expect([...returned.result.refs.definitions.keys()].toSorted()).toEqual(['linux/amd64', 'linux/arm64']);
    expect(returned.result.refs.definitions.get('linux/arm64')).toBeUndefined();
  });

  test('of an old client gets references as it reads them', async () => {
    await using served = await serve(hostOf({ f: 'x' }));
    const old = await served.client.call('Solve', { Definition: definitionBytes() });
    expect(old['result'].refDeprecated).toBe(old['ref']);
    await served.client.call('Evaluate', { Ref: old['ref'] });
    await served.client.call('Return', { result: { refDeprecated: old['ref'] } });
    expect(served.bridge.returned?.kind).toBe('result');
  });

  test('has other frontends solve, and evaluates at once when it says so', async () => {
    const asked: NestedRequest[] = [];
    const host = hostOf(
      {},
      {
        frontend: async (request) => {
          asked.push(request);
          const [definition] = request.inputs.values();
          return { refs: { kind: 'one', definition }, metadata: new Map([['k', Buffer.from('v')]]) };
        },
      },
    );
    await using served = await serve(host);
    const request = {
      ...SOLVE,
      Frontend: 'dockerfile.v0',
      FrontendOpt: { target: 'x' },
      FrontendInputs: { dockerfile: definitionBytes() },
      Evaluate: true,
    };
    const { result } = await served.client.call('Solve', request);
    expect(asked).toMatchObject([{ name: 'dockerfile.v0', options: new Map([['target', 'x']]) }]);
    expect(result.metadata.k.toString()).toBe('v');
    expect(host.log).toEqual(['loaded 1', 'evaluated']);
  });

  test('resolves images and sources', async () => {
    const config = Buffer.from('{"os":"linux"}');
    const host = hostOf(
      {},
      {
        resolveImage: async ({ reference, platform, ociLayout }) => ({
          reference: `${reference}@`,
          digest: `${platform.architecture} ${ociLayout ?? ''}`,
          config,
        }),
        resolveSource: async ({ identifier }) =>
          identifier.startsWith('git')
            ? { kind: 'git', checksum: 'c', ref: 'refs/heads/main', commit: '' }
            : { kind: 'http', checksum: 'sha256:0', filename: 'f', lastModified: 7 },
      },
    );
    await using served = await serve(host);
    const { call } = served.client;
    const Platform = { OS: 'linux', Architecture: 'arm64' };
    expect(await call('ResolveImageConfig', { Ref: 'a', Platform })).toEqual({
      Ref: 'a@',
      Digest: 'arm64 ',
      Config: config,
    });
    expect(await call('ResolveImageConfig', { Ref: 'a', Platform, ResolverType: 1, StoreID: 's' })).toMatchObject({
      Digest: 'arm64 s',
    });
    const source = (identifier: string, more: Message = {}): Promise<Message> =>
      call('ResolveSourceMeta', { Source: { identifier, attrs: { 'oci.store': 's' } }, Platform, ...more });
    expect(await source('docker-image://a')).toMatchObject({
      Source: { identifier: 'docker-image://a@' },
      Image: { Config: config },
    });
    expect(await source('docker-image://a', { Image: { NoConfig: true } })).toMatchObject({
      Image: { Config: Buffer.alloc(0) },
    });
    expect(await source('oci-layout://a')).toMatchObject({
      Source: { identifier: 'oci-layout://a@' },
      Image: { Digest: 'arm64 s' },
    });
    expect(await source('git://h/r.git#main')).toMatchObject({ Git: { Checksum: 'c', Ref: 'refs/heads/main' } });
    expect(await source('https://h/f')).toMatchObject({
      HTTP: { Checksum: 'sha256:0', Filename: 'f', LastModified: { seconds: '7' } },
    });
    expect(await source('local://context')).toMatchObject({ Source: { identifier: 'local://context' }, Image: null });
  });

  test('has policies of its own, for what it solves and resolves', async () => {
    const rules = [
      { action: 'DENY', selector: { identifier: '*', match_type: 'EXACT' } },
      {
        action: 'CONVERT',
        selector: {
          identifier: 'a.*',
          match_type: 'REGEX',
          constraints: [{ key: 'k', value: 'v', condition: 'MATCHES' }],
        },
        updates: { identifier: 'b', attrs: { k: 'w' } },
      },
    ];
    const SourcePolicies = [{ version: 1, rules }];
    const policy: SourcePolicy = {
      name: 'of the frontend',
      rules: [
        { action: 'DENY', selector: { identifier: '*', matchType: 'EXACT', constraints: [] } },
        {
          action: 'CONVERT',
          selector: {
            identifier: 'a.*',
            matchType: 'REGEX',
            constraints: [{ key: 'k', value: 'v', condition: 'MATCHES' }],
          },
          updates: { identifier: 'b', attrs: new Map([['k', 'w']]) },
        },
      ],
    };
    const seen: (readonly SourcePolicy[])[] = [];
    const converted = decodeDefinition(definitionBytes('converted'));
    const host = hostOf({});
    const result = { refs: { kind: 'one', definition: converted }, metadata: new Map() } as const;
    await using served = await serve({
      ...host,
      load: (definition, policies) => {
        seen.push(policies);
        return { ...host.load(definition, policies), definition: converted };
      },
      frontend: async ({ policies }) => {
        seen.push(policies);
        return result;
      },
      resolveImage: async ({ policies, reference }) => {
        seen.push(policies);
        return { reference, digest: 'd', config: Buffer.from('{}') };
      },
      policed: (_source, policies) => {
        seen.push(policies);
        return { kind: 'source', identifier: 'docker-image://b', attrs: new Map([['k', 'w']]) };
      },
    });
    const { call } = served.client;
    const definition = definitionBytes('given');
    const { ref } = (await call('Solve', { ...SOLVE, Definition: definition, SourcePolicies }))['result'];
    // It goes on building on what it sent; what it returns is what the policies made of it.
    expect(ref.def).toEqual(Buffer.from(definition));
    await call('Solve', { ...SOLVE, Frontend: 'dockerfile.v0', SourcePolicies });
    await call('ResolveImageConfig', { Ref: 'a', SourcePolicies });
    expect(await call('ResolveSourceMeta', { Source: { identifier: 'git://a' }, SourcePolicies })).toMatchObject({
      Source: { identifier: 'docker-image://b', attrs: { k: 'w' } },
      Image: { Digest: 'd' },
    });
    expect(seen).toEqual(Array.from({ length: 6 }, () => [policy]));
    await call('Return', { result: { ref: { id: ref.id } } });
    expect(served.bridge.returned).toMatchObject({ result: { refs: { kind: 'one', definition: converted } } });
  });

  test('gets the inputs of the build, and warns', async () => {
    const host = hostOf({}, { inputs: new Map([['context', { def: [Buffer.from('x')], metadata: new Map() }]]) });
    await using served = await serve(host);
    const { Definitions } = await served.client.call('Inputs');
    expect(Object.keys(Definitions)).toEqual(['context']);
    await served.client.call('Warn', { short: Buffer.from('careful') });
    expect(host.log).toEqual(['warning careful']);
  });
});

describe('a frontend that asks for too much, or for what there is not', () => {
  test('is told what is not supported', async () => {
    await using served = await serve(hostOf({}));
    const status = async (method: string, request?: Message): Promise<string> => {
      const { code, details } = await served.status(method, request);
      return `${code} ${details}`;
    };
    expect(await status('Unheard')).toMatch(/^12 unknown method/);
    const nothing = { ...SOLVE, Definition: definitionBytes(), SourcePolicies: [{ rules: [{}] }] };
    expect(await status('Solve', nothing)).toMatch(/^2 .*rule 1 has no selector/);
    expect(await status('ResolveImageConfig', { Ref: 'a', SourcePolicies: [{ version: 3 }] })).toMatch(
      /^2 .*its version is 3/,
    );
    expect(await status('Solve', { ...SOLVE, Final: true })).toMatch(/^12 /);
    expect(await status('Solve', { ...SOLVE, Future: 'x' })).toMatch(/^3 .*unknown field 99/);
    expect(await status('Solve', { ...SOLVE, Definition: definitionBytes(), Frontend: 'f' })).toMatch(
      /^3 cannot solve/,
    );
    expect(await status('Solve', { ...SOLVE, Definition: Buffer.from('nonsense') })).toMatch(/^3 Cannot read LLB/);
    expect(await status('ResolveImageConfig', { Ref: 'a', ResolveMode: 'x' })).toMatch(/^3 invalid resolvemode/);
    expect(await status('ResolveSourceMeta', {})).toMatch(/^3 source is required/);
    const chain = { Source: { identifier: 'docker-image://a' }, Image: { AttestationChain: true } };
    expect(await status('ResolveSourceMeta', chain)).toMatch(/^12 .*attestations/);
    expect(await status('Return', {})).toMatch(/^3 .*either result or err/);
    expect(served.bridge.returned).toBeUndefined();
  });

  test('knows only references that it was given', async () => {
    await using served = await serve(hostOf({}));
    for (const Ref of ['', '0'.repeat(24), '../../etc'])
      for (const [method, more] of [
        ['ReadFile', { FilePath: 'x' }],
        ['ReadDir', {}],
        ['StatFile', {}],
        ['Evaluate', {}],
      ] as const)
        expect(await served.status(method, { Ref, ...more })).toMatchObject({ code: 3 });
    expect(await served.status('Return', { result: { ref: { id: 'f'.repeat(24) } } })).toMatchObject({ code: 3 });
    expect(served.bridge.returned).toBeUndefined();
  });

  test('is told of files that are not there in words that it knows', async () => {
    await using served = await serve(hostOf({ f: 'x' }));
    const { id } = (await served.client.call('Solve', { ...SOLVE, Definition: definitionBytes() }))['result'].ref;
    const missing = { code: 5, details: expect.stringContaining('no such file or directory') as string };
    expect(await served.status('ReadFile', { Ref: id, FilePath: 'none' })).toEqual(missing);
    expect(await served.status('StatFile', { Ref: id, Path: 'none' })).toEqual(missing);
    expect(await served.status('ReadDir', { Ref: id, DirPath: 'f' })).toEqual(missing);
    for (const Range of [
      { Offset: -1, Length: 1 },
      { Offset: 0, Length: -1 },
      { Offset: 2 ** 40, Length: 1 },
    ])
      expect(await served.status('ReadFile', { Ref: id, FilePath: 'f', Range })).toMatchObject({ code: 8 });
  });

  test('has so many results, so many bytes of definitions and so many warnings', async () => {
    const host = hostOf({});
    await using served = await serve(host, { maxSolves: 3, maxWarnings: 2 });
    const definition = { ...SOLVE, Definition: definitionBytes() };
    for (let count = 0; count < 3; count++) expect(await served.status('Solve', definition)).toMatchObject({ code: 0 });
    expect(await served.status('Solve', definition)).toMatchObject({
      code: 8,
      details: expect.stringContaining('3') as string,
    });
    for (let count = 0; count < 4; count++) await served.client.call('Warn', { short: Buffer.from('w') });
    expect(host.log.filter((line) => line.startsWith('warning'))).toHaveLength(2);
    await using other = await serve(hostOf({}), { maxDefinitionBytes: 100 });
    expect(await other.status('Solve', { ...SOLVE, Definition: definitionBytes('x'.repeat(200)) })).toMatchObject({
      code: 8,
    });
  });
});

describe('an error that a frontend returns', () => {
  test('is what its call failed of, where it only passes that on', async () => {
    const own = new TsbuildError('TSB_NETWORK', 'Cannot resolve "/home/me/a": no network', { hint: 'try again' });
    const host = hostOf({}, { resolveImage: () => Promise.reject(own) });
    await using served = await serve(host);
    expect(
      await served.status('ResolveImageConfig', { Ref: 'a', Platform: { OS: 'linux', Architecture: 'amd64' } }),
    ).toEqual({
      code: 2,
      // Where on this machine is nobody's business.
      details: 'Cannot resolve "<context>/a": no network',
    });
    await served.client.call('Return', {
      error: { code: 2, message: 'building: Cannot resolve "<context>/a": no network' },
    });
    expect(served.bridge.returned).toEqual({ kind: 'error', error: own });
  });

  test('else is its own, with the lines that it names', async () => {
    await using served = await serve(hostOf({}));
    const value = Buffer.from(
      JSON.stringify({
        info: { filename: 'build.yaml' },
        ranges: [{ start: { line: 3 }, end: { line: 4 } }, { start: {} }, 7],
      }),
    );
    const details = [
      { typeUrl: 'github.com/moby/buildkit/errdefs.Source+json', value },
      { typeUrl: 'x', value },
    ];
    await served.client.call('Return', { error: { code: 3, message: ' no such key \n', details } });
    expect(served.bridge.returned).toMatchObject({
      kind: 'error',
      error: {
        code: 'TSB_DOCKERFILE',
        message: 'no such key',
        ranges: [{ file: 'build.yaml', startLine: 3, endLine: 4 }],
      },
    });
  });

  test('may have no words, and details that are nonsense', async () => {
    for (const value of ['', '{', 'null', '{"ranges":7}', '{"ranges":[{"start":{"line":-1}}]}']) {
      await using served = await serve(hostOf({}));
      await served.client.call('Return', {
        error: { code: 13, message: '', details: [{ typeUrl: 'errdefs.Source', value: Buffer.from(value) }] },
      });
      expect(served.bridge.returned).toMatchObject({
        error: { message: expect.stringContaining('status 13') as string, ranges: [] },
      });
    }
  });
});

test('the platform of a request is the machine’s where it has none', async () => {
  const seen: unknown[] = [];
  const host = hostOf(
    {},
    {
      resolveImage: async ({ platform }) => {
        seen.push(platform);
        return { reference: 'r', digest: 'd', config: Buffer.from('{}') };
      },
    },
  );
  await using served = await serve(host);
  await served.client.call('ResolveImageConfig', { Ref: 'a' });
  await served.client.call('ResolveImageConfig', { Ref: 'a', Platform: { OS: 'linux', Architecture: 'x86_64' } });
  expect(seen).toEqual([expect.objectContaining({ os: 'linux' }), AMD64]);
});
