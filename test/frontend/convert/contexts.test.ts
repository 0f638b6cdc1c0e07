import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { image, marshal } from '../../../src/llb/index.ts';
import {
  type Asked,
  amd64,
  compile,
  config,
  failure,
  history,
  imageConfig,
  names,
  opNamed,
  vertices,
} from './support.ts';

const HEX = 'b'.repeat(64);

function sources(result: Awaited<ReturnType<typeof compile>>): readonly unknown[] {
  return vertices(result).flatMap(({ op }) =>
    op.body?.kind === 'source' ? [[op.body.identifier, Object.fromEntries(op.body.attrs)]] : [],
  );
}

describe('the build context', () => {
  test('needs the paths that are read, without what is ignored', async () => {
    const files = { 'context/.dockerignore': '# x\n*.log\n!keep.log\n' };
    const result = await compile('FROM scratch\nCOPY b ./a/ /x/\nADD http://h/f c /y/\n', {}, { files });
    expect(sources(result)).toContainEqual([
      'local://context',
      {
        'local.excludepatterns': '["*.log","!keep.log"]',
        'local.followpaths': '["a","b","c"]',
        'local.sharedkeyhint': 'context',
      },
    ]);
  });

  test('an ignore file beside the Dockerfile wins', async () => {
    const asked: Asked = { images: [], files: [] };
    const files = {
      'dockerfile/dir/App': 'FROM scratch\nCOPY a /\n',
      'dockerfile/dir/App.dockerignore': 'a',
      'context/.dockerignore': 'b',
    };
    const result = await compile('', { filename: 'dir/App' }, { files }, asked);
    expect(opNamed(result, 'load build context')).toMatchObject({
      source: { attrs: { 'local.excludepatterns': '["a"]' } },
    });
    expect(asked.files).toEqual(['dockerfile/dir/App', 'dockerfile/dir/App.dockerignore']);
    expect(result.diagnostics.map((one) => one.message)).toEqual([
      'Attempting to Copy file "a" that is excluded by .dockerignore',
    ]);
  });

  test('dockerfile stands in for Dockerfile, and for nothing else', async () => {
    const files = { 'dockerfile/dockerfile': 'FROM scratch\nCOPY a /\n' };
    const only = { ...files, 'dockerfile/Dockerfile': undefined as unknown as string };
    expect(names(await compile('', {}, { files: only }))).toHaveLength(2);
    expect(await failure('', { filename: 'Other' }, { files: only })).toMatch(/failed to read dockerfile: open Other/);
  });

  test('is a git repository, with the Dockerfile in it', async () => {
    const url = 'https://host.test/a/b.git?branch=main&keep-git-dir=1#:sub/dir';
    const remote = { Dockerfile: 'FROM scratch\nCOPY . /\n', '.dockerignore': 'x' };
    const result = await compile('', { context: { kind: 'remote', url } }, { remote });
    expect(sources(result)).toEqual([
      [
        'git://host.test/a/b.git#refs/heads/main:sub/dir',
        {
          'git.authheadersecret': 'GIT_AUTH_HEADER',
          'git.authtokensecret': 'GIT_AUTH_TOKEN',
          'git.fullurl': 'https://host.test/a/b.git',
          'git.keepgitdir': 'true',
        },
      ],
    ]);
  });

  test('is an archive from the web, unpacked', async () => {
    const remote = { context: gzipSync('tar'), Dockerfile: 'FROM scratch\nCOPY a /\n' };
    const options = { context: { kind: 'remote', url: 'https://h/c.tgz' }, contextSubdir: 'sub' } as const;
    const result = await compile('', options, { remote });
    expect(sources(result)).toEqual([['https://h/c.tgz', { 'http.filename': 'context' }]]);
    expect(names(result)).toEqual([
      '[internal] load remote build context',
      'copy /context /',
      'copy /sub /',
      '[1/1] COPY a /',
    ]);
  });

  test('is one file from the web, which is the Dockerfile', async () => {
    const remote = { context: 'FROM scratch\nADD context /d\n' };
    const result = await compile('', { context: { kind: 'remote', url: 'http://h/Dockerfile' } }, { remote });
    expect(names(result).at(-1)).toBe('[1/1] ADD context /d');
  });

  test('is an archive from standard input, unpacked', async () => {
    const remote = { Dockerfile: 'FROM scratch\nCOPY a /\n' };
    const result = await compile('', { context: { kind: 'archive', local: 'stdin', path: 'context.tar' } }, { remote });
    expect(sources(result)).toEqual([
      ['local://stdin', { 'local.followpaths': '["context.tar"]', 'local.sharedkeyhint': 'stdin' }],
    ]);
    expect(names(result)[1]).toBe('copy /context.tar /');
  });

  test('is nothing, for a Dockerfile that needs none', async () => {
    const dockerfile = { name: '-', text: 'FROM scratch\nCOPY a /\n' };
    const result = await compile('', { context: { kind: 'empty' }, dockerfile });
    expect(opNamed(result, 'COPY')).toMatchObject({ file: { actions: [{ input: '-1', secondaryInput: '-1' }] } });
  });

  test('is refused when it is neither directory nor URL', async () => {
    expect(await failure('', { context: { kind: 'remote', url: 'ftp://x' } })).toMatch(/neither a directory nor a URL/);
    expect(await failure('', { context: { kind: 'remote', url: 'https://h/x.git?nope=1' } })).toMatch(
      /unexpected query "nope"/,
    );
  });
});

