import { resolve } from 'node:path';
import {
  createPalette,
  createProgress,
  formatFailure,
  formatWarnings,
  type Palette,
  type Progress,
  type ProgressMode,
  withoutRunnerCommands,
} from '../../progress/index.ts';
import type { BuildEvent } from '../../events/index.ts';
import { writeOutput } from '../../files/index.ts';
import type { Isolation } from '../../sandbox/index.ts';
import { exitCodeOf, fromErrno, isTsbuildError, messageOf, TsbuildError } from '../../util/index.ts';
import type { GraphOptions } from '../options/build-request.ts';
import type { VisitOptions } from './step-visits.ts';
import { type CliContext, exitCodeOfSignal, type Interruptible, print } from '../context.ts';

/** Options of `build` as commander gives them. */
export interface BuildOptions extends GraphOptions, VisitOptions {
  readonly tag?: readonly string[];
  readonly output?: readonly string[];
  readonly load?: boolean;
  readonly push?: boolean;
  readonly rewriteTimestamp?: boolean;
  readonly annotation?: readonly string[];
  readonly iidfile?: string;
  readonly metadataFile?: string;
  readonly report?: readonly string[];
  readonly quiet?: boolean;
  readonly debug?: boolean;
  readonly maxSize?: string;
  readonly explain?: boolean;
  readonly isolation?: Isolation;
  readonly progress: string;
  readonly rawOutput?: boolean;
  readonly check?: boolean;
  readonly fix?: boolean;
  readonly unsafeFixes?: boolean;
  readonly call?: string;
}

/** Colors for what is said besides the progress. */
export function paletteOf(context: CliContext): Palette {
  const { NO_COLOR, BUILDKIT_COLORS } = context.env;
  return createPalette({
    noColor: context.stderr.isTTY !== true || Boolean(NO_COLOR),
    ...(BUILDKIT_COLORS === undefined ? {} : { custom: BUILDKIT_COLORS }),
  });
}

/**
 * The context of a build whose log a CI runner reads: what the runner would take for commands loses its meaning on standard error, not in
 * the middle of a line either. JSON stays as it is, and so does everything with `--raw-output`.
 */
export function harmlessContext(context: CliContext, { progress, rawOutput }: BuildOptions): CliContext {
  const { CI, TF_BUILD, GITHUB_ACTIONS, TEAMCITY_VERSION } = context.env;
  const watched = [CI, TF_BUILD, GITHUB_ACTIONS, TEAMCITY_VERSION].some((value) => value && value !== 'false');
  if (!watched || rawOutput || progress === 'rawjson') return context;
  const { stderr } = context;
  const write = (text: string, ...more: []): boolean => stderr.write(withoutRunnerCommands(text), ...more);
  const edited = Object.create(stderr, { write: { value: write } }) as CliContext['stderr'];
  // Not a copy: standard input is made when it is first asked for.
  return Object.create(context, { stderr: { value: edited, enumerable: true } }) as CliContext;
}

/**
 * Lines shown of a failed step. Ten hide the cause behind what package managers say at their end: a terminal shows as many as it has room
 * for beside the excerpt and the error, and where nothing else is shown of the step there are more.
 */
function failureLines(context: CliContext, { quiet, progress }: Pick<BuildOptions, 'quiet' | 'progress'>): number {
  if (quiet || progress === 'quiet') return 50;
  const { stderr } = context;
  return stderr.isTTY ? Math.max(10, Math.min(100, (stderr.rows ?? 0) - 14)) : 10;
}

/**
 * The display that the options and the environment ask for.
 * @param doing what is shown, for the header
 * @throws TsbuildError `TSB_USAGE`
 */
