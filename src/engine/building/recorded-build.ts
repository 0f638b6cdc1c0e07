import { basename, resolve } from 'node:path';
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
import type { BuildOutcome } from './build.ts';
import type { OutputRequest } from './outputs.ts';
import type { Session } from '../session.ts';

/** What a build is called where it is remembered. */
export interface NamedBuild {
  /** Paths are relative to it. */
  readonly cwd: string;
  /** What was given as the context; absent for a graph that another program made. */
  readonly context?: string | undefined;
  readonly tag?: string | undefined;
  readonly target?: string | undefined;
}

/** How a build is remembered. */
export interface Remembering {
  readonly now: () => number;
  /** A report was asked for: more of what steps print is taken down. */
  readonly isReported?: boolean;
}

/** Takes down what happens in a build, and leaves it in the store for `tsbuild report`, however the build ends. */
export class RecordedBuild {
  readonly #now: () => number;
  readonly #recorder: BuildRecorder;
  #record: BuildRecord | undefined;

  /** The build begins now. */
  constructor(named: NamedBuild, { now, isReported = false }: Remembering) {
    this.#now = now;
    this.#recorder = new BuildRecorder(subjectOf(named), now(), isReported ? REPORTED_LOGS : KEPT_LOGS);
  }

  /** What was taken down, once the build is over. */
  get record(): BuildRecord | undefined {
    return this.#record;
  }

  event(event: BuildEvent): void {
    this.#recorder.event(event);
  }

  /** Does the build, which tells its events to `event` besides others. @throws what the build throws */
  async of(
    session: Session,
    task: Task,
    outputs: OutputRequest,
    build: (outputs: OutputRequest) => Promise<BuildOutcome>,
  ): Promise<BuildOutcome> {
    let platforms: readonly string[] = [];
    const onCompiled: OutputRequest['onCompiled'] = (plan) => {
      ({ platforms } = plan);
      this.#recorder.plan(plan);
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
      throw thrown;
    }
  }

  #keep(session: Session, end: Omit<Parameters<BuildRecorder['finish']>[0], 'at'>): void {
    this.#record = this.#recorder.finish({ ...end, at: this.#now() });
    keepRecord(session.store, this.#record);
  }
}

function subjectOf({ cwd, context: path = 'graph', tag, target }: NamedBuild): BuildSubject {
  const isElsewhere = /^[a-z]+:\/\/|^git@/.test(path);
  const here = path === '-' ? 'standard input' : path;
  const name = isElsewhere || path === '-' ? here : basename(resolve(cwd, path)) || path;
  return {
    title: sanitizeLine(tag ?? target ?? name),
    context: sanitizeLine(path === '.' ? name : here),
    ...(target === undefined ? {} : { target: sanitizeLine(target) }),
  };
}
