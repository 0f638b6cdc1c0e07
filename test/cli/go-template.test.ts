import { spawnSync } from 'node:child_process';
import { array, assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileTemplate } from '../../src/cli/go-template/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { TempDir } from '../tree/support.ts';
import { printed, refused } from './template-cases.ts';

/** What `docker context inspect` shows without a configuration: data that a real engine of Go's templates can be asked about. */
const data = {
  Name: 'default',
  Endpoints: new Map([['docker', { Host: 'unix:///var/run/docker.sock', SkipTLSVerify: false }]]),
  TLSMaterial: new Map<string, unknown>(),
  Storage: { MetadataPath: '<IN MEMORY>', TLSPath: '<IN MEMORY>' },
};

describe('templates of Go', () => {
  test.each(Object.entries(printed))('print: %s', (_name, cases) => {
    for (const [template, text] of cases) expect([template, compileTemplate(template)(data)]).toEqual([template, text]);
  });

  test.each(refused)('%s is refused with its place', (template) => {
    expect(() => compileTemplate(template)(data)).toThrow(/^Cannot use the format .*column \d+\)$/s);
  });

  test.each([
    ['{{ne 1 2 3}}', '"ne" has 3 arguments, and takes 2'],
    ['{{slice}}', '"slice" has 0 arguments, and takes 1 to 4'],
    ['{{eq "a"}}', '"eq" has 1 arguments, and takes at least 2'],
    ['{{upper 5}}', '"upper": 5 is no string'],
    ['{{eq 1 "1"}}', '"eq": 1 and 1 cannot be compared'],
    ['{{printf "%d" "a"}}', '"printf": %d is a, and not a whole number'],
    ['{{printf "%T" 1}}', '"printf": printf has no %T for 1'],
    ['{{9007199254740993}}', '9007199254740993 is too large'],
    ['{{range 100001}}{{end}}', 'range cannot go over 100001'],
    ["{{printf '%s' 1}}", "'%s' is more than a character"],
    ['{{upper(.Name)}}', 'a space is missing before "("'],
  ])('%s says why', (template, why) => {
    expect(() => compileTemplate(template)(data)).toThrow(why);
  });

  const hasDocker = spawnSync('docker', ['--version']).status === 0;
  test.skipIf(!hasDocker)('docker prints the same', () => {
    using config = new TempDir();
    const shown = (template: string): string | undefined => {
      const args = ['--config', config.path, 'context', 'inspect', 'default', '--format', template];
      const { status, stdout } = spawnSync('docker', args, { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
      return status === 0 ? stdout.replace(/\n$/, '') : undefined;
    };
    // All at once, in blocks of their own for their variables, with a mark between them that nothing trims.
    const cases = Object.values(printed).flat();
    const whole = cases.map(([template]) => `{{if true}}${template}{{end}}`).join('§');
    expect(shown(whole)?.split('§')).toEqual(cases.map(([, text]) => text));
    // Each is a process: some of them, and all where properties are tried more often.
    const step = process.env['TSBUILD_FUZZ'] === undefined ? 10 : 1;
    for (const template of refused.filter((_, at) => at % step === 0))
      expect([template, shown(template)]).toEqual([template, undefined]);
  });

  test('a field that is not there is named with those that are', () => {
    expect(() => compileTemplate('{{.Nam}}')(data)).toThrow(/there is no field "\.Nam": did you mean "\.Name"\?/);
    expect(() => compileTemplate('{{.constructor}}')(data)).toThrow(/no field/);
    expect(() => compileTemplate('{{jsom .}}')(data)).toThrow(/did you mean "json"/);
  });

  test('whatever is typed is printed or refused with its place', () => {
    const piece = constantFrom(
      '{{',
      '}}',
      '.Name',
      '.',
      '$x',
      ':=',
      'range ',
      'if ',
      'end',
      'else',
      '|',
      '(',
      ')',
      '"a"',
      ' ',
      '-',
      'json',
      'x',
      '5',
      '`',
    );
    assert(
      property(array(constantFrom(0, 1)), array(piece), string(), (kinds, pieces, noise) => {
        const template = pieces.map((text, at) => (kinds[at] === 1 ? noise + text : text)).join('');
        try {
          expect(typeof compileTemplate(template)(data)).toBe('string');
        } catch (error) {
          expect(isTsbuildError(error, 'TSB_USAGE')).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
