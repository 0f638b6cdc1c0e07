import type { SourceRange } from '../../util/index.ts';
import type { Command, CommandBase } from '../dockerfile/types.ts';
import type { Linter } from './linter.ts';
import { rules } from './rules.ts';

/** What a stage has from the stage or image that it is based on. */
export interface StageStart {
  /** Whether the base's config has a shell of its own. */
  readonly hasShell: boolean;
  /** Whether a WORKDIR of the same Dockerfile comes before. */
  readonly hasWorkdir: boolean;
  /** Whether a path is absolute where the stage runs: on Windows it may have a drive letter. */
  readonly isAbsolute: (path: string) => boolean;
}

/** Either is a whole word of the name, the words being separated by `_`. */
const SECRET = /(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const NO_SECRET = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/**
 * Follows the commands of one stage while they are lowered, and reports what depends on those before. Only stages that are part
 * of the build should be followed, and commands from a base's ONBUILD too.
 */
export class StageLinter {
  readonly #linter: Linter;
  readonly #used = new Map<string, readonly SourceRange[]>();
  #hasShell: boolean;
  #hasWorkdir: boolean;
  readonly #isAbsolute: StageStart['isAbsolute'];

  constructor(linter: Linter, start: StageStart) {
    this.#linter = linter;
    this.#hasShell = start.hasShell;
    this.#hasWorkdir = start.hasWorkdir;
    this.#isAbsolute = start.isAbsolute;
  }

  /** Pass on to the stages that are based on this one. */
  get end(): Omit<StageStart, 'isAbsolute'> {
    return { hasShell: this.#hasShell, hasWorkdir: this.#hasWorkdir };
  }

  /** Notes the next command. @param command expanded; for EXPOSE see `exposed` */
  command(command: Command): void {
    const linter = this.#linter.scoped(command.comments);
    switch (command.type) {
      case 'cmd':
      case 'entrypoint':
        this.#once(linter, command);
        if (command.prependShell && !this.#hasShell) {
          linter.report(rules.JSONArgsRecommended, command.ranges, [command.keyword], command.keyword);
        }
        break;
      case 'healthcheck':
        this.#once(linter, command);
        break;
      case 'shell':
        this.#hasShell = true;
        break;
      case 'workdir':
        if (!this.#hasWorkdir && !this.#isAbsolute(command.path)) {
          linter.report(rules.WorkdirRelativePath, command.ranges, [command.path], command.path);
        }
        this.#hasWorkdir = true;
        break;
      case 'env':
        for (const { key, legacy } of command.env) {
          if (legacy) linter.report(rules.LegacyKeyValueFormat, command.ranges, [command.keyword]);
          lintSecretName(linter, command, 'ENV', key);
        }
        break;
      case 'label':
        if (command.labels.some(({ legacy }) => legacy)) {
          linter.report(rules.LegacyKeyValueFormat, command.ranges, [command.keyword]);
        }
        break;
      case 'arg':
        for (const { key } of command.args) lintSecretName(linter, command, 'ARG', key);
        break;
      default:
    }
  }

  /** The earlier one is reported: it is the one without effect. */
  #once(linter: Linter, command: Command): void {
    const earlier = this.#used.get(command.type);
    if (earlier) linter.report(rules.MultipleInstructionsDisallowed, earlier, [command.keyword], command.keyword);
    this.#used.set(command.type, command.ranges);
  }
}

function lintSecretName(linter: Linter, command: CommandBase, instruction: string, key: string): void {
  if (!SECRET.test(key) || NO_SECRET.test(key)) return;
  linter.report(rules.SecretsUsedInArgOrEnv, command.ranges, [instruction, key], key);
}

/**
 * Reports the form of one expanded word of EXPOSE.
 * @param linter scoped to the command
 */
export function lintExposedPort(linter: Linter, ranges: readonly SourceRange[], port: string): void {
  const parts = port.split(':');
  const protocol = (parts.at(-1) ?? '').split('/').slice(1).join('/');
  if (protocol !== protocol.toLowerCase()) linter.report(rules.ExposeProtoCasing, ranges, [port], port);
  if (parts.slice(0, -1).some((part) => part !== '')) linter.report(rules.ExposeInvalidFormat, ranges, [port], port);
}
