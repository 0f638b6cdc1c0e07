import type { EnvList } from '../../llb/index.ts';
import type { ArgCommand, EscapeToken } from '../dockerfile/types.ts';
import { expandWord } from '../dockerfile/shell/lex.ts';
import { placed } from '../dockerfile/failure.ts';
import type { ArgInfo } from './outline.ts';
import type { TextRoom } from './text-room.ts';

/**
 * Works out the arguments in front of the first FROM. A default may use what stands before it.
 * @param buildArgs what the user gave wins over defaults
 * @throws TsbuildError `TSB_DOCKERFILE` for a default that cannot be expanded
 */
export function expandMetaArgs(
  predefined: EnvList,
  commands: readonly ArgCommand[],
  buildArgs: ReadonlyMap<string, string>,
  { escape, room }: { readonly escape: EscapeToken; readonly room: TextRoom },
): { readonly args: EnvList; readonly infos: ReadonlyMap<string, ArgInfo> } {
  let args = predefined;
  const infos = new Map<string, ArgInfo>();
  for (const command of commands) {
    for (const definition of command.args) {
      const given = buildArgs.get(definition.key);
      let value = given;
      let deps: ReadonlySet<string> = new Set();
      if (given === undefined && definition.value !== undefined) {
        const fallback = definition.value;
        const scope = args;
        const expanded = placed(command.ranges, () => expandWord(fallback, scope, { escape }));
        value = placed(command.ranges, () => room.take(expanded.value));
        // `ARG a=$a` depends on what the earlier `a` depends on.
        const earlier = expanded.matched.has(definition.key) ? infos.get(definition.key)?.deps : undefined;
        deps = new Set([...expanded.matched, ...(earlier ?? [])].filter((key) => key !== definition.key));
      }
      if (value !== undefined) args = args.set(definition.key, value);
      infos.set(definition.key, { definition, value, ranges: command.ranges, deps });
    }
  }
  return { args, infos };
}
