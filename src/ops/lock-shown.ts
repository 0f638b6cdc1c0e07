import type { Task } from '../events/index.ts';
import { formatHolder, type Lock, type Store } from '../store/index.ts';

/**
 * Takes a lock of the store, or a turn. That somebody else has it is shown as a part of the task's vertex: a step that waits for another build must
 * not look like one that hangs.
 */
export async function lockShown(
  store: Store,
  task: Task,
  name: string,
  kind: 'locks' | 'turns' = 'locks',
): Promise<Lock> {
  let id: string | undefined;
  const tell = (over: { readonly completed?: true }): void => {
    if (id === undefined || task.vertex === undefined) return;
    task.events({ type: 'status', vertex: task.vertex, id, current: 0, at: store.now(), ...over });
  };
  const lock = await store[kind].acquire(name, {
    signal: task.signal,
    onWait: (holders) => {
      const whom = holders.map((holder) => formatHolder(holder, store.now()));
      id = `waiting for ${whom.length === 0 ? 'another step or process' : whom.join(' and ')}`;
      tell({});
    },
  });
  tell({ completed: true });
  return lock;
}
