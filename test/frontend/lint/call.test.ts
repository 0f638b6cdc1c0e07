import { describe, expect, test } from 'vitest';
import { parseDockerfile } from '../../../src/frontend/dockerfile/index.ts';
import {
  checkStatus,
  formatCheck,
  formatCheckJson,
  formatOutline,
  formatOutlineJson,
  formatSubrequests,
  formatSubrequestsJson,
  formatTargets,
  formatTargetsJson,
  listTargets,
  type Outline,
} from '../../../src/frontend/lint/index.ts';
import { TsbuildError } from '../../../src/util/index.ts';
import { findings } from './support.ts';

const file = { name: 'Dockerfile', text: 'FROM a AS Base\nMAINTAINER <me>\n' };
const range = { file: 'Dockerfile', startLine: 1, endLine: 1 };

describe('check', () => {
  test('text', () => {
    const result = { file, findings: findings(file.text) };
    expect(checkStatus(result)).toBe(1);
    expect(formatCheck(result)).toBe(
      `Check complete, 2 warnings have been found!

WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/
Stage name 'Base' should be lowercase
Dockerfile:1
--------------------
   1 | >>> FROM a AS Base
   2 |     MAINTAINER <me>
   3 |     
--------------------

WARNING: MaintainerDeprecated - https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:2
--------------------
   1 |     FROM a AS Base
   2 | >>> MAINTAINER <me>
   3 |     
--------------------
`,
    );
  });

  test('nothing found, and advice, which does not count', () => {
    expect(formatCheck({ file, findings: [] })).toBe('Check complete, no warnings found.\n');
    const advised = { file, findings: findings('FROM a\nRUN apt-get update\n') };
    expect(checkStatus(advised)).toBe(0);
    expect(formatCheck(advised)).toMatch(
      /^Check complete, no warnings found\.\n\nADVICE: AptUpdateAlone - docs\/rules\/apt-update-alone\.md\n/,
    );
  });

  test('an error comes after the warnings', () => {
    const error = new TsbuildError('TSB_DOCKERFILE', 'no such stage', { ranges: [range] });
    const one = findings('FROM a AS Base\n');
    expect(checkStatus({ file, findings: [], error })).toBe(1);
    expect(formatCheck({ file, findings: one, error })).toMatch(
      /^Check complete, 1 warning has been found!\n.*\n\nno such stage\nDockerfile:1\n---/s,
    );
    expect(formatCheck({ file, findings: [], error })).toMatch(/^no such stage\nDockerfile:1\n/);
  });

  test('JSON', () => {
    const error = new TsbuildError('TSB_DOCKERFILE', 'no', { ranges: [range] });
    const text = formatCheckJson({ file, findings: findings(`${file.text}RUN apt-get update\n`).slice(1), error });
    expect(JSON.parse(text)).toEqual({
      warnings: [
        {
          ruleName: 'MaintainerDeprecated',
          description: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
          url: 'https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/',
          detail: 'Maintainer instruction is deprecated in favor of using label',
          location: { ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
        },
      ],
      sources: [{ filename: 'Dockerfile', data: Buffer.from(file.text).toString('base64'), language: 'Dockerfile' }],
      advice: [expect.objectContaining({ ruleName: 'AptUpdateAlone' })],
      buildError: { message: 'no', location: { ranges: [{ start: { line: 1 }, end: { line: 1 } }] } },
    });
  });
});

describe('outline', () => {
  const outline: Outline = {
    file,
    name: 'base',
    description: 'the <base>',
    args: [
      { name: 'VERSION', description: 'which one', value: '1.2', ranges: [range] },
      { name: 'X', description: '', value: '', ranges: [range] },
    ],
    secrets: [{ name: 'token', required: true, ranges: [range] }],
    ssh: [{ name: 'default', required: false, ranges: [range] }],
    caches: [{ id: 'go', ranges: [range] }],
  };

  test('text', () => {
    expect(formatOutline(outline)).toBe(
      [
        'TARGET:      base',
        'DESCRIPTION: the <base>',
        '',
        'BUILD ARG   VALUE   DESCRIPTION',
        'VERSION     1.2     which one',
        'X                   ',
        '',
        'SECRET   REQUIRED',
        'token    true',
        '',
        'SSH       REQUIRED',
        'default   ',
        '',
        '',
      ].join('\n'),
    );
    expect(formatOutline({ ...outline, name: '', description: '', args: [], secrets: [], ssh: [] })).toBe('');
  });

  test('JSON', () => {
    const location = { ranges: [{ start: { line: 1 }, end: { line: 1 } }] };
    const text = formatOutlineJson(outline);
    expect(text).toContain('the \\u003cbase\\u003e');
    expect(JSON.parse(text)).toEqual({
      name: 'base',
      description: 'the <base>',
      args: [
        { name: 'VERSION', description: 'which one', value: '1.2', location },
        { name: 'X', location },
      ],
      secrets: [{ name: 'token', required: true, location }],
      ssh: [{ name: 'default', location }],
      cache: [{ ID: 'go', location }],
      sources: [Buffer.from(file.text).toString('base64')],
    });
  });
});

describe('targets', () => {
  const dockerfile = parseDockerfile({
    name: 'Dockerfile',
    text: '# build builds it\nFROM --platform=$P golang AS build\nFROM build\n',
  });

  test('text', () => {
    expect(formatTargets(listTargets(dockerfile))).toBe('TARGET    DESCRIPTION\nbuild     builds it\n(default) \n');
  });

  test('JSON', () => {
    expect(JSON.parse(formatTargetsJson(dockerfile.file, listTargets(dockerfile)))).toMatchObject({
      targets: [
        { name: 'build', description: 'builds it', base: 'golang', platform: '$P', location: { ranges: [{}] } },
        { default: true, base: 'build' },
      ],
    });
  });
});

test('the requests themselves', () => {
  expect(formatSubrequests()).toContain('lint                 1.0.0   Lint a Dockerfile\n');
  expect(JSON.parse(formatSubrequestsJson())).toHaveLength(4);
});
