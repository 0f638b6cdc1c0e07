import { describe, expect, test } from 'vitest';
import {
  type CheckResult,
  checkStatusOfMany,
  formatCheckJson,
  formatCheckManyJson,
  formatCheckOfMany,
  formatCheckTotal,
} from '../../../src/frontend/index.ts';
import { TsbuildError } from '../../../src/util/index.ts';
import { findings } from './support.ts';

const WARNED = 'FROM a AS Base\n';
const ADVISED = 'FROM a\nRUN apt-get update\n';

function resultOf(name: string, text: string, error?: string): CheckResult {
  const file = { name, text };
  const range = { file: name, startLine: 1, endLine: 1 };
  const failure = error === undefined ? {} : { error: new TsbuildError('TSB_DOCKERFILE', error, { ranges: [range] }) };
  return { file, findings: findings(text), ...failure };
}

const clean = resultOf('a/Dockerfile', 'FROM a\n');
const warned = resultOf('b/Dockerfile', WARNED);
const advised = resultOf('c/Dockerfile', ADVISED);
const broken = resultOf('d/Dockerfile', 'FROM a\n', 'no such stage');
const both = resultOf('e/Dockerfile', WARNED, 'no such stage');
const brokenAdvised = resultOf('f/Dockerfile', ADVISED, 'no such stage');

describe('the report on one of several files', () => {
  test('is a heading alone where there is nothing to say', () => {
    expect(formatCheckOfMany(clean)).toBe('== a/Dockerfile: no warnings found.\n');
  });

  test('counts the warnings, and shows them with their places', () => {
    expect(formatCheckOfMany(warned)).toBe(`== b/Dockerfile: 1 warning has been found!

WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
Stage name 'Base' should be lowercase
b/Dockerfile:1
--------------------
   1 | >>> FROM a AS Base
   2 |     
--------------------

`);
  });

  test('does not count advice, and shows it', () => {
    expect(formatCheckOfMany(advised)).toMatch(/^== c\/Dockerfile: no warnings found\.\n\nADVICE: AptUpdateAlone - /);
  });

  test('says of what cannot be built that it cannot, whatever else was found', () => {
    expect(formatCheckOfMany(broken)).toMatch(/^== d\/Dockerfile: cannot be built\n\nno such stage\nd\/Dockerfile:1\n/);
    expect(formatCheckOfMany(both)).toMatch(
      /^== e\/Dockerfile: cannot be built, 1 warning has been found!\n\nWARNING: StageNameCasing .*\n\nno such stage\ne\/Dockerfile:1\n/s,
    );
    expect(formatCheckOfMany(brokenAdvised)).toMatch(
      /^== f\/Dockerfile: cannot be built\n\nADVICE: AptUpdateAlone .*\n\nno such stage\n/s,
    );
  });

  test('has one heading on one line, whatever the file is called and the error says', () => {
    const hostile = resultOf('x\n== y\u001b[31m', 'FROM a\n', 'Check complete, no warnings found.');
    const lines = formatCheckOfMany(hostile).split('\n');
    expect(lines[0]).toMatch(/^== x.*== y.*: cannot be built$/);
    expect(lines.join('\n')).not.toContain('\u001b');
    expect(lines.filter((line) => line.startsWith('== '))).toHaveLength(1);
  });
});

describe('the last line', () => {
  test.each<[readonly CheckResult[], string]>([
    [[clean], 'Checked 1 file: no warnings.\n'],
    [[clean, advised], 'Checked 2 files: no warnings.\n'],
    [[clean, warned], 'Checked 2 files: 1 warning in 1 file.\n'],
    [[warned, both], 'Checked 2 files: 2 warnings in 2 files, 1 file cannot be built.\n'],
    [[broken, clean, broken], 'Checked 3 files: no warnings, 2 files cannot be built.\n'],
  ])('case %#', (results, text) => expect(formatCheckTotal(results)).toBe(text));

  test('and the exit code: 1 for any warning or failure, 0 for advice', () => {
    expect([[], [clean], [clean, advised], [clean, warned], [broken, clean]].map(checkStatusOfMany)).toEqual([
      0, 0, 0, 1, 1,
    ]);
  });
});

describe('JSON', () => {
  interface Located {
    readonly location: { readonly sourceIndex?: number; readonly ranges: readonly unknown[] };
  }
  interface Report {
    readonly warnings: readonly (Located & { readonly ruleName: string })[];
    readonly advice?: readonly Located[];
    readonly sources: readonly { readonly filename: string; readonly data: string }[];
    readonly buildError?: Located & { readonly message: string };
    readonly buildErrors?: readonly Located[];
  }
  const parse = (...results: readonly CheckResult[]): Report => JSON.parse(formatCheckManyJson(results)) as Report;

  test('of one file is what the report on one is', () => {
    expect(JSON.parse(formatCheckManyJson([warned]))).toEqual(JSON.parse(formatCheckJson(warned)));
    const { buildErrors, ...rest } = parse(both);
    expect(rest).toEqual(JSON.parse(formatCheckJson(both)));
    expect(buildErrors).toEqual([rest.buildError]);
  });

  test('has each file once, and with every finding the number of its file, which protobuf leaves out for the first', () => {
    const report = parse(warned, clean, both, advised);
    expect(report.sources.map(({ filename }) => filename)).toEqual([
      'b/Dockerfile',
      'a/Dockerfile',
      'e/Dockerfile',
      'c/Dockerfile',
    ]);
    expect(report.sources.map(({ data }) => Buffer.from(data, 'base64').toString())).toEqual([
      WARNED,
      'FROM a\n',
      WARNED,
      ADVISED,
    ]);
    const range = { start: { line: 1 }, end: { line: 1 } };
    expect(report.warnings.map(({ location }) => location)).toEqual([
      { ranges: [range] },
      { sourceIndex: 2, ranges: [range] },
    ]);
    expect(report.advice?.map(({ location }) => location.sourceIndex)).toEqual([3]);
    expect(report.buildError).toMatchObject({
      message: 'no such stage',
      location: { sourceIndex: 2, ranges: [range] },
    });
  });

  test('names the file of a failure without a place, too', () => {
    const nowhere = { ...clean, error: new TsbuildError('TSB_DOCKERFILE', 'no stages') };
    expect(parse(clean, nowhere).buildErrors).toEqual([
      { message: 'no stages', location: { sourceIndex: 1, ranges: [] } },
    ]);
    expect(parse(nowhere).buildError?.location).toEqual({ ranges: [] });
  });

  test('of nothing found has neither advice nor failures', () => {
    expect(parse(clean, clean)).toEqual({ warnings: [], sources: expect.any(Array) as unknown });
  });
});
