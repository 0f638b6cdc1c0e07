import { relative, resolve } from 'node:path';
import { BuildFailure, type BuildRequest, type LockOutcome, openSession, runBuild } from '../../engine/index.ts';
import { checkOutput, insecureHosts, type OutputSpec } from '../../exporter/index.ts';
import type { Explanation } from '../../explain/index.ts';
import { describeChanges } from '../../pins/index.ts';
import type { Recall, RememberedBuild, WrittenImage } from '../../recall/index.ts';
import type { Store } from '../../store/index.ts';
import type { Progress } from '../../progress/index.ts';
import type { BuildEvent } from '../../events/index.ts';
import { firstError, sanitizeLine } from '../../util/index.ts';
import { parseBuildRequest } from '../options/build-request.ts';
import { type CliContext, interruptible } from '../context.ts';
import { parseOutputs } from '../building/outputs.ts';
import { noteBuild } from '../building/last-build.ts';
import { isolationOptions } from '../options/isolation-option.ts';
import { reachOptions, sessionOptions } from '../session-options.ts';
import { storeLimits } from '../options/store-limits.ts';
import { stepVisitor } from '../building/step-visits.ts';
import {
  type BuildOptions,
  reportFailure,
  reportResult,
  reportWarnings,
  startProgress,
} from '../building/build-display.ts';
import { BuildRecording } from '../building/build-recording.ts';
import { parseReportTargets } from '../building/report-targets.ts';

/** The open store, with what will remember the build there. */
export interface BuildMemory {
  readonly store: Store;
  readonly recall: Recall;
  /** Passes on the store's warnings, those so far included. */
  onWarning(listener: (message: string) => void): void;
}

/**
 * Builds, through the graph and the cache.
 * @param memory where the build is remembered if nothing has to run; undefined for one that cannot be
 */
export async function fullBuild(
  context: CliContext,
  path: string,
  options: BuildOptions,
  memory: BuildMemory | undefined,
): Promise<number> {
  const more: BuildSurroundings = { path, ...(memory === undefined ? {} : { memory }) };
  return buildRequested(context, await parseBuildRequest(context, path, options), options, more);
}

/** What a request is built with besides its options. */
export interface BuildSurroundings {
  readonly memory?: BuildMemory;
  /** What was typed for the context: `tsbuild debug` does the build again. */
  readonly path?: string;
  /** @param metadata BuildKit's response keys */
  readonly onBuilt?: (metadata: Readonly<Record<string, string>>) => void;
}

/** Builds a request, shows what happens, and tells what came of it as the options say. @returns the exit code */
export async function buildRequested(
  context: CliContext,
  request: BuildRequest,
  options: BuildOptions,
  { memory, path, onBuilt }: BuildSurroundings = {},
): Promise<number> {
  const specs = parseOutputs(context, options);
  for (const spec of specs) checkOutput(spec, context.stdout, request.platforms.length);
  const within = await storeLimits(context, options.maxSize);
  const targets = parseReportTargets(context, options, usesStdout(specs));

  using interrupt = interruptible();
  const progress = startProgress(context, options);
  let closed = false;
  let explained: Explanation | undefined;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await progress.close();
  };
  try {
    const warn = (message: string): void => {
      progress.events({
        type: 'diagnostic',
        diagnostic: { code: 'Store', severity: 'warning', message, ranges: [] },
        at: context.now(),
      });
    };
    memory?.onWarning(warn);
    const recording = new BuildRecording(context, path, options, targets);
    await using session = openSession({
      ...sessionOptions(context, interrupt.signal, warn),
      ...reachOptions(options),
      ...isolationOptions(options),
      insecureHosts: insecureHosts(specs),
      storeLimits: within,
      ...(memory === undefined ? {} : { store: memory.store }),
    });
    const shown: RememberedBuild['events'][number][] = [];
    const events = (event: BuildEvent): void => {
      if (memory && event.type !== 'log') shown.push(event);
      recording.event(event);
      progress.events(event);
    };
    const task = { signal: interrupt.signal, events };
    if (path !== undefined) noteBuild(session.store, context, path, options);
    const visitor = stepVisitor(context, options, session, close);
    const images: WrittenImage[] = [];
    const isExplained = options.explain === true || targets.length > 0;
    const wanted = { ...request, ...(visitor ? { visitor } : {}), ...(isExplained ? { explain: true } : {}) };
    const { metadata, layers, lock } = await recording.of(
      session,
      task,
      {
        specs,
        stdout: context.stdout,
        onImageWritten: (to, image) => images.push({ before: shown.length, to, image }),
        onPush: async (to, image, isHere, push) => {
          const before = shown.length;
          await push();
          // What was sent this time is no part of what was built.
          const others = shown.splice(before).filter((event) => event.type !== 'status' || event.vertex !== to.vertex);
          shown.push(...others);
          if (isHere) images.push({ before, to, image });
        },
        onExplained: (explanation) => {
          if (options.explain) explained = explanation;
        },
        onExported: async (built) => {
          onBuilt?.(built.metadata);
          await reportResult(context, options, built.metadata, usesStdout(specs));
        },
      },
      (outputs) => runBuild(session, task, wanted, outputs),
    );
    await close();
    await recording.write(session, task);
    reportWarnings(context, progress, options);
    await reportExplanation(context, progress, explained);
    if (lock) reportLock(context, options, lock);
    const testimony = memory && session.witness.testify(writtenFiles(context, options, images));
    if (testimony) memory?.recall.put({ testimony, events: shown, metadata, layers, images });
    return 0;
  } catch (thrown) {
    const error = firstError(thrown);
    await close();
    await reportExplanation(context, progress, explained);
    return reportFailure(context, interrupt, error, error instanceof BuildFailure ? error : {});
  }
}

/** Why steps ran, with `--explain`. JSON has no place for it: `tsbuild explain --format=json` does. */
async function reportExplanation(
  context: CliContext,
  { mode }: Progress,
  explanation: Explanation | undefined,
): Promise<void> {
  if (explanation === undefined || mode === 'rawjson') return;
  const { renderText } = await import('./explain.ts');
  context.stderr.write(`\n${renderText(context, explanation)}`);
}

/** Files that lie where the user wants them, perhaps in the context: writing them is no change of it. */
function writtenFiles(
  { cwd }: CliContext,
  { iidfile, metadataFile }: BuildOptions,
  images: readonly WrittenImage[],
): readonly string[] {
  const named = [iidfile, metadataFile].flatMap((path) => (path === undefined ? [] : [resolve(cwd, path)]));
  return [...named, ...images.flatMap(({ to }) => ('dest' in to && to.dest !== '-' ? [to.dest] : []))];
}

function usesStdout(specs: readonly OutputSpec[]): boolean {
  return specs.some((spec) => 'dest' in spec && spec.dest === '-');
}

/** What `--update-lock` and `--network=record` changed. */
function reportLock(
  { cwd, stderr }: CliContext,
  { quiet }: BuildOptions,
  { path, changes, answers }: LockOutcome,
): void {
  if (quiet) return;
  const name = sanitizeLine(relative(cwd, path) || path);
  if (answers) {
    const { total, added, changed, removed } = answers;
    stderr.write(
      `${name}: ${total} ${total === 1 ? 'answer' : 'answers'} of servers recorded (${added} new, ${changed} changed, ${removed} gone)\n`,
    );
  } else if (changes.length === 0) stderr.write(`${name}: nothing has changed\n`);
  if (changes.length > 0)
    stderr.write(
      `${name}:\n${describeChanges(changes)
        .map((line) => `  ${sanitizeLine(line, 300)}\n`)
        .join('')}`,
    );
}
