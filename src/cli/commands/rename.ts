import type { CliContext } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';

/** `tsbuild rename` */
export async function renameCommand(context: CliContext, name: string, to: string): Promise<number> {
  return withContainers(context, async ({ containers, signal }) => {
    const container = containers.find(name);
    await using _lock = await containers.lock(container, signal);
    containers.rename(containers.find(container.id), to);
    return 0;
  });
}
