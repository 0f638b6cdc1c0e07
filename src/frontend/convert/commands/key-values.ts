import type { ArgCommand, ArgDefinition, EnvCommand, KeyValue, LabelCommand } from '../../dockerfile/types.ts';
import { expandWord } from '../../dockerfile/shell/lex.ts';
import { addHistory, setConfigEnv } from '../image-config.ts';
import type { Lowering } from '../lowering.ts';
import type { StageState } from '../stage-state.ts';
import { reportUnmatched } from '../unmatched.ts';

/** Arguments that steer the build and never become environment. */
const NOT_ENVIRONMENT = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** ENV, for the steps to come and for the container. */
export function lowerEnv(lowering: Lowering, state: StageState, command: EnvCommand): void {
  state.state = state.state.addEnvs(command.env.map(({ key, value }) => [key, value] as const));
  for (const { key, value } of command.env) setConfigEnv(state.image.config, key, value);
  addHistory(state.image, `ENV ${joinPairs(command.env)}`, lowering);
}

/** LABEL. A later label of the same key wins. */
export function lowerLabel(lowering: Lowering, state: StageState, command: LabelCommand): void {
  const labels = (state.image.config.Labels ??= {});
  for (const { key, value } of command.labels)
    // Defined, not assigned: `__proto__` is a name like any other.
    Object.defineProperty(labels, key, { value, enumerable: true, writable: true, configurable: true });
  addHistory(state.image, `LABEL ${joinPairs(command.labels)}`, lowering);
}

function joinPairs(pairs: readonly KeyValue[]): string {
  return pairs.map(({ key, value }) => `${key}=${value}`).join(' ');
}

/** What the user gave wins over the default, and an argument without either takes the global one of its name. */
export function lowerArg(lowering: Lowering, state: StageState, command: ArgCommand): void {
  const shown: string[] = [];
  for (const arg of command.args) {
    const value = argValue(lowering, state, command, arg);
    if (value !== undefined && !NOT_ENVIRONMENT.has(arg.key)) state.state = state.state.addEnv(arg.key, value);
    const given = lowering.buildArgs.has(arg.key);
    const inherited = arg.value === undefined && !given && lowering.globalArgs.has(arg.key);
    const definition = { ...arg, value };
    if (!inherited) state.outline.args.set(arg.key, { definition, value, ranges: command.ranges, deps: new Set() });
    state.outline.usedArgs.add(arg.key);
    const earlier = state.buildArgs.get(arg.key)?.value;
    state.buildArgs.set(arg.key, { ...definition, value: value ?? earlier });
    shown.push(value === undefined ? arg.key : `${arg.key}=${value}`);
  }
  addHistory(state.image, `ARG ${shown.join(' ')}`, lowering);
}

/** What an ARG comes to; undefined when nobody gave it anything. */
function argValue(lowering: Lowering, state: StageState, command: ArgCommand, arg: ArgDefinition): string | undefined {
  const given = lowering.buildArgs.get(arg.key);
  if (given !== undefined) return given;
  if (arg.value === undefined) return lowering.globalArgs.get(arg.key);
  const { value, unmatched } = expandWord(arg.value, state.state.meta.env, { escape: lowering.dockerfile.escape });
  reportUnmatched(lowering, state, command, unmatched);
  return lowering.room.take(value);
}
