import { firstError, TsbuildError } from '../util/index.ts';

/**
 * Something in the store was not what it was when it was written, and has been taken out: who tries the same once more finds it
 * missing, and fetches or makes it again.
 */
export class DamageError extends TsbuildError {}

/** Whether it was damage in the store that stood behind a failure. */
export function isDamageError(error: unknown): boolean {
  for (let at = firstError(error); at instanceof Error; at = firstError(at.cause))
    if (at instanceof DamageError) return true;
  return false;
}
