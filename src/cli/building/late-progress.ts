import type { BuildEvent } from '../../events/index.ts';
import type { Progress } from '../../progress/index.ts';
import type { CliContext } from '../context.ts';

/** ms: what takes less needs no explanation, and a container's output stays its own. */
const PATIENCE = 1000;

/** Progress on standard error of something that is mostly over in no time. */
export interface LateProgress {
  /** For `Task.events`. */
  readonly events: (event: BuildEvent) => void;
  /** Ends it; nothing is shown afterwards. */
  close(): Promise<void>;
}

/**
 * Keeps what happens to itself for a second; then it is shown as a build's is, from the beginning.
 * @param quiet nothing is shown at all
 */
export function lateProgress(context: CliContext, description: string, quiet = false): LateProgress {
  if (quiet) return { events: () => undefined, close: () => Promise.resolve() };
  const held: BuildEvent[] = [];
  let progress: Progress | undefined;
  let opening: Promise<void> | undefined;
  let isLate = false;
  // What shows it is loaded when there is something to show, which mostly there is not.
  const show = async (): Promise<void> => {
    const { createProgress } = await import('../../progress/index.ts');
    progress = createProgress({
      mode: 'auto',
      output: context.stderr,
      now: context.now,
      description,
      label: 'tsbuild',
      phase: 'Preparing',
      noColor: Boolean(context.env['NO_COLOR']),
      ...(context.env['TERM'] === undefined ? {} : { term: context.env['TERM'] }),
    });
    for (const event of held.splice(0)) progress.events(event);
  };
  const showLate = (): void => {
    isLate = true;
    if (held.length > 0) opening ??= show();
  };
  const timer = setTimeout(showLate, PATIENCE);
  return {
    events: (event) => {
      if (progress !== undefined) return progress.events(event);
      held.push(event);
      if (isLate) showLate();
    },
    async close() {
      clearTimeout(timer);
      await opening;
      await progress?.close();
    },
  };
}