describe('named contexts', () => {
  const named = (entries: Readonly<Record<string, string>>) => ({ namedContexts: new Map(Object.entries(entries)) });

  test('stand in for images, whatever way they are spelled', async () => {
    const images = { 'docker.io/library/other:1': { Env: ['X=1'], WorkingDir: '/o', Labels: { a: 'b' } } };
    const options = named({ 'docker.io/library/base:latest': 'docker-image://other:1' });
    const result = await compile('FROM base\nRUN echo\n', options, { images });
    expect(names(result)[0]).toBe('[context base] other:1');
    expect(opNamed(result, 'RUN')).toMatchObject({
      exec: { meta: { cwd: '/o', env: expect.arrayContaining(['X=1']) } },
    });
    expect(config(result).config.Labels).toEqual({ a: 'b' });
  });

  test('stand in for stages, whose commands are not run then', async () => {
    const text = 'FROM alpine AS mid\nRUN never\nFROM mid\nRUN echo\n';
    const result = await compile(text, named({ mid: 'docker-image://alpine' }));
    expect(names(result).join()).not.toContain('never');
  });

  test('apply to one platform when they say so', async () => {
    const result = await compile('FROM base\nCOPY a /\n', {
      ...named({ base: 'docker-image://scratch', 'base::linux/arm64': 'docker-image://alpine' }),
      platforms: [amd64, { os: 'linux', architecture: 'arm64' }],
    });
    expect(names(result, 0).join()).not.toContain('alpine');
    expect(names(result, 1)).toContain('[context base::linux/arm64] alpine');
  });

  test('local ones have an ignore file of their own and give what is read', async () => {
    const files = { 'docs/.dockerignore': 'secret' };
    const text = 'FROM scratch\nCOPY --from=docs a /\nCOPY --from=docs b /\n';
    const result = await compile(text, named({ docs: 'local:docs' }), { files });
    expect(sources(result)).toEqual([
      [
        'local://docs',
        { 'local.excludepatterns': '["secret"]', 'local.followpaths': '["a"]', 'local.sharedkeyhint': 'context:docs-' },
      ],
      [
        'local://docs',
        { 'local.excludepatterns': '["secret"]', 'local.followpaths': '["b"]', 'local.sharedkeyhint': 'context:docs-' },
      ],
    ]);
  });

  test('come from layouts, git, the web and other targets', async () => {
    const asked: Asked = { images: [], files: [] };
    const images = { [`docker.io/library/lay@sha256:${HEX}`]: {} };
    const definition = marshal(image('docker.io/library/in:1', { platform: amd64 }), { platform: amd64 });
    const inputs = async (name: string) =>
      name === 'target' ? { definition, config: imageConfig({ User: 'u' }) } : undefined;
    const text = 'FROM in\nCOPY --from=lay / /\nCOPY --from=repo / /\nCOPY --from=web / /\n';
    const options = named({
      in: 'input:target',
      lay: `oci-layout://store@sha256:${HEX}`,
      repo: 'https://h/r.git#main',
      web: 'https://h/file',
    });
    const result = await compile(text, options, { images, inputs }, asked);
    expect(asked.images).toEqual([`store!docker.io/library/lay@sha256:${HEX}`]);
    expect(config(result).config.User).toBe('u');
    expect(sources(result).map((one) => (one as string[])[0])).toEqual([
      'docker-image://docker.io/library/in:1',
      `oci-layout://docker.io/library/lay@sha256:${HEX}`,
      'git://h/r.git#main',
      'https://h/file',
    ]);
  });

  test.each([
    ['nothing', /invalid context specifier nothing for base/],
    ['ftp://x', /unsupported context source ftp for base/],
    ['oci-layout://store', /has no digest/],
    ['input:gone', /invalid input gone for base/],
    ['git://', /.*/],
  ])('%s is refused when it is needed', async (value, message) => {
    expect(await failure('FROM base\nRUN x\n', named({ base: value }))).toMatch(message);
    expect(await failure('FROM alpine\nRUN x\n', named({ base: value }))).toBe('compiled');
  });
});

