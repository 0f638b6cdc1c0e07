import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTsbuildError } from '../util/index.ts';
import { encodeStep } from './encode-step.ts';
import { LoneRemover } from './lone-remover.ts';
import { runAlone } from './run-alone.ts';
import type { Emulator, ExitStatus, NamespacePlan, StepSpec } from './types.ts';

/** How long a trial step may take. */
const TRIAL_MS = 10_000;

/** On what a step is tried. */
export interface Trial {
  /** An existing directory on the file system of the store. */
  readonly storeRoot: string;
  readonly helper: string;
  readonly seccompPath: string;
  readonly plan: NamespacePlan;
}

/** A program for a trial step, and what executes it. */
export interface TrialProgram {
  readonly program: Buffer;
  readonly emulator?: Emulator;
}

/** Runs a program in a step, or the helper itself; undefined when that works, else why it does not. */
export async function tryStep(
  trial: Trial,
  onBoundProc: () => void = () => undefined,
  tried?: TrialProgram,
): Promise<unknown> {
  const { plan, helper: helperPath } = trial;
  const dir = mkdtempSync(join(trial.storeRoot, 'doctor-'));
  const tree = join(dir, 'tree');
  try {
    const paths = {
      lower: join(dir, 'lower'),
      upper: join(dir, 'upper'),
      work: join(dir, 'work'),
      formats: join(dir, 'formats'),
    };
    for (const path of [...Object.values(paths), tree]) {
      mkdirSync(path);
      if (plan.idShift > 0) chownSync(path, plan.idShift, plan.idShift);
    }
    const program = join(paths.lower, 'program');
    if (tried === undefined) copyFileSync(helperPath, program);
    else writeFileSync(program, tried.program);
    chmodSync(program, 0o755);
    const spec: StepSpec = {
      lowers: [paths.lower],
      upper: paths.upper,
      work: paths.work,
      args: ['/program'],
      env: [],
      cwd: '/',
      user: '0:0',
      hostname: 'tsbuild',
      network: plan.how === 'none' ? 'host' : 'none',
      security: 'sandbox',
      ...(tried?.emulator === undefined ? {} : { emulator: tried.emulator }),
    };
    const encoded = encodeStep(spec, {
      plan,
      seccompPath: trial.seccompPath,
      formatsDir: paths.formats,
      tree: { dir: tree, apply: spec.lowers },
    });
    const step = runAlone({ helperPath, plan, encoded, stdio: ['ignore', 'ignore', 'pipe'], onBoundProc });
    // A program that has no handler for what it does wrong does it for ever, as PID 1.
    const timer = setTimeout(() => step.child.kill('SIGKILL'), TRIAL_MS);
    const status = await step.ended.finally(() => clearTimeout(timer));
    return isExpected(status, tried !== undefined) ? undefined : new Error(`unexpected end: ${JSON.stringify(status)}`);
  } catch (error) {
    return error;
  } finally {
    // What a tree has may belong to ids that this process has not.
    if (plan.copies) await new LoneRemover({ helperPath, plan }).remove([tree]).catch(() => undefined);
    rmSync(dir, { recursive: true, force: true });
  }
}

function isExpected(status: ExitStatus, isOther: boolean): boolean {
  if (isOther) return status.kind === 'exited' && status.code === 0;
  // A helper that is linked dynamically, which TSBUILD_HELPER may name, has no loader in there: it has come as far as being executed.
  if (status.kind === 'not-executed') return status.errno === 'ENOENT';
  // The helper's answer to being called without arguments.
  return status.kind === 'exited' && status.code === 2;
}

/** Whether a trial failed at a stage of the helper. */
export function failedAt(error: unknown, stage: string): boolean {
  return isTsbuildError(error) && error.message.includes(`(${stage})`);
}
