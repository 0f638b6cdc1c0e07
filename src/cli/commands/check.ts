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
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { parseBuildRequest } from '../options/build-request.ts';
import { type CheckTarget, checkTargets } from '../building/check-targets.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { reachOptions, sessionOptions } from '../session-options.ts';
import type { BuildOptions } from '../building/build-display.ts';
import type { FixedCheck } from '../building/check-fix.ts';

/** `tsbuild build --check [--fix]` and `--call=check[,format=json]`: what is wrong with one Dockerfile or many. */
export async function checkCommand(
  context: CliContext,
  words: readonly string[],
  options: BuildOptions,
  json: boolean,
): Promise<number> {
  if (options.unsafeFixes && !options.fix)
    throw new TsbuildError('TSB_USAGE', 'Cannot use --unsafe-fixes without --fix', { hint: 'write --check --fix' });
  const { targets, several } = await checkTargets(context, words, options.file);
  const fromInput = options.fix === true && targets.some(({ label }) => label === '-');
  if (fromInput && (several || json))
    throw new TsbuildError('TSB_USAGE', 'Cannot write a fixed Dockerfile and a report to standard output', {
      hint: 'with --fix, "-" stands alone, and its report goes to standard error as text',
    });
  using interrupt = interruptible();
  await using session = openSession({ ...sessionOptions(context, interrupt.signal), ...reachOptions(options) });
  const task = { signal: interrupt.signal, events: () => undefined };
  const check = async (target: CheckTarget): Promise<FixedCheck> =>
    checkOne({ context, session, task, options }, target);
  // What is about the files goes where the report goes, unless that is for programs.
  const out = async (text: string): Promise<void> =>
    json || fromInput ? void context.stderr.write(text) : print(context, text);
  const [only] = targets;
  if (only !== undefined && !several) {
    const { result, shown, text } = await check(only);
    if (shown !== '') await out(`${shown}\n`);
    if (text !== undefined) await print(context, text);
    await (json
      ? print(context, formatCheckJson(result))
      : out(formatCheck(isPath(only) ? named(result, only) : result)));
    return checkStatus(result);
  }
  // Two names may lead to one file, which only one may change at a time.
  const jobs = options.fix ? 1 : Math.max(4, availableParallelism());
  const results = await checkAll(targets, { signal: interrupt.signal, jobs, check }, async ({ result, shown }) => {
    if (shown !== '') await out(`${shown}\n`);
    if (!json) await print(context, formatCheckOfMany(result));
  });
  await print(context, json ? formatCheckManyJson(results) : `\n${formatCheckTotal(results)}`);
  return checkStatusOfMany(results);
}

/** Whether what was typed or found is a path, which editors and terminals make a link of. */
function isPath({ label }: CheckTarget): boolean {
  return label !== '-' && !/^[a-z]+:\/\/|^git@/.test(label);
}

/** The result with its file under the name that was typed or found. */
function named(result: CheckResult, { label }: CheckTarget): CheckResult {
  return { ...result, file: { ...result.file, name: label } };
}

interface CheckingMany {
  readonly signal: AbortSignal;
  readonly jobs: number;
  readonly check: (target: CheckTarget) => Promise<FixedCheck>;
}

/**
 * Checks several files at a time and tells the results in the order of the targets, each as soon as those before it are told. A
 * file that cannot even be read is a result like others.
 */
async function checkAll(
  targets: readonly CheckTarget[],
  { signal, jobs, check }: CheckingMany,
  tell: (checked: FixedCheck) => Promise<void>,
): Promise<readonly CheckResult[]> {
  const limit = pLimit(jobs);
  const pending = targets.map(async (target): Promise<FixedCheck> => {
    const { label } = target;
    try {
      const { result, shown } = await limit(check, target);
      return { result: named(result, target), shown };
    } catch (error) {
      // Wrong words are wrong for all files, and an interrupt or a fault of ours is no result of a check.
      if (signal.aborted || !isTsbuildError(error) || /^TSB_(USAGE|INTERNAL)$/.test(error.code)) throw error;
      return { result: { file: { name: label, text: '' }, findings: [], error }, shown: '' };
    }
  });
  const settled = Promise.allSettled(pending);
  try {
    const results: CheckResult[] = [];
    for (const checked of pending) {
      const { result } = await checked;
      results.push(result);
      await tell(await checked);
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
  { path, file, label }: CheckTarget,
): Promise<FixedCheck> {
  task.signal.throwIfAborted();
  const { file: _, ...others } = options;
  const request = await parseBuildRequest(context, path, file === undefined ? others : { ...others, file });
  if (!options.fix) return { result: (await checkRequest(session, task, request, true)).result, shown: '' };
  const { checkAndFix } = await import('../building/check-fix.ts');
  return checkAndFix({ session, task, unsafe: options.unsafeFixes ?? false }, request, label);
}
