/** Steps for the suite of step executors, all on one base in one process. */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeStep, findSeccompFilter, runAlone, type StepSpec } from '../../../src/sandbox/index.ts';
import { isTsbuildError, messageOf } from '../../../src/util/index.ts';
import { Kit, listTree, type StepResult } from './kit.ts';

/** Who runs a step: the worker, or the helper straight from this process. */
export type Executor = 'worker' | 'alone';

/** A step of the suite. `@dir` in its text stands for a directory of the machine with the file `given`. */
export interface ExecutorStep {
  readonly command: string | readonly string[];
  readonly spec?: Partial<StepSpec>;
}

export async function runSteps(argument: {
  readonly executor: Executor;
  readonly choice?: 'copy' | 'chroot';
  readonly steps: Readonly<Record<string, ExecutorStep>>;
}): Promise<Readonly<Record<string, StepResult>>> {
  await using kit = new Kit(argument.choice);
  const dir = join(kit.dir, 'machine');
  mkdirSync(dir);
  writeFileSync(join(dir, 'given'), 'from the machine');
  // The directory belongs to the step's root, as a volume would.
  for (const path of [dir, join(dir, 'given')]) chownSync(path, kit.ownId(0), kit.ownId(0));
  const results: Record<string, StepResult> = {};
  const steps = JSON.parse(JSON.stringify(argument.steps).replaceAll('@dir', dir)) as typeof argument.steps;
  for (const [name, { command, spec = {} }] of Object.entries(steps))
    results[name] = argument.executor === 'worker' ? await kit.run(command, spec) : await alone(kit, command, spec);
  return results;
}

async function alone(kit: Kit, command: string | readonly string[], more: Partial<StepSpec>): Promise<StepResult> {
  const step = join(kit.dir, `alone-${process.hrtime.bigint()}`);
  const [upper, work] = [join(step, 'fs'), join(step, 'work')];
  const tree = join(step, 'tree');
  for (const path of [step, upper, work, tree]) {
    mkdirSync(path);
    chownSync(path, kit.ownId(0), kit.ownId(0));
  }
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let end: Pick<StepResult, 'status' | 'error' | 'code'>;
  try {
    const spec: StepSpec = {
      args: typeof command === 'string' ? ['/bin/sh', '-c', command] : command,
      env: ['PATH=/bin'],
      cwd: '/',
      user: '',
      hostname: 'buildkitsandbox',
      network: 'host',
      security: 'sandbox',
      prepareUpper: true,
      ...more,
      lowers: [kit.base],
      upper,
      work,
    };
    const { plan, helperPath } = kit;
    const encoded = encodeStep(spec, {
      plan,
      seccompPath: findSeccompFilter(),
      tree: { dir: tree, apply: spec.lowers },
    });
    const running = runAlone({ helperPath, plan, encoded, stdio: ['ignore', 'pipe', 'pipe'] });
    running.child.stdout?.on('data', (data: Buffer) => out.push(data));
    running.child.stderr?.on('data', (data: Buffer | string) => err.push(Buffer.from(data)));
    end = { status: await running.ended };
  } catch (error) {
    end = { error: messageOf(error), ...(isTsbuildError(error) ? { code: error.code } : {}) };
  }
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();
  return { ...end, out: text(out), err: text(err), upper: listTree(upper), upperDir: upper };
}
