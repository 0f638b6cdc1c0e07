import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dockerfileOptions } from '../../src/engine/compile/dockerfile-options.ts';
import { type FrontendBuild, FrontendHost } from '../../src/engine/compile/frontend-host.ts';
import { frontendOptions } from '../../src/engine/compile/frontend-options.ts';
import { wantedFrontend } from '../../src/engine/compile/wanted-frontend.ts';
import { type CompileOptions, kindOfFrontend } from '../../src/frontend/index.ts';
import { hostPlatform } from '../../src/image/index.ts';

const file = (text: string): { readonly name: string; readonly text: string } => ({ name: 'Dockerfile', text });
const asked = (
  text: string,
  { syntax, allow = [] as readonly string[] }: { readonly syntax?: string; readonly allow?: readonly string[] } = {},
): ReturnType<typeof wantedFrontend> =>
  wantedFrontend(
    { buildArgs: new Map(syntax === undefined ? [] : [['BUILDKIT_SYNTAX', syntax]]), entitlements: new Set(allow) },
    file(text),
  );
const FROM = '\nFROM scratch\n';
const allow = ['frontend'];

describe('who reads a file', () => {
  test.each([
    'docker/dockerfile', 'docker/dockerfile:1', 'docker/dockerfile:1.7-labs', 'docker.io/docker/dockerfile:1', 'dockerfile.v0',
    'docker/dockerfile-upstream:master', `docker/dockerfile:1@sha256:${'0'.repeat(64)}`, 'index.docker.io/docker/dockerfile',
  ])('Docker’s own is built in: %s', (name) => {
    expect(asked(`# syntax=${name}${FROM}`)).toBeUndefined();
    expect(asked(`# syntax=${name}${FROM}`, { allow })).toBeUndefined();
    expect(asked(FROM, { syntax: name, allow })).toBeUndefined();
  }); // oxfmt-ignore

  test.each([
    'evil/dockerfile',
    'docker/dockerfile-evil',
    'docker/dockerfiles',
    'evil.io/docker/dockerfile/x',
    'xdocker/dockerfile',
    'docker.io.evil.com/x',
  ])('others are asked for, and may not run by themselves (PAR-07): %s', (name) => {
    expect(kindOfFrontend({ source: name, cmdline: name })).toBe('image');
    expect(() => asked(`# syntax=${name} arg${FROM}`)).toThrow(`"${name}"`);
    expect(asked(`# syntax=${name} arg${FROM}`, { allow })).toEqual({ source: name, cmdline: `${name} arg` });
  });

  test('a mirror of Docker’s is taken for it, unless images may run', () => {
    const text = `# syntax=mirror.example:5000/hub/docker/dockerfile:1${FROM}`;
    expect(asked(text)).toBeUndefined();
    expect(asked(text, { allow })?.source).toBe('mirror.example:5000/hub/docker/dockerfile:1');
  });

  test('the error names the line, and what to type', () => {
    try {
      asked(`# syntax=a/b:1${FROM}`);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'TSB_DOCKERFILE',
        message: expect.stringContaining('"a/b:1"') as string,
        hint: expect.stringContaining('--allow frontend') as string,
        ranges: [{ file: 'Dockerfile', startLine: 1, endLine: 1 }],
      });
    }
  });

  test('the build argument counts before the file, and files may be of any kind', () => {
    expect(asked(`# syntax=a/b${FROM}`, { syntax: 'docker/dockerfile:1' })).toBeUndefined();
    expect(asked(`# syntax=docker/dockerfile:1${FROM}`, { syntax: 'a/b', allow })?.source).toBe('a/b');
    expect(asked('// syntax=a/b\n', { allow })?.source).toBe('a/b');
    expect(asked('{"syntax": "a/b"}', { allow })?.source).toBe('a/b');
    expect(asked(FROM)).toBeUndefined();
  });

  test.each(['/etc/passwd', './here', 'a b'.replace(' ', '//'), '-x', 'a/UPPER', '../x'])(
    'what is no name of an image is refused: %s',
    (name) => {
      expect(() => asked(`# syntax=${name}${FROM}`, { allow })).toThrow('no name of an image');
    },
  );
});

const base: CompileOptions = {
  context: { kind: 'local', name: 'context' },
  platforms: [],
  buildPlatform: hostPlatform(),
  buildArgs: new Map(),
  labels: new Map(),
  namedContexts: new Map(),
  extraHosts: [],
  ulimits: [],
};
const syntax = { source: 'a/b', cmdline: 'a/b c' };

