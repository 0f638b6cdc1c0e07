import { describe, expect, test } from 'vitest';
import { type Asked, amd64, arm64, compile, config, failure, history, names, vertices } from './support.ts';

const DIGEST = `@sha256:${'a'.repeat(64)}`;

describe('stages', () => {
  test('only bases of stages that are needed are resolved', async () => {
    const asked: Asked = { images: [], files: [] };
    const text = 'FROM missing AS unused\nRUN x\nFROM alpine AS used\nFROM used\nRUN y\n';
    const result = await compile(text, {}, {}, asked);
    expect(asked.images).toEqual(['docker.io/library/alpine:latest']);
    expect(names(result)).toEqual([`[used 1/1] FROM docker.io/library/alpine:latest${DIGEST}`, '[stage-2 1/1] RUN y']);
  });

  test('a target leaves later stages alone', async () => {
    const result = await compile('FROM alpine AS a\nRUN x\nFROM missing\n', { target: 'A' });
    expect(names(result)).toHaveLength(2);
    expect(config(result).history.at(-1)?.created_by).toBe('RUN /bin/sh -c x # buildkit');
  });

  test('all stages are lowered when they are to be checked', async () => {
    expect(await failure('FROM alpine AS a\nCOPY --chmod=9 a b\nFROM scratch\n', { allStages: true })).toMatch(
      /invalid chmod.*@2/,
    );
    expect(await failure('FROM alpine AS a\nCOPY --chmod=9 a b\nFROM scratch\n')).toBe('compiled');
  });

  test('base variables: global ones only, build arguments over defaults', async () => {
    const text = 'ARG NAME=missing\nARG REF=$NAME:${TAG-3}\nFROM $REF\nARG NAME\nRUN echo\n';
    const images = { 'docker.io/library/alpine:3': {} };
    const result = await compile(text, { buildArgs: new Map([['NAME', 'alpine']]) }, { images });
    expect(names(result)[0]).toContain('alpine:3');
    expect(history(result).at(-1)).toBe('RUN |1 NAME=alpine /bin/sh -c echo # buildkit');
  });

  test.each([
    ['FROM alpine\nCOPY --from=later / /\nFROM alpine AS later\n', 'compiled'],
    [
      'FROM alpine AS a\nCOPY --from=later / /\nFROM scratch AS later\nFROM a\n',
      'cannot copy from stage "later", it needs to be defined before current stage "a" @2',
    ],
    [
      'FROM alpine AS a\nRUN --mount=from=later,target=/x true\nFROM scratch AS later\nADD a b\nFROM a\n',
      'cannot mount from stage "later" to "/x", stage needs to be defined before current command @2',
    ],
    [
      'FROM alpine AS a\nCOPY --from=b / /\nFROM alpine AS b\nCOPY --from=a / /\n',
      'circular dependency detected on stage: a @2,4',
    ],
    ['FROM alpine\nCOPY --from=7 / /\n', 'invalid stage index 7 @2'],
    ['FROM alpine\nCOPY --from=$x / /\n', /variable expansion is not supported for --from.*@2/],
    [
      'FROM Alpine\n',
      /failed to parse stage name "Alpine": invalid reference format: repository name \(library\/Alpine\) must be lowercase @1/,
    ],
    ['FROM ${x}\n', 'base name (${x}) should not be blank @1'],
    ['FROM --platform=$y alpine\n', 'empty platform value from expression $y @1'],
    ['ARG a=${b?no}\nFROM alpine\n', /b: no.*@1/],
    ['FROM alpin\n', /alpin: .*not found \(did you mean alpine\?\) @1/],
    ['FROM alpine\nRUN a\0b\n', 'dockerfile parse error on line 2: there is a NUL character @2'],
    ['FROM alpine\nRUN []\n', /arguments are required|@2/],
    ['ARG x\n', 'dockerfile contains no stages to build @'],
    ['', /the Dockerfile cannot be empty|file with no instructions/],
  ])('%j gives %s', async (text, message) => {
    const given = await failure(text);
    if (typeof message === 'string') expect(given).toBe(message);
    else expect(given).toMatch(message);
  });

  test('a target that is not there gets a suggestion', async () => {
    expect(await failure('FROM alpine AS build\n', { target: 'bulid' })).toBe(
      'target stage "bulid" could not be found (did you mean build?) @',
    );
    expect(await failure('FROM alpine AS build\n', { target: '0' })).toBe('compiled');
  });

  test('steps of chosen stages are run anew', async () => {
    const text = 'FROM alpine AS a\nRUN x\nCOPY b /\nFROM a AS c\nRUN y\n';
    const anew = async (noCache: true | readonly string[]): Promise<readonly string[]> =>
      vertices(await compile(text, { noCache }))
        .filter((one) => one.ignoreCache)
        .map((one) => one.name.replace(/^.*\] /, ''));
    expect(await anew(true)).toEqual(['RUN x', 'COPY b /', 'RUN y']);
    expect(await anew(['A'])).toEqual(['RUN x', 'COPY b /']);
  });
});

