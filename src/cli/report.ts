import { firstError, isTsbuildError, messageOf, sanitize } from '../util/index.ts';
import type { CliContext } from './context.ts';

/**
 * Prints a failure on stderr: what was being done, why it failed and what to do. A stack trace is shown for faults of tsbuild
 * itself and with `--debug`.
 */
export async function reportError(
  context: CliContext,
  thrown: unknown,
  options: { readonly debug?: boolean } = {},
): Promise<void> {
  const error = firstError(thrown);
  const lines = [`error: ${sanitize(messageOf(error))}`];
  if (isTsbuildError(error)) {
    if (error.hint !== undefined) lines.push(`hint: ${sanitize(error.hint)}`);
  } else {
    lines.push(
      'This is a fault of tsbuild itself. Please report it with the command and this text; --debug shows more.',
    );
  }
  if (options.debug) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) lines.push(sanitize(at.stack ?? at.message));
  }
  await new Promise<void>((resolve) => {
    context.stderr.write(`${lines.join('\n')}\n`, () => {
      resolve();
    });
  });
}
