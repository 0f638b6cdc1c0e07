import { type SourceFile, type SourceRange, TsbuildError } from '../../../util/index.ts';
import { dockerfileError, lineRanges, parseError } from '../failure.ts';
import { type ParsedLines, parseLines } from '../parser/parse.ts';
import { parseInstruction } from './parse-instruction.ts';
import type { ArgCommand, Command, Dockerfile, DockerfileNode, Stage } from '../types.ts';
import { parseDirective } from '../parser/directives.ts';

/**
 * Parses a Dockerfile into stages of typed instructions.
 * @throws TsbuildError `TSB_DOCKERFILE` with BuildKit's text and the ranges of the instruction at fault
 */
export function parseDockerfile(file: SourceFile): Dockerfile {
  return typeInstructions(parseLines(file));
}

/** The second half of `parseDockerfile`, for callers that need the syntax tree of a file whose instructions are wrong. */
export function typeInstructions(parsed: ParsedLines): Dockerfile {
  const metaArgs: ArgCommand[] = [];
  const stages: (Stage & { commands: Command[] })[] = [];
  for (const node of parsed.nodes) {
    const ranges = lineRanges(parsed.file.name, node.startLine, node.endLine);
    const item = atLine(node, ranges, () => parseInstruction(node, ranges));
    const current = stages.at(-1);
    if (!('type' in item)) stages.push({ ...item, commands: [] });
    else if (current) current.commands.push(item);
    else if (item.type === 'arg') metaArgs.push(item);
    else throw dockerfileError('no build stage in current context', ranges, 'put a FROM before this instruction');
  }
  return {
    file: parsed.file,
    directives: directivesOf(parsed),
    escape: parsed.escape,
    metaArgs,
    stages,
    nodes: parsed.nodes,
    warnings: parsed.warnings,
  };
}

/** `syntax` and `check` are also recognised below a `#!` line, where the parser itself looks for no directives. */
function directivesOf({ file, directives }: ParsedLines): Dockerfile['directives'] {
  const syntax = parseDirective('syntax', file);
  const check = parseDirective('check', file);
  return {
    ...(directives.escape && { escape: directives.escape }),
    ...(syntax && { syntax }),
    ...(check && { check }),
  };
}

function atLine<T>(node: DockerfileNode, ranges: readonly SourceRange[], action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw parseError(error.message, node.startLine, ranges, error.hint);
  }
}

/**
 * Parses the trigger that an ONBUILD left in an image config.
 * @param ranges where the FROM that fires it stands; they become the command's
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function parseTrigger(expression: string, ranges: readonly SourceRange[] = []): Command {
  const file: SourceFile = { name: 'ONBUILD', text: expression };
  try {
    const [node, ...others] = parseLines(file).nodes;
    if (!node || others.length > 0) throw dockerfileError('onbuild trigger should be a single expression');
    const command = parseInstruction(node, ranges);
    if ('type' in command) return command;
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    throw dockerfileError(error.message, ranges, error.hint);
  }
  throw dockerfileError("FROM isn't allowed as an ONBUILD trigger", ranges);
}
