import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expandWord, parseDockerfile } from '../../../src/frontend/dockerfile/index.ts';
import { PatternMatcher } from '../../../src/patterns/index.ts';
import {
  kebab,
  lintBasePlatform,
  lintCopySource,
  lintDefaultBaseNames,
  Linter,
  lintExposedPort,
  lintFrom,
  lintUndefinedVariables,
  locateFindings,
  type Rule,
  rules,
} from '../../../src/frontend/lint/index.ts';
import { findings, found } from './support.ts';

const ranges = [{ file: 'Dockerfile', startLine: 3, endLine: 3 }];

describe('rules on instructions', () => {
  test.each<[string, string, string[]]>([
    ['stage names', 'FROM a AS Base', [`StageNameCasing: Stage name 'Base' should be lowercase (line 1)`]],
    ['AS', 'FROM a as b', [`FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)`]],
    ['AS in lower case', 'from a as b', []],
    ['continuations', 'FROM a\nRUN b \\\n\n c', ['NoEmptyContinuation: Empty continuation line (line 4)']],
    [
      'casing of the majority',
      'FROM a\nRUN b\ncopy c d\nRun e',
      [
        `ConsistentInstructionCasing: Command 'copy' should match the case of the command majority (uppercase) (line 3)`,
        `ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (uppercase) (line 4)`,
      ],
    ],
    [
      'names used twice',
      'FROM a AS b\nFROM c AS b',
      ['DuplicateStageName: Duplicate stage name "b", stage names should be unique (line 2)'],
    ],
    [
      'reserved names',
      'FROM a AS scratch',
      ['ReservedStageName: Stage name should not use the same name as reserved stage "scratch" (line 1)'],
    ],
    [
      'shell form',
      'FROM a\nCMD b\nENTRYPOINT c',
      [
        'JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)',
        'JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to OS signals (line 3)',
      ],
    ],
    ['shell form with a shell of choice', 'FROM a\nSHELL ["x"]\nCMD b', []],
    [
      'MAINTAINER',
      'FROM a\nMAINTAINER b',
      ['MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)'],
    ],
    [
      'instructions without effect',
      'FROM a\nCMD ["b"]\nHEALTHCHECK NONE\nCMD ["c"]\nHEALTHCHECK NONE\nFROM a\nCMD ["d"]',
      [
        'MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)',
        'MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used (line 3)',
      ],
    ],
    [
      'the old form of ENV and LABEL',
      'FROM a\nENV b c\nLABEL d e',
      [
        'LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format (line 2)',
        'LegacyKeyValueFormat: "LABEL key=value" should be used instead of legacy "LABEL key value" format (line 3)',
      ],
    ],
    [
      'secrets by their name',
      'FROM a\nARG API_KEY PUBLIC_KEY TOKEN_FILE monkey\nENV DATABASE_PASSWORD=x',
      [
        'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY") (line 2)',
        'SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "DATABASE_PASSWORD") (line 3)',
      ],
    ],
    [
      'relative directories, the first only',
      'FROM a\nWORKDIR b\nWORKDIR c\nFROM a\nWORKDIR /x\nWORKDIR y',
      ['WorkdirRelativePath: Relative workdir "b" can have unexpected results if the base image changes (line 2)'],
    ],
    ['descriptions, unless asked for', '# wrong\nFROM a AS b', []],
    [
      'descriptions',
      '# check=experimental=all\n# wrong\nFROM a AS b\n# x\nARG y z\n# fine\n# z ok\nARG y z',
      [
        'InvalidDefinitionDescription: Comment for FROM should follow the format: `# b <description>` (line 3)',
        'InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>` (line 5)',
      ],
    ],
  ])('%s', (_name, text, expected) => {
    expect(found(text)).toEqual(expected);
  });
});

