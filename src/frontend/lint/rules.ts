import { goQuote } from '../dockerfile/text.ts';

/** A lint rule. `A` are the arguments of its message. */
export interface Rule<A extends readonly string[] = readonly string[]> {
  readonly name: string;
  /** What the rule is about, one sentence. */
  readonly description: string;
  /** Where the rule is explained; the page of a rule of our own is docs/rules/<name>.md. */
  readonly url: string;
  readonly message: (...args: A) => string;
  /** Reported only when `experimental` asks for it. */
  readonly experimental?: boolean;
  /** A rule of ours: never counts for `error=true` or the exit code, so that what passes with BuildKit passes here. */
  readonly advice?: boolean;
  /** Advice on what to write instead. */
  readonly help?: string;
}

const PAGES = 'https://docs.docker.com/go/dockerfile/rule/';

function page(name: string): string {
  return `${PAGES}${kebab(name)}/`;
}

/** `JSONArgsRecommended` becomes `json-args-recommended`. */
export function kebab(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1-$2')
    .toLowerCase();
}

function rule<A extends readonly string[]>(
  name: string,
  description: string,
  message: (...args: A) => string,
  extra: Partial<Rule<A>> = {},
): Rule<A> {
  return { name, description, message, url: page(name), ...extra };
}

function advice<A extends readonly string[]>(
  name: string,
  description: string,
  message: (...args: A) => string,
  help: string,
): Rule<A> {
  return { name, description, message, help, advice: true, url: `docs/rules/${kebab(name)}.md` };
}

function guess(match: string, mark = ''): string {
  return match === '' ? '' : ` (did you mean ${mark}${match}?)`;
}

/** The rules by name, each with the arguments of its message. */
export interface Rules {
  readonly StageNameCasing: Rule<readonly [stage: string]>;
  readonly FromAsCasing: Rule<readonly [from: string, as: string]>;
  readonly NoEmptyContinuation: Rule<readonly []>;
  readonly ConsistentInstructionCasing: Rule<readonly [command: string, casing: string]>;
  readonly DuplicateStageName: Rule<readonly [stage: string]>;
  readonly ReservedStageName: Rule<readonly [stage: string]>;
  readonly JSONArgsRecommended: Rule<readonly [command: string]>;
  readonly MaintainerDeprecated: Rule<readonly []>;
  readonly UndefinedArgInFrom: Rule<readonly [arg: string, match: string]>;
  readonly WorkdirRelativePath: Rule<readonly [path: string]>;
  readonly UndefinedVar: Rule<readonly [name: string, match: string]>;
  readonly MultipleInstructionsDisallowed: Rule<readonly [command: string]>;
  readonly LegacyKeyValueFormat: Rule<readonly [command: string]>;
  readonly InvalidBaseImagePlatform: Rule<readonly [image: string, expected: string, actual: string]>;
  readonly RedundantTargetPlatform: Rule<readonly [platform: string]>;
  readonly SecretsUsedInArgOrEnv: Rule<readonly [command: string, key: string]>;
  readonly InvalidDefaultArgInFrom: Rule<readonly [base: string]>;
  readonly FromPlatformFlagConstDisallowed: Rule<readonly [platform: string]>;
  readonly CopyIgnoredFile: Rule<readonly [command: string, file: string]>;
  readonly InvalidDefinitionDescription: Rule<readonly [command: string, name: string]>;
  readonly ExposeProtoCasing: Rule<readonly [port: string]>;
  readonly ExposeInvalidFormat: Rule<readonly [port: string]>;
  readonly CopyBeforeInstall: Rule<readonly [sources: string, line: string]>;
  readonly VolatileArgTooEarly: Rule<readonly [name: string, count: string]>;
  readonly SecretFileCopied: Rule<readonly [command: string, file: string]>;
  readonly AptUpdateAlone: Rule<readonly [command: string]>;
  readonly BidirectionalText: Rule<readonly [code: string]>;
}

