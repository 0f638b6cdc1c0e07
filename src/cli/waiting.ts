import { formatHolder, type Holder, otherUsers, type Store } from '../store/index.ts';
import { sanitizeLine } from '../util/index.ts';
import type { CliContext } from './context.ts';

/** Says on standard error for whom a command waits, where a lock of the store is held. For `LockOptions.onWait`. */
export function sayWaiting(context: CliContext): (holders: readonly Holder[]) => void {
  return (holders) => {
    const whom =
      holders.length === 0
        ? 'another process, which cannot be seen from here (of another container, perhaps)'
        : holders.map((holder) => formatHolder(holder, context.now())).join(' and ');
    context.stderr.write(`${sanitizeLine(`Waiting for ${whom}, which works on the store`)}\n`);
  };
}

/** Who else uses the store, as a text; empty when nobody can be seen. */
export function othersOf(context: CliContext, store: Store): string {
  return otherUsers(store.layout.sessions)
    .map((holder) => sanitizeLine(formatHolder(holder, context.now())))
    .join(', ');
}