describe('# check=', () => {
  const bad = 'FROM a AS B\nMAINTAINER c\n';

  test.each<[string, string, string[]]>([
    ['nothing', '', ['StageNameCasing', 'MaintainerDeprecated']],
    ['one rule', '# check=skip=StageNameCasing\n', ['MaintainerDeprecated']],
    ['several', '# check=skip=StageNameCasing, MaintainerDeprecated\n', ['MaintainerDeprecated']],
    ['all', '# check=skip=all;error=true\n', []],
  ])('skips %s', (_name, directive, expected) => {
    expect(findings(directive + bad).map(({ code }) => code)).toEqual(expected);
  });

  test('above an instruction holds for it alone', () => {
    const text = 'FROM a\n# check=skip=MaintainerDeprecated because reasons\nMAINTAINER b\nMAINTAINER c\n';
    expect(found(text)).toEqual([
      'MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 4)',
    ]);
  });

  test('gives way to the build argument', () => {
    expect(found(`# check=skip=all\n${bad}`, 'skip=StageNameCasing')).toHaveLength(1);
  });

  test('makes findings an error, in the order of their names', () => {
    const dockerfile = parseDockerfile({ name: 'Dockerfile', text: '# check=error=true\nFROM a\n' });
    const linter = Linter.forDockerfile(dockerfile);
    expect(linter.error()).toBeUndefined();
    linter.report(rules.SecretFileCopied, ranges, ['COPY', '.env']);
    expect(linter.error()).toBeUndefined();
    linter.report(rules.StageNameCasing, ranges, ['B']);
    linter.report(rules.MaintainerDeprecated, ranges, []);
    linter.report(rules.StageNameCasing, ranges, ['B']);
    expect(linter.findings).toHaveLength(3);
    expect(linter.error()).toMatchObject({
      code: 'TSB_LINT',
      message: 'lint violation found for rules: MaintainerDeprecated, StageNameCasing',
    });
  });

  test.each([
    ['x', 'failed to parse check options: invalid check option "x"'],
    ['x=y', 'failed to parse check options: invalid check option "x"'],
    [
      'error=maybe',
      'failed to parse check options: failed to parse check option "error=maybe": strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
  ])('%s is refused', (value, message) => {
    expect(() => findings(`# check=${value}\nFROM a\n`)).toThrow(message);
  });
});

describe('rules that lowering decides', () => {
  function messages(report: (linter: Linter) => void): string[] {
    const linter = new Linter();
    report(linter);
    return linter.findings.map(({ message }) => message);
  }

  function fromMessages(line: string, args: Record<string, string>): string[] {
    const [stage] = parseDockerfile({ name: 'Dockerfile', text: line }).stages;
    if (!stage) return [];
    const env = new Map(Object.entries(args));
    const platform = stage.platform === '' ? undefined : expandWord(stage.platform, env);
    return messages((linter) =>
      lintFrom(linter, stage, { baseName: expandWord(stage.baseName, env), platform }, env, new Set(['DECLARED'])),
    );
  }

  test.each<[string, string[]]>([
    ['FROM a:$VERSION', []],
    ['FROM a:$DECLARED', []],
    ['FROM a:$VERSIN', [`FROM argument 'VERSIN' is not declared (did you mean VERSION?)`]],
    ['FROM --platform=$OTHER a', [`FROM argument 'OTHER' is not declared`]],
    [
      'FROM --platform=$TARGETPLATFORM a',
      ['Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior'],
    ],
    ['FROM --platform=${TARGETPLATFORM}/v1 a', []],
    ['FROM --platform=linux/arm64 a', ['FROM --platform flag should not use constant value "linux/arm64"']],
    ['FROM --platform=linux/arm64 a AS x-arm64', []],
    ['FROM --platform=$BUILDPLATFORM a', []],
  ])('%s', (line, expected) => {
    const args = { VERSION: '1', TARGETPLATFORM: 'linux/amd64', BUILDPLATFORM: 'linux/amd64' };
    expect(fromMessages(line, args)).toEqual(expected);
  });

  test('undefined variables, with a guess', () => {
    expect(
      messages((linter) =>
        lintUndefinedVariables(
          linter,
          ranges,
          ['foo', 'DECLARED', 'PAHT'],
          new Set(['DECLARED']),
          new Set(['PATH', 'HOME']),
        ),
      ),
    ).toEqual([`Usage of undefined variable '$foo'`, `Usage of undefined variable '$PAHT' (did you mean $PATH?)`]);
  });

  test('base names without build arguments', () => {
    const text = 'ARG GOOD=a\nARG BAD\nARG ALSO=$GOOD\nFROM $GOOD\nFROM $BAD\nFROM x:$BAD\nFROM $ALSO-b\nFROM $NONE\n';
    const dockerfile = parseDockerfile({ name: 'Dockerfile', text });
    const isName = (name: string): boolean => /^[a-z]+(?:-[a-z]+)*(?::\w+)?$/.test(name);
    expect(messages((linter) => lintDefaultBaseNames(linter, dockerfile, new Map(), isName))).toEqual([
      'Default value for ARG $BAD results in empty or invalid base image name',
      'Default value for ARG x:$BAD results in empty or invalid base image name',
      'Default value for ARG $NONE results in empty or invalid base image name',
    ]);
  });

  test.each<[string, string[]]>([
    ['80/tcp', []],
    ['80/TcP', [`Defined protocol '80/TcP' in EXPOSE instruction should be lowercase`]],
    [
      '127.0.0.1:80:80',
      [`EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'`],
    ],
    ['8080:80/tcp', [`EXPOSE instruction should not define an IP address or host-port mapping, found '8080:80/tcp'`]],
  ])('EXPOSE %s', (port, expected) => {
    expect(messages((linter) => lintExposedPort(linter, ranges, port))).toEqual(expected);
  });

  test.each<[string[], string, string[]]>([
    [['*.log'], './x.log', ['Attempting to Copy file "x.log" that is excluded by .dockerignore']],
    [['a'], 'a/b', ['Attempting to Copy file "a/b" that is excluded by .dockerignore']],
    [['a', '!a/b'], 'a/c', []],
    [['a*'], '.', []],
    [['*'], '.', ['Attempting to Copy file "." that is excluded by .dockerignore']],
  ])('an ignore file of %j and a source %s', (patterns, source, expected) => {
    expect(messages((linter) => lintCopySource(linter, ranges, 'Copy', source, new PatternMatcher(patterns)))).toEqual(
      expected,
    );
  });

  test('the base image is for another platform', () => {
    const [stage] = parseDockerfile({ name: 'Dockerfile', text: 'FROM a' }).stages;
    const amd = { os: 'linux', architecture: 'amd64' };
    const arm = { os: 'linux', architecture: 'arm64' };
    expect(messages((linter) => stage && lintBasePlatform(linter, stage, 'a', amd, arm))).toEqual([
      'Base image a was pulled with platform "linux/arm64", expected "linux/amd64" for current build',
    ]);
    expect(messages((linter) => stage && lintBasePlatform(linter, stage, 'a', amd, { ...amd, variant: 'v2' }))).toEqual(
      [],
    );
  });
});

describe('advice', () => {
  test.each<[string, string, string[]]>([
    [
      'all sources before the install',
      'FROM a\nCOPY . /app\nRUN cd /app && npm ci',
      [
        'CopyBeforeInstall: Copying "." here makes line 3 install the dependencies again whenever any source file changes (line 2)',
      ],
    ],
    ['manifests before the install', 'FROM a\nCOPY package*.json .\nRUN npm ci\nCOPY . .', []],
    ['sources of another stage', 'FROM a\nCOPY --from=b . .\nRUN npm ci', []],
    [
      'an argument of every build',
      'FROM a\nARG GIT_COMMIT\nRUN x\nRUN y',
      ['VolatileArgTooEarly: ARG GIT_COMMIT changes with every build and busts the cache of 2 RUN below it (line 2)'],
    ],
    ['an argument that is used', 'FROM a\nARG GIT_COMMIT\nRUN x $GIT_COMMIT', []],
    ['an argument at the end', 'FROM a\nRUN x\nARG GIT_COMMIT\nLABEL v=$GIT_COMMIT', []],
    [
      'secrets',
      'FROM a\nCOPY .env id_rsa /x/\nADD conf/.npmrc /x\nCOPY .env.example ca.pem id_rsa.pub /x/',
      [
        'SecretFileCopied: COPY puts ".env" into a layer, where anyone with the image can read it (line 2)',
        'SecretFileCopied: COPY puts "id_rsa" into a layer, where anyone with the image can read it (line 2)',
        'SecretFileCopied: ADD puts "conf/.npmrc" into a layer, where anyone with the image can read it (line 3)',
      ],
    ],
    [
      'an index of its own',
      'FROM a\nRUN apt-get -qq update\nRUN apt-get install x\nRUN apt update && apt install -y y',
      [
        'AptUpdateAlone: "apt-get update" without an install in the same RUN: a cached index makes later installs fail (line 2)',
      ],
    ],
    ['an index in a heredoc with its install', 'FROM a\nRUN <<E\napt-get update\napt-get install -y x\nE', []],
    [
      'hidden direction',
      'FROM a\nRUN x\u202e \u2066\n',
      [
        'BidirectionalText: Control character U+202E changes the direction of the text: the line may do other than it shows (line 2)',
      ],
    ],
    ['what is switched off', '# check=skip=AptUpdateAlone\nFROM a\nRUN apt-get update', []],
  ])('%s', (_name, text, expected) => {
    expect(found(text)).toEqual(expected);
  });
});

describe('every rule', () => {
  const all = Object.values(rules) as unknown as Rule[];

  test('there are 22 of BuildKit', () => {
    expect(all.filter((rule) => rule.advice !== true)).toHaveLength(22);
    expect(rules.JSONArgsRecommended.url).toBe('https://docs.docker.com/go/dockerfile/rule/json-args-recommended/');
    expect(kebab('InvalidDefaultArgInFrom')).toBe('invalid-default-arg-in-from');
  });

  test.each(all.map((rule) => [rule.name, rule] as const))('%s has a page with its name', (name, rule) => {
    const page = `docs/rules/${kebab(name)}.md`;
    expect(existsSync(page)).toBe(true);
    const text = readFileSync(page, 'utf8');
    expect(text).toContain(`# ${name}\n`);
    expect(text.match(/```dockerfile/g)?.length).toBeGreaterThanOrEqual(2);
    if (rule.advice === true) expect(rule.help).toBeDefined();
  });

  const lowered = new Set([
    'UndefinedArgInFrom', 'UndefinedVar', 'InvalidBaseImagePlatform', 'RedundantTargetPlatform', 'InvalidDefaultArgInFrom',
    'FromPlatformFlagConstDisallowed', 'CopyIgnoredFile', 'ExposeProtoCasing', 'ExposeInvalidFormat',
    // Its examples are told, not shown.
    'BidirectionalText',
  ]); // oxfmt-ignore

  test.each(all.map(({ name }) => name).filter((name) => !lowered.has(name)))(
    'the examples of %s are right',
    (name) => {
      const text = readFileSync(`docs/rules/${kebab(name)}.md`, 'utf8');
      const [bad = '', good = ''] = Array.from(text.matchAll(/```dockerfile\n(.*?)```/gs), (match) => match[1] ?? '');
      expect(findings(bad).map(({ code }) => code)).toContain(name);
      expect(findings(good).map(({ code }) => code)).toEqual([]);
    },
  );
});

test('findings get columns where their word can be found', async () => {
  const text = 'FROM a\nENV X=1 API_KEY=2\n';
  const dockerfile = parseDockerfile({ name: 'Dockerfile', text });
  const [finding] = await locateFindings(dockerfile, findings(text));
  expect(finding?.ranges).toEqual([{ file: 'Dockerfile', startLine: 2, endLine: 2, startColumn: 9, endColumn: 15 }]);
});
