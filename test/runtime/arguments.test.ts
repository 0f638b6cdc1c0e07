import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { argumentsOf, environmentOf, parseEnvFile, parseVolume, type ProcessRequest } from '../../src/runtime/index.ts';

const request: ProcessRequest = { config: {}, callerEnv: { CALLER: 'c', EMPTY: '' }, hostname: 'box', tty: false };

describe('the command', () => {
  const image = { Entrypoint: ['/entry', 'a'], Cmd: ['b', 'c'] };
  test.each([
    ['of the image', {}, ['/entry', 'a', 'b', 'c']],
    ['given', { command: ['x'] }, ['/entry', 'a', 'x']],
    ['with another entrypoint', { entrypoint: '/other' }, ['/other']],
    ['with another entrypoint and arguments', { entrypoint: '/other', command: ['x', 'y'] }, ['/other', 'x', 'y']],
    ['without entrypoint', { entrypoint: '', command: ['x'] }, ['x']],
  ] as const)('%s', (_name, options, args) => {
    expect(argumentsOf({ ...request, config: image, ...options })).toEqual(args);
  });

  test('none at all is an error', () => {
    expect(() => argumentsOf(request)).toThrow(/it has no command/);
    expect(() => argumentsOf({ ...request, config: image, entrypoint: '' })).toThrow(/it has no command/);
  });
});

describe('the environment', () => {
  test('has defaults, then the image’s, then the user’s', () => {
    expect(
      environmentOf({ ...request, tty: true, config: { Env: ['A=1', 'B=2', 'HOSTNAME=own'] }, env: ['B=3', 'C=x=y'] }),
    ).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOSTNAME=own',
      'TERM=xterm',
      'A=1',
      'B=3',
      'C=x=y',
    ]);
  });

  test('an image cannot name variables of the caller', () => {
    const env = environmentOf({ ...request, config: { Env: ['CALLER', '*', '=x', 'A\0=b', 'OK=1'] } });
    expect(env.slice(2)).toEqual(['OK=1']);
  });

  test('the user can, and a name that the caller lacks goes', () => {
    const env = environmentOf({ ...request, config: { Env: ['GONE=1'] }, env: ['CALLER', 'EMPTY', 'GONE'] });
    expect(env.slice(2)).toEqual(['CALLER=c', 'EMPTY=']);
  });

  test.each(['', '=x', 'A=\0'])('%j is refused', (entry) => {
    expect(() => environmentOf({ ...request, env: [entry] })).toThrow(/Cannot use variable/);
  });
});

describe('env files', () => {
  const parse = (text: string): readonly string[] => parseEnvFile('f', Buffer.from(text), request.callerEnv);
  test('values are taken as they are', () => {
    expect(parse('# comment\n\n  A=1\nB="quoted" # not a comment\n C= spaces \nCALLER\nMISSING\nEMPTY\nD=\n')).toEqual([
      'A=1', 'B="quoted" # not a comment', 'C= spaces ', 'CALLER=c', 'EMPTY=', 'D=',
    ]); // oxfmt-ignore
    expect(parse('\u{feff}A=1\r\nB=2\r\n')).toEqual(['A=1', 'B=2']);
  });
  test.each([
    ['=x', 1, /no variable name/],
    ['ok=1\nA B=1', 2, /white space/],
    ['\n\nA=\0', 3, /NUL/],
  ])('%j is refused with its line', (text, line, why) => {
    expect(() => parse(text)).toThrow(why);
    expect(() => parse(text)).toThrow(`line ${line}`);
  });
  test('whatever comes out is NAME=value', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          for (const entry of parse(text)) expect(entry).toMatch(/^[^\s=]+=/);
        } catch (error) {
          expect(String(error)).toContain('Cannot read env file "f", line ');
        }
      }),
    );
  });
});

describe('volumes', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-args-'));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test('source, target and options', () => {
    expect(parseVolume(`${dir}:/x`, '/')).toEqual({ type: 'bind', source: dir, target: '/x', readonly: false });
    expect(parseVolume(`${dir}:/x:ro,z`, '/')).toMatchObject({ readonly: true });
    expect(parseVolume('.:/x:rw', dir)).toMatchObject({ source: dir, readonly: false });
  });
  test.each([
    ['/x', /it is not "source:target"/],
    [':/x', /it is not "source:target"/],
    ['/tmp:', /it is not "source:target"/],
    ['/tmp:/x:ro:z', /it is not "source:target"/],
    ['/tmp:x', /not an absolute path/],
    ['/tmp:/', /root directory/],
    ['/tmp:/../', /root directory/],
    ['name:/x', /named volumes/],
    ['/tmp:/x:rshare', /no option/],
    ['/proc/does-not-exist:/x', /does not exist, and cannot be made/],
  ])('%s is refused', (text, why) => {
    expect(() => parseVolume(text, '/')).toThrow(why);
  });
});
