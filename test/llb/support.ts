import { isTsbuildError } from '../../src/util/index.ts';

/** What a graph is refused with; `accepted` where it is not. Any other error is a fault. */
export function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isTsbuildError(error, 'TSB_LLB')) return error.message;
    throw error;
  }
  return 'accepted';
}
