import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import { checkRequest, openSession, type Session } from '../../engine/index.ts';
import type { Task } from '../../events/index.ts';
import {
  type CheckResult,
  checkStatus,
  checkStatusOfMany,
  formatCheck,
  formatCheckJson,
  formatCheckManyJson,
  formatCheckOfMany,
  formatCheckTotal,
} from '../../frontend/index.ts';
import { isTsbuildError } from '../../util/index.ts';
import { parseBuildRequest } from '../build-request.ts';
import { type CheckTarget, checkTargets } from '../check-targets.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import type { BuildOptions } from './build-display.ts';

/** `tsbuild build --check` and `--call=check[,format=json]`: what is wrong with one Dockerfile or many. */
export async function checkCommand(
  context: CliContext,
  words: readonly string[],
  options: BuildOptions,
  json: boolean,
): Promise<number> {
  const { targets, several } = await checkTargets(context, words, options.file);
  using interrupt = interruptible();
  const signal = interrupt.signal;
  await using session = openSession(sessionOptions(context, signal));
  const check = async (target: CheckTarget): Promise<CheckResult> =>
    checkOne({ context, session, task: { signal, events: () => undefined }, options }, target);
  const [only] = targets;
  if (only !== undefined && !several) {
    const result = await check(only);
    await print(context, json ? formatCheckJson(result) : formatCheck(result));
    return checkStatus(result);
  }
  const results = await checkAll(targets, signal, check, async (result) => {
    if (!json) await print(context, formatCheckOfMany(result));
  });
  await print(context, json ? formatCheckManyJson(results) : `\n${formatCheckTotal(results)}`);
  return checkStatusOfMany(results);
}

/**
 * Checks several files at a time and tells the results in the order of the targets, each as soon as those before it are told. A
 * file that cannot even be read is a result like others.
 */
async function checkAll(
  targets: readonly CheckTarget[],
  signal: AbortSignal,
  check: (target: CheckTarget) => Promise<CheckResult>,
  tell: (result: CheckResult) => Promise<void>,
): Promise<readonly CheckResult[]> {
  const limit = pLimit(Math.max(4, availableParallelism()));
  const pending = targets.map(async (target) => {
    const { label } = target;
    try {
      const result = await limit(check, target);
      return { ...result, file: { ...result.file, name: label } };
    } catch (error) {
      // Wrong words are wrong for all files, and an interrupt or a fault of ours is no result of a check.
      if (signal.aborted || !isTsbuildError(error) || /^TSB_(USAGE|INTERNAL)$/.test(error.code)) throw error;
      return { file: { name: label, text: '' }, findings: [], error };
    }
  });
  const settled = Promise.allSettled(pending);
  try {
    const results: CheckResult[] = [];
    for (const result of pending) {
      results.push(await result);
      await tell(await result);
    }
    return results;
  } finally {
    // Nothing may use the session any more when it is closed.
    await settled;
  }
}

interface Surroundings {
  readonly context: CliContext;
  readonly session: Session;
  readonly task: Task;
  readonly options: BuildOptions;
}

async function checkOne(
  { context, session, task, options }: Surroundings,
  { path, file }: CheckTarget,
): Promise<CheckResult> {
  task.signal.throwIfAborted();
  const { file: _, ...others } = options;
  const request = await parseBuildRequest(context, path, file === undefined ? others : { ...others, file });
  return (await checkRequest(session, task, request, true)).result;
}
