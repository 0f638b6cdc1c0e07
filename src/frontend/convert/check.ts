import { isTsbuildError, type TsbuildError } from '../../util/index.ts';
import type { Bridge } from '../bridge.ts';
import type { Dockerfile } from '../dockerfile/index.ts';
import type { CheckResult } from '../lint/call/check.ts';
import { Linter, locateFindings } from '../lint/linter.ts';
import { compileParsed, parseContext } from './compile.ts';
import { loadMainContext } from './main-context.ts';
import type { CompileOptions } from './options.ts';
import type { Outline } from '../lint/call/outline.ts';

/** What can be said about a Dockerfile without building it. */
export interface CheckedDockerfile {
  readonly result: CheckResult;
  /** Absent when it cannot be parsed. */
  readonly dockerfile?: Dockerfile;
  /** Absent when it cannot be built. */
  readonly outline?: Outline;
  /** Why it cannot be built. */
  readonly error?: TsbuildError;
}

/**
 * Lints and lowers a Dockerfile as far as that goes; base images are resolved for what lowering alone knows. What would fail the
 * build is part of the result, together with what was found before it.
 * @param options.allStages also those that the target does not need, unless there is one
 * @throws TsbuildError when the Dockerfile cannot be read, `TSB_CANCELED`
 */
export async function checkDockerfile(bridge: Bridge, options: CompileOptions): Promise<CheckedDockerfile> {
  const context = await loadMainContext(bridge, options);
  const { dockerfile: file } = context;
  let dockerfile: Dockerfile;
  try {
    dockerfile = parseContext(context);
  } catch (error) {
    if (!isResult(error)) throw error;
    return { result: { file, findings: [], error }, error };
  }
  const linter = Linter.forDockerfile(dockerfile, options.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'));
  const hasTarget = options.target !== undefined && options.target !== '';
  const compiled = { ...options, allStages: options.allStages === true && !hasTarget };
  try {
    const parts = { bridge, options: compiled, context, dockerfile, linter };
    const { outline, diagnostics } = await compileParsed(parts);
    return { result: { file, findings: diagnostics }, dockerfile, outline };
  } catch (error) {
    if (!isResult(error)) throw error;
    const findings = await locateFindings(dockerfile, linter.findings);
    return { result: { file, findings, error }, dockerfile, error };
  }
}

/** Whether it says something of the Dockerfile, or of what it names. */
function isResult(error: unknown): error is TsbuildError {
  return isTsbuildError(error) && error.code !== 'TSB_CANCELED';
}
