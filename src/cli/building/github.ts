import { appendFileSync, existsSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { BuildEvent } from '../../events/index.ts';
import { GithubGroups, githubAnnotation, JobSummary } from '../../progress/index.ts';
import { type Diagnostic, messageOf, type SourceRange, type TsbuildError } from '../../util/index.ts';
import type { BuildOptions } from './build-display.ts';
import type { BuildReport, CliContext } from '../context.ts';

/** What a build tells GitHub Actions besides its log: messages beside the lines that they are about, and the summary of the job. */
export class GithubReport implements BuildReport {
  readonly #context: CliContext;
  readonly #title: string;
  readonly #reports: readonly string[];
  readonly #file: string | undefined;
  readonly #summary = new JobSummary();
  #metadata: Readonly<Record<string, string>> = {};

  /** @param context whose standard error the runner reads as it is */
  constructor(context: CliContext, path: string, options: BuildOptions) {
    this.#context = context;
    this.#file = dockerfileIn(context, path, options);
    this.#reports = (options.report ?? []).filter((name) => name !== 'json');
    this.#title = options.tag?.[0] ?? options.target ?? basename(resolve(context.cwd, path));
  }

  event(event: BuildEvent): void {
    this.#summary.event(event);
  }

  /** @param metadata BuildKit's response keys */
  built(metadata: Readonly<Record<string, string>>): void {
    this.#metadata = metadata;
  }

  /** The build is done. */
  done(warnings: readonly Diagnostic[]): void {
    for (const { code, message, ranges } of warnings) this.#annotate('warning', code, message, ranges);
    const { 'image.name': names = '', 'containerimage.digest': digest } = this.#metadata;
    const images = digest === undefined ? [] : [{ names: names.split(',').filter(Boolean), digest }];
    this.#write(this.#summary.format(this.#title, images, undefined, this.#reports));
  }

  failed(error: TsbuildError): void {
    this.#annotate('error', 'tsbuild', error.message, error.ranges);
    const { hint } = error;
    this.#write(
      this.#summary.format(
        this.#title,
        [],
        `${error.message}${hint === undefined ? '' : `\nhint: ${hint}`}`,
        this.#reports,
      ),
    );
  }

  #annotate(kind: 'error' | 'warning', title: string, message: string, [range]: readonly SourceRange[]): void {
    const lines = range === undefined ? {} : { startLine: range.startLine, endLine: range.endLine };
    const place = this.#file === undefined || range === undefined ? {} : { file: this.#file, ...lines };
    this.#context.stderr.write(githubAnnotation(kind, title, message, place));
  }

  #write(text: string): void {
    const { env, stderr } = this.#context;
    const path = env['GITHUB_STEP_SUMMARY'];
    if (!path || env['TSBUILD_JOB_SUMMARY'] === '0' || env['DOCKER_BUILD_SUMMARY'] === 'false') return;
    try {
      appendFileSync(path, text);
    } catch (error) {
      stderr.write(`warning: Cannot write the summary of the job: ${messageOf(error)}\n`);
    }
  }
}

/**
 * The context of a build whose log GitHub shows: what steps print is folded, and there is somebody to report to. Others as they are.
 * @param context whose standard error is harmless
 * @param raw whose standard error is not
 */
export function githubContext(context: CliContext, raw: CliContext, path: string, options: BuildOptions): CliContext {
  if (options.progress === 'rawjson') return context;
  const report = { value: new GithubReport(raw, path, options), enumerable: true };
  if (options.quiet || !/^(auto|plain)$/.test(options.progress) || context.stderr.isTTY === true)
    return Object.create(context, { report }) as CliContext;
  const { stderr } = context;
  const groups = new GithubGroups();
  // Commands of our own go to the stream that nothing is taken from.
  const write = (text: string, ...more: []): boolean => {
    const pieces = groups.fold(text);
    const last = pieces.pop();
    for (const piece of pieces) (piece.command ? raw.stderr : stderr).write(piece.text);
    return (last?.command ? raw.stderr : stderr).write(last?.text ?? '', ...more);
  };
  const folded = Object.create(stderr, { write: { value: write } }) as CliContext['stderr'];
  return Object.create(context, { report, stderr: { value: folded, enumerable: true } }) as CliContext;
}

/** The Dockerfile from the top of the repository, where it lies in that. */
function dockerfileIn({ env, cwd }: CliContext, path: string, { file }: BuildOptions): string | undefined {
  const isRemote = (text: string): boolean =>
    /^[a-z]+:\/\/|^git@|^github\.com\//.test(text) && !existsSync(resolve(cwd, text));
  // In a context that is elsewhere a relative name is one within that.
  const isAway = isRemote(path) && (file === undefined || !isAbsolute(file));
  if (path === '-' || file === '-' || isAway || (file !== undefined && isRemote(file))) return undefined;
  const found = relative(env['GITHUB_WORKSPACE'] || cwd, placeOf(cwd, path, file));
  return /^\.\.(?:\/|$)/.test(found) || isAbsolute(found) ? undefined : found;
}

/** Where the build finds it: from the working directory, or in the context, where it is only there. */
function placeOf(cwd: string, path: string, file: string | undefined): string {
  const inContext = resolve(cwd, path, file ?? 'Dockerfile');
  const found =
    file === undefined || (!existsSync(resolve(cwd, file)) && existsSync(inContext)) ? inContext : resolve(cwd, file);
  const lower = join(dirname(found), 'dockerfile');
  return basename(found) === 'Dockerfile' && !existsSync(found) && existsSync(lower) ? lower : found;
}
