import { encodeStep, type ExitStatus, giveSockets, runStep, type StepSpec } from '../sandbox/index.ts';
import type { HandlerContext } from './handler-context.ts';

/** Runs a step from this process, which must be in namespace A. */
export async function runStepHere(spec: StepSpec, context: HandlerContext): Promise<ExitStatus> {
  const { plan, helperPath, seccompDir } = context.config;
  const seccompPath = `${seccompDir}/${process.arch}.bpf`;
  giveSockets(spec.mounts ?? [], plan);
  return runStep({
    helperPath,
    encoded: encodeStep(spec, { plan, seccompPath, bindProc: context.config.bindProc ?? false }),
    signal: context.signal,
    onOutput: context.output,
  });
}
