import { type BuildOutcome, type OutputRequest, RecordedBuild, type Session } from '../../engine/index.ts';
import type { BuildEvent, Task } from '../../events/index.ts';
import { messageOf, sanitizeLine } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import type { ReportTarget } from './report-targets.ts';
import type { BuildOptions } from './build-display.ts';

/** Remembers what happens in a build, and writes the reports that were asked for. */
export class BuildRecording {
  readonly #context: CliContext;
  readonly #targets: readonly ReportTarget[];
  readonly #quiet: boolean;
  readonly #recorded: RecordedBuild;

  /** @param path what was typed for the context; undefined for a graph that another program made */
  constructor(context: CliContext, path: string | undefined, options: BuildOptions, targets: readonly ReportTarget[]) {
    const { cwd, now } = context;
    const { tag, target, quiet = false } = options;
    this.#context = context;
    this.#targets = targets;
    this.#quiet = quiet;
    this.#recorded = new RecordedBuild(
      { cwd, context: path, tag: tag?.[0], target },
      { now, isReported: targets.length > 0 },
    );
  }

  event(event: BuildEvent): void {
    this.#recorded.event(event);
  }

  /** Does the build, and remembers it in the store. @throws what the build throws, once the reports are written */
  async of(
    session: Session,
    task: Task,
    outputs: OutputRequest,
    build: (outputs: OutputRequest) => Promise<BuildOutcome>,
  ): Promise<BuildOutcome> {
    try {
      return await this.#recorded.of(session, task, outputs, build);
    } catch (thrown) {
      await this.#writeAnyway(session, task);
      throw thrown;
    }
  }

  /** Writes the reports that were asked for. @throws TsbuildError `TSB_EXPORT` */
  async write(session: Session, task: Task): Promise<void> {
    const { record } = this.#recorded;
    if (this.#targets.length === 0 || record === undefined) return;
    const { writeReports } = await import('./write-reports.ts');
    await writeReports(this.#context, session.store, task, record, this.#targets);
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
}
