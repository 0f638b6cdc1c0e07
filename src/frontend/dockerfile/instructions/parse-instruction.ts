import type { SourceRange } from '../../../util/index.ts';
import { dockerfileError } from '../failure.ts';
import { instructionNames } from '../parser/line-parsers.ts';
import { didYouMean } from '../suggestion.ts';
import { compareBytes, equalFold, goQuote, trimSpace } from '../text.ts';
import { parseAdd, parseCopy } from './copy.ts';
import { parseHealthcheck } from './healthcheck.ts';
import { commandWords, docComment, type Request, requestOf } from './request.ts';
import { commandLine, parseRun } from './run.ts';
import type { ArgCommand, Command, DockerfileNode, KeyValue, OnbuildCommand, ShellCommand, Stage } from '../types.ts';

/**
 * Types one instruction: a FROM becomes an empty stage, all others a command.
 * @throws TsbuildError without a place
 */
export function parseInstruction(node: DockerfileNode, ranges: readonly SourceRange[]): Command | Stage {
  const request = requestOf(node, ranges);
  const { base, flags } = request;
  switch (node.keyword.toLowerCase()) {
    case 'add':
      return parseAdd(request);
    case 'arg':
      return parseArg(request);
    case 'cmd':
      flags.parse();
      return { type: 'cmd', ...base, ...commandLine(request) };
    case 'copy':
      return parseCopy(request);
    case 'entrypoint':
      flags.parse();
      return { type: 'entrypoint', ...base, ...commandLine(request) };
    case 'env':
      flags.parse();
      return { type: 'env', ...base, env: keyValues(request, 'ENV') };
    case 'expose':
      requireOne(request, 'EXPOSE');
      flags.parse();
      return { type: 'expose', ...base, ports: [...request.args].sort(compareBytes) };
    case 'from':
      return parseFrom(request);
    case 'healthcheck':
      return parseHealthcheck(request);
    case 'label':
      flags.parse();
      return { type: 'label', ...base, labels: keyValues(request, 'LABEL') };
    case 'maintainer':
      return { type: 'maintainer', ...base, maintainer: onlyArgument(request, 'MAINTAINER') };
    case 'onbuild':
      return parseOnbuild(request);
    case 'run':
      return parseRun(request);
    case 'shell':
      return parseShell(request);
    case 'stopsignal':
      // Flags are ignored here and with ARG, as BuildKit does.
      return { type: 'stopsignal', ...base, signal: onlyArgument(request, 'STOPSIGNAL', false) };
    case 'user':
      return { type: 'user', ...base, user: onlyArgument(request, 'USER') };
    case 'volume':
      requireOne(request, 'VOLUME');
      flags.parse();
      return { type: 'volume', ...base, volumes: request.args.map(volume) };
    case 'workdir':
      return { type: 'workdir', ...base, path: onlyArgument(request, 'WORKDIR') };
    default:
      throw dockerfileError(
        didYouMean(`unknown instruction: ${node.keyword}`, node.keyword, instructionNames, { ignoreCase: true }),
      );
  }
}

const STAGE_NAME = /^[a-z][a-z0-9\-_.]*$/;

/** FROM image [AS name]. */
function parseFrom({ args, flags, base }: Request): Stage {
  const name = stageName(args);
  flags.parse({ platform: 'string' });
  return {
    name,
    baseName: args[0] ?? '',
    platform: flags.string('platform'),
    keyword: base.keyword,
    docComment: docComment(base.comments, name),
    original: base.original,
    ranges: base.ranges,
    comments: base.comments,
    commands: [],
  };
}

/**
 * The name after AS.
 * @throws TsbuildError `TSB_DOCKERFILE` for one that could be taken for a number
 */
function stageName(args: readonly string[]): string {
  const [, as, name] = args;
  if (args.length === 3 && as !== undefined && name !== undefined && equalFold(as, 'as')) {
    const lower = name.toLowerCase();
    if (STAGE_NAME.test(lower)) return lower;
    throw dockerfileError(
      `invalid name for build stage: ${goQuote(name)}, name can't start with a number or contain symbols`,
    );
  }
  if (args.length !== 1) throw dockerfileError('FROM requires either one or three arguments');
  return '';
}

function parseArg(request: Request): ArgCommand {
  requireOne(request, 'ARG');
  const args = request.args.map((word) => {
    const equals = word.indexOf('=');
    if (equals === 0) throw dockerfileError('ARG names can not be blank');
    const key = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    return { key, value, docComment: docComment(request.base.comments, key) };
  });
  return { type: 'arg', ...request.base, args };
}

function keyValues({ args }: Request, name: string): readonly KeyValue[] {
  if (args.length === 0) throw dockerfileError(`${name} requires at least one argument`);
  const pairs: KeyValue[] = [];
  for (let index = 0; index < args.length; index += 3) {
    const key = args[index] ?? '';
    if (key === '') throw dockerfileError(`${name} names can not be blank`);
    pairs.push({ key, value: args[index + 1] ?? '', legacy: args[index + 2] === '' });
  }
  return pairs;
}

/** ONBUILD, which may not trigger FROM, MAINTAINER or itself. */
function parseOnbuild(request: Request): OnbuildCommand {
  requireOne(request, 'ONBUILD');
  request.flags.parse();
  const trigger = trimSpace(request.args[0] ?? '').toUpperCase();
  if (trigger === 'ONBUILD') throw dockerfileError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (trigger === 'MAINTAINER' || trigger === 'FROM') {
    throw dockerfileError(`${trigger} isn't allowed as an ONBUILD trigger`);
  }
  const text = request.original.replace(/^[\t\n\f\r ]*ONBUILD[\t\n\f\r ]*/i, '');
  const bodies = request.heredocs.map(({ content, name }) => `\n${content}${name}`);
  return { type: 'onbuild', ...request.base, expression: text + bodies.join('') };
}

function parseShell(request: Request): ShellCommand {
  request.flags.parse();
  const shell = commandWords(request.args, request.json);
  if (shell.length === 0) throw dockerfileError('SHELL requires at least one argument');
  if (!request.json) throw dockerfileError('SHELL requires the arguments to be in JSON form');
  return { type: 'shell', ...request.base, shell };
}

function volume(word: string): string {
  const path = trimSpace(word);
  if (path === '') throw dockerfileError('VOLUME specified can not be an empty string');
  return path;
}

function requireOne({ args }: Request, name: string): void {
  if (args.length === 0) throw dockerfileError(`${name} requires at least one argument`);
}

function onlyArgument({ args, flags }: Request, name: string, takesFlags = true): string {
  const [word] = args;
  if (word === undefined || args.length > 1) throw dockerfileError(`${name} requires exactly one argument`);
  if (takesFlags) flags.parse();
  return word;
}
