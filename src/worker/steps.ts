import { mkdirSync } from 'node:fs';
import { encodeStep, type ExitStatus, giveSockets, runStep, type StepSpec } from '../sandbox/index.ts';
import { shallowStack } from './deep-stack.ts';
import type { HandlerContext } from './handler-context.ts';
import type { WorkerConfig } from './protocol.ts';

/** Runs a step from this process, which must be in namespace A. */
export async function runStepHere(spec: StepSpec, context: HandlerContext): Promise<ExitStatus> {
  const { plan, helperPath, seccompDir } = context.config;
  const seccompPath = `${seccompDir}/${process.arch}.bpf`;
  const formatsDir = `${context.config.privateDir}/formats`;
  if (spec.emulator !== undefined) mkdirSync(formatsDir, { recursive: true });
  giveSockets(spec.mounts ?? [], plan);
  return runStep({
    helperPath,
    encoded: encodeStep(withShallowStacks(spec, context.config), {
      plan,
      seccompPath,
      formatsDir,
    }),
    signal: context.signal,
    onOutput: context.output,
    ...(context.boundProc ? { onBoundProc: context.boundProc } : {}),
  });
}

/** The step with no more layers anywhere than one overlay takes. */
function withShallowStacks(spec: StepSpec, config: WorkerConfig): StepSpec {
  return {
    ...spec,
    lowers: shallowStack(config, spec.lowers),
    mounts: (spec.mounts ?? []).map((mount) =>
      mount.type === 'layers' ? { ...mount, lowers: shallowStack(config, mount.lowers) } : mount,
    ),
  };
}
