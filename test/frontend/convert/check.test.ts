import { expect, test } from 'vitest';
import { checkDockerfile, compileDockerfile } from '../../../src/frontend/index.ts';
import { bridgeOf, optionsOf } from './support.ts';

async function check(text: string, target?: string): Promise<readonly string[]> {
  const bridge = bridgeOf({ files: { 'dockerfile/Dockerfile': text } });
  const options = optionsOf({ allStages: true, ...(target === undefined ? {} : { target }) });
  const { result, error } = await checkDockerfile(bridge, options);
  const codes = result.findings.map((one) => `${one.ranges[0]?.startLine}: ${one.code}`);
  return error === undefined ? codes : [...codes, error.message];
}

test('all stages are checked, or those that a target needs', async () => {
  const text = 'FROM alpine AS a\nENV x $y\nFROM alpine AS b\nWORKDIR x\n';
  expect(await check(text)).toEqual(['2: UndefinedVar', '2: LegacyKeyValueFormat', '4: WorkdirRelativePath']);
  expect(await check(text, 'b')).toEqual(['4: WorkdirRelativePath']);
});

test('what would fail the build is said after what was found before', async () => {
  const text = 'FROM alpine\nENV x $y\nCOPY --chmod=9 a b\nENV z $y\n';
  expect(await check(text)).toEqual([
    '2: UndefinedVar',
    '2: LegacyKeyValueFormat',
    "invalid chmod parameter: '9'. it should be octal string and between 0 and 07777",
  ]);
  expect(await check('FROM alpine\nNONESUCH x\n')).toEqual([
    'dockerfile parse error on line 2: unknown instruction: NONESUCH',
  ]);
});

test.each([
  ['', 'the Dockerfile cannot be empty'],
  ['# only a comment\n', 'file with no instructions'],
  ['ARG x\n', 'dockerfile contains no stages to build'],
  ['FROM alpine\nENV a=b\0c\n', 'dockerfile parse error on line 2: there is a NUL character'],
  ['FROM alpine\nRUN --mount=type=nonesuch true\n', 'unsupported mount type "nonesuch"'],
])('what a build refuses, a check refuses: %j', async (text, message) => {
  const bridge = (): ReturnType<typeof bridgeOf> => bridgeOf({ files: { 'dockerfile/Dockerfile': text } });
  const { result, error } = await checkDockerfile(bridge(), optionsOf({}));
  expect(result.error).toBe(error);
  const built = await compileDockerfile(bridge(), optionsOf({})).then(
    () => 'built',
    (thrown: Error) => thrown.message,
  );
  expect([error?.message, built]).toEqual([built, expect.stringContaining(message)]);
});