describe('options of frontends', () => {
  test('have BuildKit’s names', () => {
    const options = frontendOptions(
      {
        ...base,
        context: { kind: 'remote', url: 'https://h/r.git' },
        filename: 'x.yaml',
        target: 't',
        platforms: [
          { os: 'linux', architecture: 'amd64' },
          { os: 'linux', architecture: 'arm', variant: 'v7' },
        ],
        buildArgs: new Map([['a', '1']]),
        labels: new Map([['l', '']]),
        namedContexts: new Map([['n', 'docker-image://x']]),
        noCache: true,
        imageResolveMode: 'pull',
        network: 'none',
        extraHosts: [{ host: 'h', ip: '::1' }],
        hostname: 'me',
        shmSize: 5,
        ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
        linuxResources: {
          memory: 7,
          memorySwap: 0,
          cpuShares: 0,
          cpuPeriod: 0,
          cpuQuota: 0,
          cpusetCpus: '0-1',
          cpusetMems: '',
        },
      },
      syntax,
    );
    expect(Object.fromEntries(options)).toEqual({
      source: 'a/b', cmdline: 'a/b c', filename: 'x.yaml', context: 'https://h/r.git', target: 't', platform: 'linux/amd64,linux/arm/v7',
      'build-arg:a': '1', 'label:l': '', 'context:n': 'docker-image://x', 'no-cache': '', 'image-resolve-mode': 'pull',
      'force-network-mode': 'none', 'add-hosts': 'h=::1', hostname: 'me', 'shm-size': '5', ulimit: 'nofile=1:2', memory: '7', cpusetcpus: '0-1',
    }); // oxfmt-ignore
  });

  test('come back as they went out', () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
    const values = fc.dictionary(word, fc.string(), { maxKeys: 3 }).map((entries) => new Map(Object.entries(entries)));
    const options = fc.record(
      {
        filename: word,
        target: word,
        platforms: fc.subarray([
          { os: 'linux', architecture: 'amd64' },
          { os: 'linux', architecture: 'arm64' },
        ]),
        buildArgs: values,
        labels: values,
        namedContexts: values,
        noCache: fc.oneof(fc.constant(true as const), fc.array(word, { minLength: 1, maxLength: 3 })),
        network: fc.constantFrom('host' as const, 'none' as const),
        extraHosts: fc.array(fc.record({ host: word, ip: fc.constantFrom('1.2.3.4', '::1') }), { maxLength: 2 }),
        hostname: word,
        shmSize: fc.integer({ min: 1, max: 2 ** 40 }),
        ulimits: fc.array(
          fc.record({
            name: fc.constantFrom('nofile', 'core'),
            soft: fc.integer({ min: -1, max: 99 }),
            hard: fc.integer({ min: -1, max: 99 }),
          }),
          { maxLength: 2 },
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(options, (some) => {
        const before: CompileOptions = { ...base, filename: 'Dockerfile', imageResolveMode: 'default', ...some };
        expect(dockerfileOptions(frontendOptions(before, syntax))).toEqual(before);
      }),
    );
  });

  test.each([
    ['annotation:x', 'y'], ['sbom', ''], ['shm-size', 'many'], ['ulimit', 'x'], ['add-hosts', 'h'], ['force-network-mode', 'up'],
    ['image-resolve-mode', 'often'], ['platform', '/'], ['memory', '1e9'], ['unknown', 'x'], ['build-arg:', 'x'],
  ])('that mean something else are refused: %s=%s', (key, value) => {
    expect(() => dockerfileOptions(new Map([[key, value]]))).toThrow(/Cannot use/);
  }); // oxfmt-ignore
});

test('a frontend is not told where on this machine its directories are', () => {
  const locals = new Map([
    ['context', '/home/me/app'],
    ['dockerfile', '/home/me/app/build'],
    ['root', '/'],
  ]);
  const build = {
    names: { locals, layouts: new Map([['layout-0', '/srv/l']]) },
    session: { store: { root: '/var/s' } },
  };
  const host = new FrontendHost(build as unknown as FrontendBuild, new Map());
  expect(host.conceal('Cannot read "/home/me/app/x", "/home/me/app/build/y", "/srv/l" in /var/s/blobs')).toBe(
    'Cannot read "<context>/x", "<dockerfile>/y", "<layout-0>" in <store>/blobs',
  );
});
