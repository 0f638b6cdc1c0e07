import { carriesOutput, type ExecOp, type Mount, type OpPlatform } from '../../llb/index.ts';
import { type Digest, isTsbuildError, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { LayerSlot } from '../../snapshots/index.ts';
import type { PrepareUpperParams } from '../../worker/index.ts';
import { arrivals } from './cache-mount.ts';
import type { Grants } from '../pieces.ts';
import { withDevices } from './exec-devices.ts';
import type { ExecPieces } from './exec-pieces.ts';
import { stepPlatform, withEmulator } from './foreign-step.ts';
import { type OpResult, snapshot } from '../result.ts';
import { openRecorded, runRecorded, withRecorded } from './recorded-step.ts';
import { runStep } from './step-process.ts';
import { baseOf, networkOf, stepSpec } from './step-spec.ts';
import type { VisitedStep } from './step-visitor.ts';

/**
 * Runs an exec op: every mount with an output becomes a new layer on its input, all others are gone afterwards.
 * @throws TsbuildError `TSB_STEP` with BuildKit's text when the process fails
 */
export async function runExec(
  pieces: ExecPieces,
  task: Task,
  vertex: Digest,
  name: string,
  exec: ExecOp,
  opPlatform: OpPlatform | undefined,
  inputs: readonly OpResult[],
): Promise<readonly OpResult[]> {
  checkEntitlements(pieces.grants, exec);
  const travel = pieces.travel();
  travel?.begin(vertex);
  // Granted and found before anything is prepared.
  const devices = await pieces.grants.devices.resolve(exec.cdiDevices);
  await using held = new AsyncDisposableStack();
  const recording = await openRecorded(pieces, task, held, vertex, name);
  // Beside the unpacking of what the step stands on.
  if (networkOf(exec) === 'isolated' && recording === undefined) pieces.prepareNetwork();
  const bases = await Promise.all(inputs.map((input) => pieces.locals.of(task, input)));
  const outputs = exec.mounts.filter(carriesOutput).sort((a, b) => a.output - b.output);
  const results = new Map<number, string>();
  const platform = stepPlatform(pieces.emulation, opPlatform);

  /** What the step writes to, made by the worker just before. */
  const uppers: PrepareUpperParams[] = [];
  // Each output is filled inside the callback of the one before it, so that a failure throws all of them away.
  const fillFrom = async (index: number, slots: ReadonlyMap<Mount, LayerSlot>): Promise<void> => {
    const mount = outputs[index];
    if (!mount) {
      const step = { exec, arrive: arrivals(travel, vertex) };
      const made = await stepSpec(pieces, task, held, step, bases, slots, uppers);
      const recorded = await withRecorded(pieces, task, recording, made);
      const spec = withEmulator(recorded, pieces.emulation, platform);
      const whole = devices.length === 0 ? spec : withDevices(spec, devices, pieces.report.warn);
      await visited(pieces, task, { vertex, name, spec: whole }, uppers, () =>
        runRecorded(pieces, recording, name, () => runStep(pieces, task, vertex, exec, platform, whole, uppers)),
      );
      return;
    }
    const parents = baseOf(bases, mount);
    const id = await pieces.snapshots.layers.create(task, { parents, description: name }, async (slot) => {
      uppers.push({ dir: slot.dir, lowers: slot.lowers });
      await fillFrom(index + 1, new Map([...slots, [mount, slot]]));
    });
    results.set(mount.output, id);
  };
  await fillFrom(0, new Map());

  return outputs.map((mount) => {
    const parents = baseOf(bases, mount);
    return snapshot([...parents, results.get(mount.output) ?? '']);
  });
}

/**
 * Runs a step, with the visitor in its place or behind it where one came.
 * @throws TsbuildError `TSB_CANCELED` after a visit to a step that did not run
 */
async function visited(
  { visitor, snapshots }: ExecPieces,
  task: Task,
  step: VisitedStep,
  uppers: readonly PrepareUpperParams[],
  run: () => Promise<void>,
): Promise<void> {
  if (visitor?.wants?.(step.name)) {
    const worker = await snapshots.worker();
    for (const upper of uppers) await worker.call('prepareUpper', upper, { signal: task.signal });
    await visitor.visit(step, undefined);
    throw new TsbuildError('TSB_CANCELED', `Ended after a look into ${JSON.stringify(step.name)}, which did not run`);
  }
  try {
    await run();
  } catch (error) {
    const isFailure = isTsbuildError(error) && ['TSB_STEP', 'TSB_TIMEOUT'].includes(error.code);
    if (isFailure && !task.signal.aborted) await visitor?.visit(step, error);
    throw error;
  }
}

/**
 * Once more, behind the frontend's own check: a graph may come from elsewhere than a Dockerfile.
 * @throws TsbuildError `TSB_STEP`
 */
export function checkEntitlements(
  { entitlements }: Pick<Grants, 'entitlements'>,
  exec: Pick<ExecOp, 'network' | 'security'>,
): void {
  const wanted = [
    exec.network === 'host' ? 'network.host' : '',
    exec.security === 'insecure' ? 'security.insecure' : '',
  ];
  for (const name of wanted) {
    if (name === '' || entitlements.has(name)) continue;
    throw new TsbuildError('TSB_STEP', `entitlement ${name} is not allowed`, {
      hint: `if the Dockerfile is to be trusted with it, build with --allow ${name}`,
    });
  }
}
