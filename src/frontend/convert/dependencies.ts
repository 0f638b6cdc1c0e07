import type { SourceRange } from '../../util/index.ts';
import type { Command, EscapeToken } from '../dockerfile/types.ts';
import { expandWord } from '../dockerfile/shell/lex.ts';
import { dockerfileError, placed } from '../dockerfile/failure.ts';
import type { Lowering } from './lowering.ts';
import { type StageCommand, type StageState, type StageTable, unregisteredStage } from './stage-state.ts';

/** Finds for every command the stages that it reads, which decides which stages a target needs. */
export function linkStages(lowering: Lowering): void {
  const { stages } = lowering;
  const own = [...stages.all];
  for (const state of own) {
    state.commands = state.stage.commands.map((command) => withSources(command, lowering, false));
    for (const command of state.commands) addDependencies(state, command, stages);
  }
  refuseCycles(stages.all);
  if (stages.all.length === 1) for (const state of own) state.name = '';
}

/** Notes that the stage needs what its command reads; images that only a `--from` names join the table. */
export function addDependencies(state: StageState, command: StageCommand, stages: StageTable): void {
  for (const source of command.sources) {
    state.deps.set(source, command.command);
    if (source.unregistered) stages.add(source);
  }
}

/** The command with the stages that it reads. */
export function withSources(command: Command, lowering: Lowering, isOnbuild: boolean): StageCommand {
  const { stages, dockerfile } = lowering;
  if (command.type === 'copy' && command.from !== '') {
    const source = placed(command.ranges, () => copySource(command.from, stages, dockerfile.escape, command.ranges));
    return { command, sources: [source], isOnbuild };
  }
  if (command.type === 'run') {
    // A mount without source gets an empty stage: what type it has is not known before its variables are expanded.
    const sources = command.mounts.map(({ from }) => {
      const name = from === '' ? 'scratch' : from;
      return stages.byName(name) ?? unregisteredStage(name, command.ranges);
    });
    return { command, sources, isOnbuild };
  }
  return { command, sources: [], isOnbuild };
}

const NO_VARIABLES: ReadonlyMap<string, string> = new Map();

function copySource(from: string, stages: StageTable, escape: EscapeToken, ranges: readonly SourceRange[]): StageState {
  if (expandWord(from, NO_VARIABLES, { escape }).value !== from) {
    throw dockerfileError(
      'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround',
    );
  }
  if (/^[+-]?\d+$/.test(from)) return stages.byIndex(Number(from));
  return stages.byName(from) ?? unregisteredStage(from, ranges);
}

/**
 * Stages that need each other can never be built.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
function refuseCycles(states: readonly StageState[]): void {
  const done = new Set<StageState>();
  for (const root of states) {
    const path = new Map<StageState, readonly SourceRange[]>();
    const stack: { readonly state: StageState; readonly deps: Iterator<[StageState, Command]> }[] = [];
    const enter = (state: StageState): void => {
      done.add(state);
      path.set(state, []);
      stack.push({ state, deps: state.deps.entries() });
    };
    if (!done.has(root)) enter(root);
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const next = frame.deps.next();
      if (next.done) {
        path.delete(frame.state);
        stack.pop();
        continue;
      }
      const [dep, command] = next.value;
      path.set(frame.state, command.ranges);
      if (path.has(dep)) {
        throw dockerfileError(`circular dependency detected on stage: ${root.name}`, [...path.values()].flat());
      }
      if (!done.has(dep)) enter(dep);
    }
  }
}