describe('SOURCE_DATE_EPOCH (REP-12)', () => {
  const epoch = (value: string) => ({ buildArgs: new Map([['SOURCE_DATE_EPOCH', value]]) });

  test('dates history, directories and later steps', async () => {
    const result = await compile('FROM alpine\nARG SOURCE_DATE_EPOCH\nWORKDIR /w\nRUN x\n', epoch('1700000000'));
    expect(result.platforms[0]?.epoch).toBe(1_700_000_000);
    expect(config(result).history.map((entry) => entry.created)).toEqual([
      undefined,
      ...Array<string>(3).fill('2023-11-14T22:13:20Z'),
    ]);
    expect(opNamed(result, 'WORKDIR')).toMatchObject({
      file: { actions: [{ mkdir: { timestamp: '1700000000000000000' } }] },
    });
    expect(history(result).at(-1)).toBe('RUN |1 SOURCE_DATE_EPOCH=1700000000 /bin/sh -c x # buildkit');
  });

  test('is the age of a stage that is one remote file, of a named context or of the context', async () => {
    const world = { times: 5, remote: { Dockerfile: 'FROM alpine\nRUN x\n' } };
    const text = 'FROM scratch AS src\nARG V=1\nADD https://h/$V.tar /\nFROM alpine\nRUN x\n';
    expect((await compile(text, epoch('SRC'), world)).platforms[0]?.epoch).toBe(5);
    const repo = { ...epoch('repo'), namedContexts: new Map([['repo', 'https://h/r.git']]) };
    expect((await compile('FROM alpine\nRUN x\n', repo, world)).platforms[0]?.epoch).toBe(5);
    const remote = { ...epoch('context'), context: { kind: 'remote', url: 'https://h/r.git' } as const };
    expect((await compile('', remote, world)).platforms[0]?.epoch).toBe(5);
    expect((await compile('FROM alpine\nRUN x\n', epoch('context'), world)).platforms[0]?.epoch).toBeUndefined();
  });

  test.each([
    'abc',
    '1e10',
    '1.5',
    '0x10',
    ' 1',
    '1 ',
    '99999999999999999999',
    '253402300800',
    '-62167219201',
    '--1',
    '٣',
  ])('%j is no time', async (value) => {
    expect(await failure('FROM alpine\nRUN x\n', epoch(value))).toMatch(/^invalid SOURCE_DATE_EPOCH/);
  });

  test('what the user gives comes before what the Dockerfile says, and empty is none', async () => {
    const text = 'ARG SOURCE_DATE_EPOCH=5\nFROM alpine\nRUN x\n';
    expect((await compile(text)).platforms[0]?.epoch).toBe(5);
    expect((await compile(text, epoch('7'))).platforms[0]?.epoch).toBe(7);
    expect((await compile('FROM alpine\nRUN x\n', epoch('0'))).platforms[0]?.epoch).toBe(0);
    // As Go reads numbers.
    expect((await compile('FROM alpine\nRUN x\n', epoch('-1'))).platforms[0]?.epoch).toBe(-1);
    expect(config(await compile('FROM alpine\nRUN x\n', epoch('253402300799'))).history.at(-1)?.created).toBe(
      '9999-12-31T23:59:59Z',
    );
    expect((await compile('FROM alpine\nRUN x\n', epoch(''))).platforms[0]?.epoch).toBeUndefined();
    expect((await compile('FROM alpine\nARG SOURCE_DATE_EPOCH=5\nRUN x\n')).platforms[0]?.epoch).toBeUndefined();
  });

  test.each([
    ['FROM alpine\n', 'invalid SOURCE_DATE_EPOCH: s @'],
    ['FROM alpine AS s\nFROM alpine\n', 'SOURCE_DATE_EPOCH stage must use FROM scratch @1'],
    ['FROM scratch AS s\nRUN x\nFROM alpine\n', /source-only requirements: unsupported RUN instruction @1/],
    ['FROM scratch AS s\nADD a /\nFROM alpine\n', /must be a single HTTP\(S\) or Git ADD @1/],
    ['FROM scratch AS s\nFROM alpine\n', /exactly one remote ADD @1/],
  ])('%j gives %s', async (text, message) => {
    const given = await failure(text, epoch('s'));
    if (typeof message === 'string') expect(given).toBe(message);
    else expect(given).toMatch(message);
  });
});