export function startProgress(
  context: CliContext,
  options: Pick<BuildOptions, 'quiet' | 'progress'>,
  doing: 'Building' | 'Copying' | 'Pulling' | 'Pushing' | 'Verifying' = 'Building',
): Progress {
  const { env } = context;
  const number = (name: string): number | undefined =>
    env[name] !== undefined && /^-?\d+$/.test(env[name]) ? Number(env[name]) : undefined;
  const optional = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
    value === undefined ? {} : ({ [key]: value } as Record<K, V>);
  const progress = createProgress({
    mode: (options.quiet ? 'quiet' : options.progress) as ProgressMode,
    // Asked for by those who write to it: a terminal or pipe takes 3 ms to load.
    get output() {
      return context.stderr;
    },
    now: context.now,
    description: `${doing.toLowerCase()} with tsbuild`,
    phase: doing,
    label: 'tsbuild',
    noColor: Boolean(env['NO_COLOR']),
    truncate: env['PROGRESS_NO_TRUNC'] === '0',
    failureLines: failureLines(context, options),
    ...optional('colors', env['BUILDKIT_COLORS']),
    ...optional('logLines', number('BUILDKIT_TTY_LOG_LINES')),
    ...optional('displayRate', number('TTY_DISPLAY_RATE')),
    ...optional('logMaxSize', number('BUILDKIT_STEP_LOG_MAX_SIZE')),
    ...optional('logMaxSpeed', number('BUILDKIT_STEP_LOG_MAX_SPEED')),
    ...optional('term', env['TERM']),
  });
  const { report } = context;
  if (!report) return progress;
  const events = (event: BuildEvent): void => {
    report.event(event);
    progress.events(event);
  };
  return Object.create(progress, { events: { value: events } }) as Progress;
}

/** Says what there was to warn of, once the progress is closed; with `--debug` each with its explanation and its link. */
export function reportWarnings(context: CliContext, progress: Progress, { debug = false }: BuildOptions): void {
  if (progress.mode !== 'rawjson' && progress.warnings.length > 0)
    context.stderr.write(formatWarnings(progress.warnings, { palette: paletteOf(context), expand: debug }));
  context.report?.done(progress.warnings);
}

/**
 * Says why a build ended early, once the progress is closed.
 * @param place where in the source it failed, if that is known
 * @returns the exit code
 * @throws the error when it is none of ours
 */
export function reportFailure(
  context: CliContext,
  interrupt: Pick<Interruptible, 'signal' | 'received'>,
  error: unknown,
  place: { readonly excerpt?: string; readonly solving?: boolean },
): number {
  const received = interrupt.received();
  if (received !== undefined) {
    context.stderr.write(`${messageOf(interrupt.signal.reason)}\n`);
    return exitCodeOfSignal(received);
  }
  if (!isTsbuildError(error)) throw error;
  const { excerpt, solving } = place;
  context.stderr.write(
    formatFailure({
      message: error.message,
      palette: paletteOf(context),
      ...(excerpt === undefined ? {} : { excerpt }),
      ...(solving === undefined ? {} : { solving }),
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    }),
  );
  context.report?.failed(error);
  return exitCodeOf(error);
}

/**
 * Tells what was built, wherever that is wanted: `--iidfile`, `--metadata-file`, `-q`.
 * @param metadata BuildKit's response keys
 * @throws TsbuildError `TSB_EXPORT` when a file cannot be written
 */
export async function reportResult(
  context: CliContext,
  options: BuildOptions,
  metadata: Readonly<Record<string, string>>,
  stdoutIsTaken: boolean,
): Promise<void> {
  context.report?.built(metadata);
  const id = metadata['containerimage.config.digest'] ?? metadata['containerimage.digest'];
  if (options.iidfile !== undefined && id !== undefined) writeResult(context, options.iidfile, id);
  if (options.metadataFile !== undefined)
    writeResult(context, options.metadataFile, `${JSON.stringify(decodeMetadata(metadata), undefined, 2)}\n`);
  if (options.quiet && id !== undefined && !stdoutIsTaken) await print(context, `${id}\n`);
}

/** Results are written as a whole, so that a reader never sees half of one; into a pipe or `/dev/stdout` directly. */
export function writeResult(context: CliContext, path: string, text: string): void {
  try {
    writeOutput(resolve(context.cwd, path), text);
  } catch (error) {
    throw fromErrno(error, `Cannot write ${JSON.stringify(path)}`, 'TSB_EXPORT');
  }
}

/** The descriptor is base64 among BuildKit's response keys and plain JSON in a metadata file. */
function decodeMetadata(metadata: Readonly<Record<string, string>>): Record<string, unknown> {
  const entries = Object.entries(metadata).map(([key, value]): [string, unknown] => {
    if (key !== 'containerimage.descriptor') return [key, value];
    try {
      return [key, JSON.parse(Buffer.from(value, 'base64').toString('utf8')) as unknown];
    } catch (error) {
      throw new TsbuildError('TSB_INTERNAL', 'Cannot decode the descriptor of the image', { cause: error });
    }
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
