import { formatDuration, TsbuildError } from '../../util/index.ts';

/**
 * What a step fails of that was ended because it ran for too long. What it made is thrown away.
 * @param command what the step runs
 * @param limitMs milliseconds
 */
export function ranTooLong(command: string, limitMs: number): TsbuildError {
  return new TsbuildError(
    'TSB_TIMEOUT',
    `process ${JSON.stringify(command)} was ended: it ran longer than ${formatDuration(limitMs)}`,
    {
      hint: 'set another limit with --step-timeout, or for this step with a comment above it: # tsbuild: timeout=20m',
    },
  );
}
