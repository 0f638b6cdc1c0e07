import { renameSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { BuildFailure, openSession, runBuild } from '../../build/index.ts';
import { checkOutput, type OutputSpec, parseNames, parseOutput } from '../../exporter/index.ts';
import {
  createPalette,
  createProgress,
  formatFailure,
  formatWarnings,
  type Progress,
  type ProgressMode,
} from '../../progress/index.ts';
import { exitCodeOf, firstError, fromErrno, isTsbuildError, messageOf, TsbuildError } from '../../util/index.ts';
import { type GraphOptions, parseBuildRequest } from '../build-request.ts';
import { type CliContext, exitCodeOfSignal, interruptible, print } from '../context.ts';
import { annotationAttribute } from '../annotation.ts';
import { sessionOptions } from '../session-options.ts';

interface BuildOptions extends GraphOptions {
  readonly tag?: readonly string[];
  readonly output?: readonly string[];
  readonly load?: boolean;
  readonly rewriteTimestamp?: boolean;
  readonly annotation?: readonly string[];
  readonly iidfile?: string;
  readonly metadataFile?: string;
  readonly quiet?: boolean;
  readonly progress: string;
  readonly check?: boolean;
  readonly call?: string;
}

/** `tsbuild build` */
export async function buildCommand(context: CliContext, path: string, options: BuildOptions): Promise<number> {
  const call = options.check ? 'check' : options.call;
  if (call !== undefined && call !== 'build') {
    const { callCommand } = await import('./call.ts');
    return callCommand(context, path, options, call);
  }
  const request = await parseBuildRequest(context, path, options);
  const specs = parseOutputs(context, options);
  for (const spec of specs) checkOutput(spec, context.stdout, request.platforms.length);

  using interrupt = interruptible();
  const progress = startProgress(context, options);
  const colors = createPalette(palette(context));
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await progress.close();
  };
  try {
    await using session = openSession(
      sessionOptions(context, interrupt.signal, (message) => {
        progress.events({
          type: 'diagnostic',
          diagnostic: { code: 'Store', severity: 'warning', message, ranges: [] },
          at: context.now(),
        });
      }),
    );
    const task = { signal: interrupt.signal, events: progress.events };
    await runBuild(session, task, request, {
      specs,
      stdout: context.stdout,
      onExported: ({ metadata }) => reportResult(context, options, specs, metadata),
    });
    await close();
    if (progress.mode !== 'rawjson') context.stderr.write(formatWarnings(progress.warnings, { palette: colors }));
    return 0;
  } catch (thrown) {
    const error = firstError(thrown);
    await close();
    const received = interrupt.received();
    if (received !== undefined) {
      context.stderr.write(`${messageOf(interrupt.signal.reason)}\n`);
      return exitCodeOfSignal(received);
    }
    if (!isTsbuildError(error)) throw error;
    context.stderr.write(
      formatFailure({
        message: error.message,
        palette: colors,
        ...(error instanceof BuildFailure ? { excerpt: error.excerpt, solving: error.solving } : {}),
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      }),
    );
    return exitCodeOf(error);
  }
}

/** Tells what was built, wherever that is wanted. */
async function reportResult(
  context: CliContext,
  options: BuildOptions,
  specs: readonly OutputSpec[],
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const id = metadata['containerimage.config.digest'] ?? metadata['containerimage.digest'];
  if (options.iidfile !== undefined && id !== undefined) writeResult(context, options.iidfile, id);
  if (options.metadataFile !== undefined)
    writeResult(context, options.metadataFile, `${JSON.stringify(decodeMetadata(metadata), undefined, 2)}\n`);
  if (options.quiet && id !== undefined && !usesStdout(specs)) await print(context, `${id}\n`);
}

function parseOutputs(context: CliContext, options: BuildOptions): readonly OutputSpec[] {
  const names = parseNames(options.tag ?? []);
  const attributes = [
    ...(options.annotation ?? []).map(annotationAttribute),
    ...(options.rewriteTimestamp ? ['rewrite-timestamp=true'] : []),
  ];
  const parse = (text: string): OutputSpec => parseOutput(text, { cwd: context.cwd, names });
  const specs = (options.output ?? []).map((text) => {
    const isImage = text.startsWith('type=') && !/^type=(local|tar|cacheonly)\b/.test(text);
    return parse(isImage ? [text, ...attributes].join(',') : text);
  });
  // A name without an output of its own is for the local image store.
  const toStore = names.length > 0 || options.load || specs.length === 0;
  if (toStore && !specs.some((spec) => spec.type === 'image'))
    specs.push(parse(['type=image', ...attributes].join(',')));
  return specs;
}

function usesStdout(specs: readonly OutputSpec[]): boolean {
  return specs.some((spec) => 'dest' in spec && spec.dest === '-');
}

function palette(context: CliContext): { noColor: boolean; custom?: string } {
  const { NO_COLOR, BUILDKIT_COLORS } = context.env;
  return {
    noColor: context.stderr.isTTY !== true || Boolean(NO_COLOR),
    ...(BUILDKIT_COLORS === undefined ? {} : { custom: BUILDKIT_COLORS }),
  };
}

function startProgress(context: CliContext, options: BuildOptions): Progress {
  const { env } = context;
  const number = (name: string): number | undefined =>
    env[name] !== undefined && /^-?\d+$/.test(env[name]) ? Number(env[name]) : undefined;
  const optional = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
    value === undefined ? {} : ({ [key]: value } as Record<K, V>);
  return createProgress({
    mode: (options.quiet ? 'quiet' : options.progress) as ProgressMode,
    output: context.stderr,
    now: context.now,
    description: 'building with tsbuild',
    label: 'tsbuild',
    noColor: Boolean(env['NO_COLOR']),
    truncate: env['PROGRESS_NO_TRUNC'] === '0',
    ...optional('colors', env['BUILDKIT_COLORS']),
    ...optional('logLines', number('BUILDKIT_TTY_LOG_LINES')),
    ...optional('displayRate', number('TTY_DISPLAY_RATE')),
    ...optional('logMaxSize', number('BUILDKIT_STEP_LOG_MAX_SIZE')),
    ...optional('logMaxSpeed', number('BUILDKIT_STEP_LOG_MAX_SPEED')),
    ...optional('term', env['TERM']),
  });
}

/** Results are replaced by rename, so that a reader never sees half of one. */
function writeResult(context: CliContext, path: string, text: string): void {
  const absolute = resolve(context.cwd, path);
  const temporary = `${absolute}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, absolute);
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
