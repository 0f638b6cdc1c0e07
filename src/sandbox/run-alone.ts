import type { StepUsage } from '../events/index.ts';
import { enterArguments } from './enter.ts';
import { type HelperStreams, type LoneHelper, startHelper } from './lone-helper.ts';
import { concludeStep, readStatusLine, type StepReport } from './step-status.ts';
import type { ExitStatus, NamespacePlan } from './types.ts';

/** A program in a namespace of its own, without the worker. */
export interface RunAloneOptions {
  readonly helperPath: string;
  readonly plan: NamespacePlan;
  /** Output of `encodeStep`. */
  readonly encoded: Uint8Array;
  readonly stdio: HelperStreams;
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
  /** The helper, where one was started with the same streams and plan, and nothing beside it or before. */
  readonly ahead?: HelperAhead;
}

/** A helper that makes its namespaces before it is known what will run there. Dispose it: one that got no step ends. */
export interface HelperAhead extends Disposable {
  /** Gives it away, once. */
  take(): LoneHelper;
}

/** What decides how a helper is started. */
type StartOptions = Pick<RunAloneOptions, 'helperPath' | 'plan' | 'stdio' | 'beside' | 'before'>;

/** A step that runs in a namespace A of its own, without a worker. */
export interface LoneStep {
  readonly child: LoneHelper;
  /** @throws TsbuildError `TSB_SANDBOX` or `TSB_STEP` when the step could not be set up */
  readonly ended: Promise<ExitStatus>;
}

/**
 * Runs one step straight from this process: the helper makes namespace A and starts itself in it. Signals sent to the child
 * reach the step; killing it kills everything.
 */
export function runAlone(options: RunAloneOptions): LoneStep {
  const { plan, onBoundProc, onPort, onReady } = options;
  const helper = options.ahead?.take() ?? startFor(options);
  const report: StepReport = {
    ...(onBoundProc ? { onBoundProc } : {}),
    ...(onPort ? { onPort } : {}),
    ...(onReady ? { onReady } : {}),
  };
  let said = '';
  // As bytes: whoever has the streams wants them so.
  helper.stderr?.on('data', (data: Buffer) => {
    said = (said + data.toString('utf8')).slice(-4000);
  });
  // It begins while this process makes the threads that listen to it.
  helper.give(options.encoded);
  const told = helper.told((line) => readStatusLine(report, line));
  const code = async (): Promise<number | null> => {
    const ended = helper.ended();
    // Who has said how it ended, and let go of the descriptor, has done all. Only namespaces are left, which the kernel takes apart without
    // anybody's waiting: with a network that leads outside that takes some 30 ms.
    if (plan.how !== 'none' && !options.stdio.includes('pipe')) {
      await Promise.race([told, ended]);
      if (report.status !== undefined) {
        helper.leave();
        return 0;
      }
    }
    return ended;
  };
  const ended = code().then((exitCode) => {
    if (report.usage) options.onUsage?.(report.usage, report.filesInMemory);
    return concludeStep(report, exitCode, said);
  });
  return { child: helper, ended };
}

/** Starts a helper for `runAlone`, a few ms before that is called. @throws when it cannot be started */
export function startAhead(options: Omit<StartOptions, 'beside' | 'before'>): HelperAhead {
  const helper = startFor(options);
  let isTaken = false;
  return {
    take() {
      isTaken = true;
      return helper;
    },
    [Symbol.dispose]() {
      if (!isTaken) helper.kill('SIGKILL');
    },
  };
}

function startFor({ helperPath, plan, stdio, beside, before }: StartOptions): LoneHelper {
  // What runs beside it is the parent then, and ties it to itself.
  const step = [helperPath, 'step', ...(plan.how === 'none' || beside ? [] : ['--parent', '1'])];
  const entered = enterArguments({ plan, parentPid: process.pid }, beside ? [helperPath, ...beside(step)] : step);
  return startHelper(helperPath, before ? before([helperPath, ...entered]) : entered, stdio);
}
