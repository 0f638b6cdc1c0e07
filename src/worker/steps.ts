import { mkdirSync } from 'node:fs';
import { encodeStep, type ExitStatus, giveSockets, runStep, type StepSpec, StepServers } from '../sandbox/index.ts';
import { shallowStack } from './deep-stack.ts';
import type { HandlerContext } from './handler-context.ts';
import { prepareUpper } from './prepare-upper.ts';
import type { RunStepParams, WorkerConfig } from './protocol.ts';

/** This process's helpers. */
let servers: StepServers | undefined;

/** Runs a step from this process, which must be in namespace A. */
export async function runStepHere({ uppers, ...spec }: RunStepParams, context: HandlerContext): Promise<ExitStatus> {
  const { plan, helperPath, seccompDir } = context.config;
  const seccompPath = `${seccompDir}/${process.arch}.bpf`;
  const formatsDir = `${context.config.privateDir}/formats`;
  if (spec.emulator !== undefined) mkdirSync(formatsDir, { recursive: true });
  for (const upper of uppers ?? []) prepareUpper(upper, context);
  giveSockets(spec.mounts ?? [], plan);
  return runStep({
    servers: (servers ??= new StepServers(helperPath)),
    encoded: encodeStep(withShallowStacks(spec, context.config), {
      plan,
      seccompPath,
      formatsDir,
    }),
    signal: context.signal,
    onOutput: context.output,
    onUsage: context.progress,
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