describe('platforms', () => {
  test('share what does not depend on them', async () => {
    const text = 'FROM --platform=$BUILDPLATFORM alpine AS build\nRUN make\nFROM alpine\nCOPY --from=build /out /\n';
    const result = await compile(text, { platforms: [amd64, arm64] });
    expect(result.multiPlatform).toBe(true);
    expect(result.platforms.map((one) => one.id)).toEqual(['linux/amd64', 'linux/arm64']);
    const make = (index: number) => vertices(result, index).find((one) => one.name.includes('RUN make'));
    expect(make(0)).toBe(make(1));
    expect(names(result, 1)).toContain(`[linux/arm64 stage-1 2/2] COPY --from=build /out /`);
    expect(result.platforms.map((one) => one.config.architecture)).toEqual(['amd64', 'arm64']);
  });

  test('a cross build shows in the names of its steps', async () => {
    const text = 'FROM --platform=$BUILDPLATFORM alpine\nARG TARGETARCH\nRUN cc\n';
    const result = await compile(text, {
      platforms: [{ os: 'linux', architecture: 'arm', variant: 'v7' }],
      multiPlatform: true,
    });
    expect(names(result)[1]).toBe('[linux/amd64->arm/v7 2/2] RUN cc');
    expect(result.platforms[0]?.id).toBe('linux/arm/v7');
  });

  test('the config is that of the platform asked for, and of the image when none was', async () => {
    const images = { 'docker.io/library/alpine:latest': { arch: 's390x' } };
    const asked = await compile('FROM alpine\n', { platforms: [arm64] }, { images });
    expect(config(asked)).toMatchObject({ os: 'linux', architecture: 'arm64' });
    expect(asked.diagnostics.map((one) => one.code)).toEqual(['InvalidBaseImagePlatform']);
    expect(config(await compile('FROM alpine\n', {}, { images })).architecture).toBe('s390x');
  });

  test('one platform can be asked for as an index, several cannot be asked for as none', async () => {
    const args = (value: string) => new Map([['BUILDKIT_MULTI_PLATFORM', value]]);
    expect((await compile('FROM scratch\nCOPY a /\n', { buildArgs: args('1') })).multiPlatform).toBe(true);
    expect(await failure('FROM alpine\n', { platforms: [amd64, arm64], buildArgs: args('0') })).toMatch(
      /conflicting config/,
    );
    expect(await failure('FROM alpine\n', { buildArgs: args('maybe') })).toMatch(
      /invalid boolean value for multi-platform: maybe/,
    );
  });

  test('predefined arguments can be used in FROM and overridden', async () => {
    const text =
      'FROM alpine AS build-linux\nFROM build-${TARGETOS} AS x\nARG TARGETPLATFORM\nARG TARGETSTAGE\nRUN y\n';
    const result = await compile(text, { buildArgs: new Map([['TARGETPLATFORM', 'mine']]) });
    expect(history(result).at(-1)).toBe('RUN |2 TARGETPLATFORM=mine TARGETSTAGE=x /bin/sh -c y # buildkit');
  });

  test('paths of Windows images lose their drive', async () => {
    const windows = { os: 'windows', architecture: 'amd64' };
    const text = '# escape=`\nFROM scratch\nWORKDIR C:\\app\nCOPY a .\\bin\\\n';
    const result = await compile(text, { platforms: [windows] });
    expect(config(result).config.WorkingDir).toBe('\\app');
    expect(config(result).config.Env).toBeUndefined();
    const copy = vertices(result).at(-1)?.op.body;
    expect(copy?.kind === 'file' && copy.actions[0]).toMatchObject({ dest: '/app/bin/' });
    expect(await failure('FROM scratch\nWORKDIR d:/x\n', { platforms: [windows] })).toMatch(/system drive.*@2/);
  });
});
