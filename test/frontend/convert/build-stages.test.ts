import { describe, expect, test } from 'vitest';
import type { Platform } from '../../../src/image/index.ts';
import { outcomeOf, variables } from './commands/support.ts';

describe('FROM', () => {
  test.each<[string, unknown]>([
    ['FROM', 'FROM requires either one or three arguments'],
    ['FROM scratch x', 'FROM requires either one or three arguments'],
    ['FROM scratch AS', 'FROM requires either one or three arguments'],
    ['FROM scratch AS a b', 'FROM requires either one or three arguments'],
    ['FROM scratch as A', { platform: 'linux/amd64', Env: [] }],
    ['from scratch AS a', { platform: 'linux/amd64', Env: [] }],
    ['From scratch aS a', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS 1a', "invalid name for build stage: \"1a\", name can't start with a number or contain symbols"],
    ['FROM scratch AS a$b', "invalid name for build stage: \"a$b\", name can't start with a number or contain symbols"],
    ['FROM scratch AS a.b-c_d', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS -a', "invalid name for build stage: \"-a\", name can't start with a number or contain symbols"],
    ['FROM --platform= scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/arm64 scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=arm64 scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=x/y scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/arm/v7 scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/amd64/v2 scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=$BUILDPLATFORM scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=$TARGETPLATFORM scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=$X scratch', 'empty platform value from expression $X'],
    ['FROM --platform=${X:-linux/amd64} scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=a/b/c/d scratch', 'failed to parse platform a/b/c/d: "a/b/c/d": cannot parse platform specifier: invalid argument'],
    ['FROM --plaform=x scratch', 'unknown flag: --plaform (did you mean platform?)'],
    ['FROM $X', 'base name ($X) should not be blank'],
    ['ARG X\nFROM $X', 'base name ($X) should not be blank'],
    ['ARG X=scratch\nFROM $X', { platform: 'linux/amd64', Env: [] }],
    ['ARG X=scratch\nFROM ${X}', { platform: 'linux/amd64', Env: [] }],
    ['ARG X=SCRATCH\nFROM $X', 'failed to parse stage name "SCRATCH": invalid reference format: repository name (library/SCRATCH) must be lowercase'],
    ['FROM SCRATCH', 'failed to parse stage name "SCRATCH": invalid reference format: repository name (library/SCRATCH) must be lowercase'],
    ['FROM Scratch', 'failed to parse stage name "Scratch": invalid reference format: repository name (library/Scratch) must be lowercase'],
    ['ARG X=scratch Y=$X\nFROM $Y', { platform: 'linux/amd64', Env: [] }],
    ['ARG Y=$X X=scratch\nFROM $Y', 'base name ($Y) should not be blank'],
    ['ARG X=scratch\nFROM $X AS $X', "invalid name for build stage: \"$X\", name can't start with a number or contain symbols"],
    ['ARG X\nFROM ${X:-scratch}', { platform: 'linux/amd64', Env: [] }],
    ['FROM ${X:-scratch}', { platform: 'linux/amd64', Env: [] }],
    ['ARG X=a\nARG X=scratch\nFROM $X', { platform: 'linux/amd64', Env: [] }],
    ['FROM "scratch"', { platform: 'linux/amd64', Env: [] }],
    ["FROM 'scratch'", { platform: 'linux/amd64', Env: [] }],
    ['FROM scr\\atch', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS a\nFROM a', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS a\nFROM A', 'failed to parse stage name "A": invalid reference format: repository name (library/A) must be lowercase'],
    ['FROM scratch AS a\nENV x=y\nFROM a AS b\nENV y=$x', { platform: 'linux/amd64', Env: ['x=y', 'y=y'] }],
    ['FROM scratch AS a\nARG x=1\nFROM a\nENV y=$x', { platform: 'linux/amd64', Env: ['y=1'] }],
    ['FROM scratch AS scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS context', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS a\nFROM scratch AS a', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS a\nFROM scratch AS A', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS a\nENV x=1\nFROM scratch AS a\nENV x=2\nFROM a', { platform: 'linux/amd64', Env: ['x=2'] }],
    ['FROM scratch AS 0', "invalid name for build stage: \"0\", name can't start with a number or contain symbols"],
    ['ENV a=b\nFROM scratch', 'no build stage in current context'],
    ['ARG a\nENV b=c', 'no build stage in current context'],
    ['FROM scratch\nARG a\nFROM scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS ä', "invalid name for build stage: \"ä\", name can't start with a number or contain symbols"],
    ['FROM scratch \\\n AS \\\n a', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch # c', 'FROM requires either one or three arguments'],
    ['FROM scratch AS a # c', 'FROM requires either one or three arguments'],
    ['FROM  scratch   AS    a', { platform: 'linux/amd64', Env: [] }],
    ['\tFROM scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM\tscratch\tAS\ta', { platform: 'linux/amd64', Env: [] }],
    ['FROM scratch AS "a"', "invalid name for build stage: \"\\\"a\\\"\", name can't start with a number or contain symbols"],
    ['FROM --platform=linux/amd64 --platform=linux/arm64 scratch', 'duplicate flag specified: --platform'],
    ['FROM --platform="linux/arm64" scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform linux/arm64 scratch', 'FROM requires either one or three arguments'],
    ['FROM -- scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=windows/amd64 scratch\nWORKDIR a\\b', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/amd64 scratch AS amd64', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/amd64 scratch AS linux-x', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=LINUX/AMD64 scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/x86_64 scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/aarch64 scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=linux/arm scratch', { platform: 'linux/amd64', Env: [] }],
    ['FROM --platform=darwin/arm64 scratch\nCMD x', { platform: 'linux/amd64', Env: [] }],
    ['', 'file with no instructions'],
  ])('%j', async (instruction, expected) => {
    const found = await outcomeOf(`${instruction}\n`, (image) => ({
      platform: [image.os, image.architecture, ...(image.variant ? [image.variant] : [])].join('/'),
      Env: variables(image),
    }));
    expect(found).toEqual(expected);
  }); // oxfmt-ignore
});

const STAGES = `ARG G=g H
FROM scratch AS one
ARG G
ENV a=$G
FROM scratch AS Two
ARG G=own
ARG H
ENV a=$G b=$H c=$TARGETSTAGE
FROM scratch
ARG TARGETSTAGE TARGETARCH BUILDOS TARGETVARIANT
ENV d=$TARGETSTAGE e=$TARGETARCH f=$BUILDOS g=x$TARGETVARIANT
`;

describe('targets, build arguments and platforms that a build is given', () => {
  test.each<[readonly string[], unknown]>([
    [[], ['d=default', 'e=amd64', 'f=linux', 'g=x']],
    [['--target', 'one'], ['a=g']],
    [['--target', 'two'], ['a=own', 'b=', 'c=']],
    [['--target', 'TWO'], ['a=own', 'b=', 'c=']],
    [['--target', '3'], 'target stage "3" could not be found'],
    [['--target', '-1'], 'target stage "-1" could not be found'],
    [['--target', 'tow'], 'target stage "tow" could not be found (did you mean two?)'],
    [['--target', 'xyz'], 'target stage "xyz" could not be found'],
    [['--build-arg', 'G=z'], ['d=default', 'e=amd64', 'f=linux', 'g=x']],
    [['--target', 'one', '--build-arg', 'G=z'], ['a=z']],
    [['--target', 'two', '--build-arg', 'H=z'], ['a=own', 'b=z', 'c=']],
    [['--target', 'two', '--build-arg', 'G='], ['a=', 'b=', 'c=']],
    [['--build-arg', 'TARGETARCH=foo'], ['d=default', 'e=foo', 'f=linux', 'g=x']],
    [['--build-arg', 'TARGETSTAGE=foo'], ['d=foo', 'e=amd64', 'f=linux', 'g=x']],
    [['--platform', 'linux/arm64'], ['d=default', 'e=arm64', 'f=linux', 'g=x']],
    [['--platform', 'linux/arm/v7'], ['d=default', 'e=arm', 'f=linux', 'g=xv7']],
    [['--platform', 'linux/amd64/v2'], ['d=default', 'e=amd64', 'f=linux', 'g=xv2']],
  ])('%j', async (args, expected) => {
    const pairs = args.flatMap((name, at) => (name.startsWith('--') ? [[name.slice(2), args[at + 1] ?? ''] as const] : []));
    const given = (key: string): readonly string[] => pairs.filter(([name]) => name === key).map(([, value]) => value);
    const platforms = given('platform').map((text): Platform => {
      const [os = '', architecture = '', variant] = text.split('/');
      return { os, architecture, ...(variant === undefined ? {} : { variant }) };
    });
    const [target = ''] = given('target');
    const buildArgs = new Map(given('build-arg').map((text) => [text.split('=')[0] ?? '', text.split('=')[1] ?? ''] as const));
    const options = { target, buildArgs, platforms };
    expect(await outcomeOf(STAGES, variables, options)).toEqual(expected);
  }); // oxfmt-ignore
});
