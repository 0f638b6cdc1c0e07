import { basename, resolve } from 'node:path';
import type { BuildOutcome, OutputRequest, Session } from '../../engine/index.ts';
import type { BuildEvent, Task } from '../../events/index.ts';
import {
  type BuildRecord,
  BuildRecorder,
  type BuildSubject,
  keepRecord,
  KEPT_LOGS,
  recordedLayers,
  REPORTED_LOGS,
} from '../../report/index.ts';
import { firstError, isTsbuildError, messageOf, sanitizeLine } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import type { ReportTarget } from '../report-targets.ts';
import type { BuildOptions } from './build-display.ts';

/** Remembers what happens in a build, and writes the reports that were asked for. */
export class BuildRecording {
  readonly #context: CliContext;
  readonly #targets: readonly ReportTarget[];
  readonly #quiet: boolean;
  readonly #recorder: BuildRecorder;
  #record: BuildRecord | undefined;

  /** @param path what was typed for the context; undefined for a graph that another program made */
  constructor(context: CliContext, path: string | undefined, options: BuildOptions, targets: readonly ReportTarget[]) {
    this.#context = context;
    this.#targets = targets;
    this.#quiet = options.quiet ?? false;
    const limits = targets.length > 0 ? REPORTED_LOGS : KEPT_LOGS;
    this.#recorder = new BuildRecorder(subjectOf(context, path, options), context.now(), limits);
  }

  event(event: BuildEvent): void {
    this.#recorder.event(event);
  }

  /** Does the build, and remembers it in the store. @throws what the build throws, once the reports are written */
  async of(
    session: Session,
    task: Task,
    outputs: OutputRequest,
    build: (outputs: OutputRequest) => Promise<BuildOutcome>,
  ): Promise<BuildOutcome> {
    let platforms: readonly string[] = [];
    const recorder = this.#recorder;
    const onCompiled: OutputRequest['onCompiled'] = (plan) => {
      ({ platforms } = plan);
      recorder.plan(plan);
    };
    try {
      const outcome = await build({ ...outputs, onCompiled });
      const { results, metadata } = outcome;
      const { 'image.name': names = '', 'containerimage.digest': digest } = metadata;
      this.#keep(session, {
        result: 'done',
        outputs: digest === undefined ? [] : [{ names: names.split(',').filter(Boolean), digest }],
        layers: recordedLayers(session.store, results, platforms),
      });
      return outcome;
    } catch (thrown) {
      const error = firstError(thrown);
      const { hint } = isTsbuildError(error) ? error : {};
      const result = task.signal.aborted ? 'canceled' : 'failed';
      this.#keep(session, { result, error: { message: messageOf(error), hint } });
      await this.#writeAnyway(session, task);
      throw thrown;
    }
  }

  /** Writes the reports that were asked for. @throws TsbuildError `TSB_EXPORT` */
  async write(session: Session, task: Task): Promise<void> {
    if (this.#targets.length === 0 || this.#record === undefined) return;
    const { writeReports } = await import('./write-reports.ts');
    await writeReports(this.#context, session.store, task, this.#record, this.#targets);
    if (this.#quiet) return;
    for (const { path } of this.#targets)
      if (path !== undefined) this.#context.stderr.write(`report: ${sanitizeLine(path)}\n`);
  }

  /** Of a build that failed, for which there are more important things to say. */
  async #writeAnyway(session: Session, task: Task): Promise<void> {
    try {
      await this.write(session, { ...task, signal: new AbortController().signal });
    } catch (error) {
      session.options.onWarning(messageOf(error));
    }
  }

  #keep(session: Session, end: Omit<Parameters<BuildRecorder['finish']>[0], 'at'>): void {
    this.#record = this.#recorder.finish({ ...end, at: this.#context.now() });
    keepRecord(session.store, this.#record);
  }
}

/** What was asked for. */
function subjectOf({ cwd }: CliContext, path = 'graph', { tag, target }: BuildOptions): BuildSubject {
  const isElsewhere = /^[a-z]+:\/\/|^git@/.test(path);
  const here = path === '-' ? 'standard input' : path;
  const name = isElsewhere || path === '-' ? here : basename(resolve(cwd, path)) || path;
  return {
    title: sanitizeLine(tag?.[0] ?? target ?? name),
    context: sanitizeLine(path === '.' ? name : here),
    ...(target === undefined ? {} : { target: sanitizeLine(target) }),
  };
}
