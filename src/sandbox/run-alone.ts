import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { StepUsage } from '../events/index.ts';
import { enterArguments } from './enter.ts';
import { readLines } from './run-step.ts';
import { concludeStep, readStatusLine, type StepReport } from './step-status.ts';
import type { ExitStatus, NamespacePlan } from './types.ts';

/** A program in a namespace of its own, without the worker. */
export interface RunAloneOptions {
  readonly helperPath: string;
  readonly plan: NamespacePlan;
  /** Output of `encodeStep`. */
  readonly encoded: Uint8Array;
  /** Standard input, output and error of the helper, which passes bytes on. */
  readonly stdio: readonly [
    'inherit' | 'ignore' | Socket,
    'inherit' | 'ignore' | 'pipe' | Socket,
    'inherit' | 'ignore' | 'pipe',
  ];
  /** See `StepReport`. */
  readonly onBoundProc?: () => void;
  readonly onReady?: (held: number) => void;
  /** Told what the step used, before it is over. @param filesInMemory see `StepReport` */
  readonly onUsage?: (usage: StepUsage, filesInMemory: number | undefined) => void;
  /** Arguments of the helper that run a command beside what it needs, such as a network. */
  readonly beside?: (command: readonly string[]) => readonly string[];
  /** The same for what is done before, outside of every namespace. */
  readonly before?: (command: readonly string[]) => readonly string[];
  /** Told which port of the machine a published one got, by its place among them. */
  readonly onPort?: (index: number, port: number) => void;
}

/** A step that runs in a namespace A of its own, without a worker. */
export interface LoneStep {
  readonly child: ChildProcess;
  /** @throws TsbuildError `TSB_SANDBOX` or `TSB_STEP` when the step could not be set up */
  readonly ended: Promise<ExitStatus>;
}

/**
 * Runs one step straight from this process: the helper makes namespace A and starts itself in it. Signals sent to the child
 * reach the step; killing it kills everything.
 */
export function runAlone(options: RunAloneOptions): LoneStep {
  const { helperPath, plan, beside, before, onBoundProc, onPort, onReady } = options;
  // What runs beside it is the parent then, and ties it to itself.
  const step = [helperPath, 'step', ...(plan.how === 'none' || beside ? [] : ['--parent', '1'])];
  const entered = enterArguments({ plan, parentPid: process.pid }, beside ? [helperPath, ...beside(step)] : step);
  const stdio: StdioOptions = [...options.stdio, 'pipe', 'pipe'];
  // A session of its own: the terminal's signals reach this process only, which passes them on once.
  const child = spawn(helperPath, before ? before([helperPath, ...entered]) : entered, {
    env: {},
    stdio,
    detached: true,
  });
  const report: StepReport = {
    ...(onBoundProc ? { onBoundProc } : {}),
    ...(onPort ? { onPort } : {}),
    ...(onReady ? { onReady } : {}),
  };
  let said = '';
  // As bytes: whoever has the streams wants them so.
  child.stderr?.on('data', (data: Buffer) => {
    said = (said + data.toString('utf8')).slice(-4000);
  });
  const spec = child.stdio[3] as Duplex;
  spec.on('error', () => undefined);
  spec.end(options.encoded);
  const told = child.stdio[4] as Duplex;
  readLines(told, (line) => readStatusLine(report, line));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
    // Who has said how it ended, and let go of the descriptor, has done all. Only namespaces are left, which the kernel takes apart without
    // anybody's waiting: with a network that leads outside that takes some 30 ms.
    if (plan.how !== 'none' && !options.stdio.includes('pipe'))
      told.once('close', () => {
        if (report.status === undefined) return;
        child.unref();
        resolve(0);
      });
  }).then((code) => {
    if (report.usage) options.onUsage?.(report.usage, report.filesInMemory);
    return concludeStep(report, code, said);
  });
  return { child, ended };
}
