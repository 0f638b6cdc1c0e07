import type { Command } from '../dockerfile/types.ts';
import { lintUndefinedVariables } from '../lint/variable-rules.ts';
import type { Lowering } from './lowering.ts';
import type { StageState } from './stage-state.ts';

/** Warns of variables that nothing defines. ARGs without value are defined. */
export function reportUnmatched(
  lowering: Lowering,
  state: StageState,
  command: Command,
  unmatched: ReadonlySet<string>,
): void {
  if (unmatched.size === 0) return;
  const linter = lowering.linter.scoped(command.comments);
  lintUndefinedVariables(linter, command.ranges, unmatched, state.buildArgs, state.state.meta.env);
}
