import { isTsbuildError } from '../util/index.ts';
import type { CliContext } from './context.ts';
import { reportError } from './report.ts';

/**
 * Does something for each of several names. What is not there is told, and the others are gone on with, as docker and podman do.
 * @returns the exit code: 1 when something was not there
 * @throws everything else
 */
export async function eachName(
  context: CliContext,
  names: readonly string[],
  work: (name: string) => Promise<void>,
): Promise<number> {
  let code = 0;
  for (const name of names) {
    try {
      await work(name);
    } catch (error) {
      if (!isTsbuildError(error, 'TSB_NOT_FOUND')) throw error;
      await reportError(context, error);
      code = 1;
    }
  }
  return code;
}
