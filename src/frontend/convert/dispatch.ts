import type { Command } from '../dockerfile/types.ts';
import { expandCommand, expandContents } from '../dockerfile/instructions/expand.ts';
import { expandWord } from '../dockerfile/shell/lex.ts';
import type { StageLinter } from '../lint/stage-rules.ts';
import { placed } from '../dockerfile/failure.ts';
import { lowerAdd, lowerCopy } from './commands/copy.ts';
import { lowerExpose } from './commands/expose.ts';
import { lowerArg, lowerEnv, lowerLabel } from './commands/key-values.ts';
import { lowerCmd, lowerEntrypoint, lowerHealthcheck, lowerShell } from './commands/processes.ts';
import { lowerRun } from './commands/run.ts';
import { lowerMaintainer, lowerOnbuild, lowerStopsignal, lowerUser, lowerVolume } from './commands/metadata.ts';
import { lowerWorkdir } from './commands/workdir.ts';
import type { Lowering } from './lowering.ts';
import type { StageCommand, StageState } from './stage-state.ts';
import { reportUnmatched } from './unmatched.ts';

/** Lowers one command: expands its variables with what the stage has so far, and changes the stage. */
export function dispatch(lowering: Lowering, state: StageState, item: StageCommand, linter: StageLinter): void {
  state.commandIsOnbuild = item.isOnbuild;
  placed(item.command.ranges, () => {
    const command = expandVariables(lowering, state, item.command);
    linter.command(command);
    lowerCommand(lowering, state, command, item);
  });
}

/** Replaces variables by their values at this point of the stage. */
function expandVariables(lowering: Lowering, state: StageState, command: Command): Command {
  // The default of an ARG may go unused, so ARG expands it itself.
  if (command.type === 'arg') return command;
  const { env } = state.state.meta;
  const { escape } = lowering.dockerfile;
  const expanded = expandCommand(command, (word) => {
    const { value, unmatched } = expandWord(word, env, { escape });
    reportUnmatched(lowering, state, command, unmatched);
    return lowering.room.take(value);
  });
  if (expanded.type !== 'copy' && expanded.type !== 'add') return expanded;
  const contents = expandContents(expanded.contents, (word) => {
    const { value, unmatched } = expandWord(word, env, { escape: '\\', skipProcessQuotes: true });
    reportUnmatched(lowering, state, command, unmatched);
    return lowering.room.take(value);
  });
  return { ...expanded, contents };
}

/** The one place that knows which code is for which instruction. */
function lowerCommand(lowering: Lowering, state: StageState, command: Command, item: StageCommand): void {
  switch (command.type) {
    case 'add':
      return lowerAdd(lowering, state, command);
    case 'arg':
      return lowerArg(lowering, state, command);
    case 'cmd':
      return lowerCmd(lowering, state, command);
    case 'copy':
      return lowerCopy(lowering, state, command, item.sources[0]);
    case 'entrypoint':
      return lowerEntrypoint(lowering, state, command);
    case 'env':
      return lowerEnv(lowering, state, command);
    case 'expose':
      return lowerExpose(lowering, state, command);
    case 'healthcheck':
      return lowerHealthcheck(lowering, state, command);
    case 'label':
      return lowerLabel(lowering, state, command);
    case 'maintainer':
      return lowerMaintainer(lowering, state, command);
    case 'onbuild':
      return lowerOnbuild(state, command);
    case 'run':
      return lowerRun(lowering, state, command, item.sources);
    case 'shell':
      return lowerShell(lowering, state, command);
    case 'stopsignal':
      return lowerStopsignal(lowering, state, command);
    case 'user':
      return lowerUser(lowering, state, command);
    case 'volume':
      return lowerVolume(lowering, state, command);
    case 'workdir':
      return lowerWorkdir(lowering, state, command);
    default:
      return command satisfies never;
  }
}