/** BuildKit's rules with its names, descriptions, messages and pages, then the advice that tsbuild adds. */
export const rules: Rules = {
  StageNameCasing: rule(
    'StageNameCasing',
    'Stage names should be lowercase',
    (stage: string) => `Stage name '${stage}' should be lowercase`,
  ),
  FromAsCasing: rule(
    'FromAsCasing',
    "The 'as' keyword should match the case of the 'from' keyword",
    (from: string, as: string) => `'${as}' and '${from}' keywords' casing do not match`,
  ),
  NoEmptyContinuation: rule(
    'NoEmptyContinuation',
    'Empty continuation lines will become errors in a future release',
    () => 'Empty continuation line',
  ),
  ConsistentInstructionCasing: rule(
    'ConsistentInstructionCasing',
    'All commands within the Dockerfile should use the same casing (either upper or lower)',
    (command: string, casing: string) =>
      `Command '${command}' should match the case of the command majority (${casing})`,
  ),
  DuplicateStageName: rule(
    'DuplicateStageName',
    'Stage names should be unique',
    (stage: string) => `Duplicate stage name ${goQuote(stage)}, stage names should be unique`,
  ),
  ReservedStageName: rule(
    'ReservedStageName',
    'Reserved words should not be used as stage names',
    (stage: string) => `Stage name should not use the same name as reserved stage ${goQuote(stage)}`,
  ),
  JSONArgsRecommended: rule(
    'JSONArgsRecommended',
    'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
    (command: string) =>
      `JSON arguments recommended for ${command} to prevent unintended behavior related to OS signals`,
  ),
  MaintainerDeprecated: rule(
    'MaintainerDeprecated',
    'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
    () => 'Maintainer instruction is deprecated in favor of using label',
  ),
  UndefinedArgInFrom: rule(
    'UndefinedArgInFrom',
    'FROM command must use declared ARGs',
    (arg: string, match: string) => `FROM argument '${arg}' is not declared${guess(match)}`,
  ),
  WorkdirRelativePath: rule(
    'WorkdirRelativePath',
    'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
    (path: string) => `Relative workdir ${goQuote(path)} can have unexpected results if the base image changes`,
  ),
  UndefinedVar: rule(
    'UndefinedVar',
    'Variables should be defined before their use',
    (name: string, match: string) => `Usage of undefined variable '$${name}'${guess(match, '$')}`,
  ),
  MultipleInstructionsDisallowed: rule(
    'MultipleInstructionsDisallowed',
    'Multiple instructions of the same type should not be used in the same stage',
    (command: string) =>
      `Multiple ${command} instructions should not be used in the same stage because only the last one will be used`,
  ),
  LegacyKeyValueFormat: rule(
    'LegacyKeyValueFormat',
    'Legacy key/value format with whitespace separator should not be used',
    (command: string) => `"${command} key=value" should be used instead of legacy "${command} key value" format`,
  ),
  InvalidBaseImagePlatform: rule(
    'InvalidBaseImagePlatform',
    'Base image platform does not match expected target platform',
    (image: string, expected: string, actual: string) =>
      `Base image ${image} was pulled with platform ${goQuote(actual)}, expected ${goQuote(expected)} for current build`,
    { url: '' },
  ),
  RedundantTargetPlatform: rule(
    'RedundantTargetPlatform',
    'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
    (platform: string) =>
      `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
  ),
  SecretsUsedInArgOrEnv: rule(
    'SecretsUsedInArgOrEnv',
    'Sensitive data should not be used in the ARG or ENV commands',
    (command: string, key: string) =>
      `Do not use ARG or ENV instructions for sensitive data (${command} ${goQuote(key)})`,
  ),
  InvalidDefaultArgInFrom: rule(
    'InvalidDefaultArgInFrom',
    'Default value for global ARG results in an empty or invalid base image name',
    (base: string) => `Default value for ARG ${base} results in empty or invalid base image name`,
  ),
  FromPlatformFlagConstDisallowed: rule(
    'FromPlatformFlagConstDisallowed',
    'FROM --platform flag should not use a constant value',
    (platform: string) => `FROM --platform flag should not use constant value ${goQuote(platform)}`,
  ),
  CopyIgnoredFile: rule(
    'CopyIgnoredFile',
    'Attempting to Copy file that is excluded by .dockerignore',
    (command: string, file: string) =>
      `Attempting to ${command} file ${goQuote(file)} that is excluded by .dockerignore`,
  ),
  InvalidDefinitionDescription: rule(
    'InvalidDefinitionDescription',
    'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
    (command: string, name: string) => `Comment for ${command} should follow the format: \`# ${name} <description>\``,
    { experimental: true },
  ),
  ExposeProtoCasing: rule(
    'ExposeProtoCasing',
    'Protocol in EXPOSE instruction should be lowercase',
    (port: string) => `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
  ),
  ExposeInvalidFormat: rule(
    'ExposeInvalidFormat',
    'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
    (port: string) => `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
  ),
  CopyBeforeInstall: advice(
    'CopyBeforeInstall',
    'Copying all sources before installing dependencies installs them again after every change',
    (sources: string, line: string) =>
      `Copying "${sources}" here makes line ${line} install the dependencies again whenever any source file changes`,
    'copy the lock file and manifest first, install, and copy the rest below',
  ),
  VolatileArgTooEarly: advice(
    'VolatileArgTooEarly',
    'A build argument with a new value for every build makes all RUN steps below it run again',
    (name: string, count: string) =>
      `ARG ${name} changes with every build and busts the cache of ${count} RUN below it`,
    'declare it directly above the first instruction that uses it, at the end of the stage',
  ),
  SecretFileCopied: advice(
    'SecretFileCopied',
    'A secret copied into a layer stays in the image, even when a later step deletes it',
    (command: string, file: string) =>
      `${command} puts "${file}" into a layer, where anyone with the image can read it`,
    'use RUN --mount=type=secret in the step that needs it',
  ),
  AptUpdateAlone: advice(
    'AptUpdateAlone',
    'A package index in a layer of its own goes stale in the cache',
    (command: string) =>
      `"${command} update" without an install in the same RUN: a cached index makes later installs fail`,
    'write: RUN apt-get update && apt-get install -y --no-install-recommends ... && rm -rf /var/lib/apt/lists/*',
  ),
  BidirectionalText: advice(
    'BidirectionalText',
    'Characters that change the direction of text make a file look other than it reads',
    (code: string) =>
      `Control character ${code} changes the direction of the text: the line may do other than it shows`,
    'remove the character, or have it made by the command that needs it, for example with printf',
  ),
};
