import type { EnvList } from '../../llb/index.ts';
import type { Platform } from '../../image/index.ts';
import { type Environment, expandWord, type LexOptions } from '../dockerfile/shell/lex.ts';
import type { EscapeToken } from '../dockerfile/types.ts';
import { crossTarget, formatPlatformFull } from './platform.ts';
import type { TextRoom } from './text-room.ts';
import type { StageState } from './stage-state.ts';

/** What names of steps need of the lowering. */
interface Named {
  readonly room: TextRoom;
  readonly dockerfile: { readonly escape: EscapeToken };
}

/** The instruction with variables filled in as far as that works, its keyword in capitals. */
export function displayName(
  { room, dockerfile }: Named,
  text: string,
  env: Environment,
  options: LexOptions = {},
): string {
  let expanded = text;
  try {
    expanded = expandWord(text, env, { ...options, escape: dockerfile.escape }).value;
  } catch {
    // A command for the shell need not be a word to the Dockerfile's lexer.
  }
  room.take(expanded);
  const space = expanded.indexOf(' ');
  if (space < 0) return expanded.toUpperCase();
  return expanded.slice(0, space).toUpperCase() + expanded.slice(space);
}

/**
 * Puts `[stage 2/5] ` before the name of a step and counts it.
 * @param platform shown when images for several platforms were asked for, with the one that is cross-built for
 */
export function stepName(stage: StageState, text: string, platform: Platform | undefined, env: EnvList): string {
  if (stage.commandTotal === 0) return text;
  stage.commandIndex++;
  const shown = platform === undefined ? '' : `${formatPlatformFull(platform)}${crossTarget(platform, env)} `;
  const stageName = stage.name === '' ? '' : `${stage.name} `;
  const index = String(stage.commandIndex).padStart(String(stage.commandTotal).length);
  const onbuild = stage.commandIsOnbuild ? 'ONBUILD ' : '';
  return `[${shown}${stageName}${index}/${stage.commandTotal}] ${onbuild}${text}`;
}
