import { openStepShell, type Session, type StepVisitor } from '../../engine/index.ts';
import { sanitize, sanitizeLine } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { reportError } from '../report.ts';

/** When a build opens a shell in a step. */
export interface VisitOptions {
  /** `shell`: in one that failed. */
  readonly onFailure?: string;
  /** In those whose name has this in it, in place of running them. */
  readonly visitStep?: string;
}

/**
 * Who looks into the steps of a build, as the options say: the user, by a shell.
 * @param quiet ends the display of progress, which would write into the shell
 */
export function stepVisitor(
  context: CliContext,
  { onFailure, visitStep }: VisitOptions,
  session: Session,
  quiet: () => Promise<void>,
): StepVisitor | undefined {
  if (onFailure !== 'shell' && visitStep === undefined) return undefined;
  // Of steps that fail at once, the first is looked into; with its end the build ends.
  let isTaken = false;
  return {
    ...(visitStep === undefined ? {} : { wants: (name: string) => name.includes(visitStep) }),
    async visit(step, failure) {
      if (isTaken || (failure && onFailure !== 'shell')) return;
      isTaken = true;
      await quiet();
      const command = step.spec.args.at(-1) ?? '';
      const what = failure
        ? `${sanitizeLine(failure.message, 500)}\nThis is a shell in the sandbox of the step, with the files as it left them.`
        : `This is a shell in the sandbox of ${JSON.stringify(sanitizeLine(step.name, 200))}, which did not run.`;
      context.stderr.write(
        `\n${what} What you change is thrown away, but for cache mounts.\nIts command is:\n  ${sanitize(command).replaceAll('\n', '\n  ')}\n"exit" ends the build.\n\n`,
      );
      const opened = openStepShell(session, step, {
        isTerminal: context.stdin.isTTY === true,
        term: context.env['TERM'],
      });
      // What the step failed of is what the build failed of.
      await (failure ? opened.catch((error: unknown) => reportError(context, error)) : opened);
    },
  };
}
