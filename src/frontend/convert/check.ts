import { isTsbuildError, type TsbuildError } from '../../util/index.ts';
import type { Bridge } from '../bridge.ts';
import type { CheckResult } from '../lint/call/check.ts';
import { Linter, locateFindings } from '../lint/linter.ts';
import { compileParsed, parseContext } from './compile.ts';
import { loadMainContext } from './main-context.ts';
import type { CompileOptions } from './options.ts';

/** Mistakes in what the user wrote; anything else, such as a registry that is away, is no result of a check. */
const MISTAKES: ReadonlySet<string> = new Set<TsbuildError['code']>(['TSB_DOCKERFILE', 'TSB_IGNORE', 'TSB_NOT_FOUND']);

/**
 * Checks a Dockerfile without building it, as `--call=check` does: all stages unless a target is named. A mistake that would
 * fail the build is part of the result, together with what was found before it.
 * @throws TsbuildError what the bridge throws, when the Dockerfile cannot be read
 */
export async function checkDockerfile(bridge: Bridge, options: CompileOptions): Promise<CheckResult> {
  const context = await loadMainContext(bridge, options);
  const file = context.dockerfile;
  let linter = new Linter();
  try {
    const dockerfile = parseContext(context);
    linter = Linter.forDockerfile(dockerfile, options.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'));
    try {
      const all = options.target === undefined || options.target === '' ? { ...options, allStages: true } : options;
      await compileParsed({ bridge, options: all, context, dockerfile, linter });
      return { file, findings: await locateFindings(dockerfile, linter.findings) };
    } catch (error) {
      if (!isMistake(error)) throw error;
      return { file, findings: await locateFindings(dockerfile, linter.findings), error };
    }
  } catch (error) {
    if (!isMistake(error)) throw error;
    return { file, findings: linter.findings, error };
  }
}

/** What is reported as a finding and does not end the check. */
function isMistake(error: unknown): error is TsbuildError {
  return isTsbuildError(error) && MISTAKES.has(error.code);
}
