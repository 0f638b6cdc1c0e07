import {
  type Command,
  type CommandType,
  type Dockerfile,
  parseDockerfile,
} from '../../../src/frontend/dockerfile/index.ts';
import { isTsbuildError, type SourceFile } from '../../../src/util/index.ts';

export function file(text: string): SourceFile {
  return { name: 'Dockerfile', text };
}

export function parse(text: string): Dockerfile {
  return parseDockerfile(file(text));
}

/** The only command of a stage that holds `instruction`. */
export function command<T extends CommandType>(type: T, instruction: string): Extract<Command, { type: T }> {
  const commands = parse(`FROM scratch\n${instruction}\n`).stages[0]?.commands ?? [];
  const [found] = commands;
  if (commands.length !== 1 || found?.type !== type) throw new Error(`no single ${type} in ${instruction}`);
  return found as Extract<Command, { type: T }>;
}

/** The message of the Dockerfile error that `action` throws. Anything else it throws is a fault. */
export function mistake(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (isTsbuildError(error, 'TSB_DOCKERFILE')) return error.message;
    throw error;
  }
  return 'no error';
}
