import type { Task } from '../events/index.ts';
import { collectLeftovers } from '../store/index.ts';
import { withInternalVertex } from './internal-vertex.ts';
import type { Session } from './session.ts';

/**
 * Frees the space of what killed builds left in the store, beside a build. Costs nothing when there is nothing, and never fails: what
 * is not deleted now is found again by the next command.
 */
export async function freeLeftovers(session: Session, task: Task): Promise<void> {
  try {
    await collectLeftovers(session.store, async (paths) => {
      await withInternalVertex(task, session.now, 'deleting what killed builds left behind', async () => {
        await (await session.worker()).call('removeTrees', { paths }, { signal: task.signal });
      });
    });
  } catch {
    // As above.
  }
}
