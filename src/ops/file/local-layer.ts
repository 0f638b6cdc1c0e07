import { copyAll } from '../../fileop/index.ts';
import type { Task } from '../../events/index.ts';
import type { OpContext } from '../context.ts';
import { runFileOp } from './file-op.ts';
import type { LocalResult, OpResult } from '../result.ts';

/** The layers of a result; a local directory is copied into one, once a build. */
export async function materialize(context: OpContext, task: Task, result: OpResult): Promise<readonly string[]> {
  if (result.kind === 'layers') return result.layers;
  let layers = context.copies.get(result.tree);
  if (!layers) {
    layers = copyTree(context, task, result);
    context.copies.set(result.tree, layers);
  }
  return layers;
}

async function copyTree(context: OpContext, task: Task, result: LocalResult): Promise<readonly string[]> {
  const [copied] = await runFileOp(
    context,
    task,
    undefined,
    'local directory',
    { kind: 'file', actions: [{ ...copyAll, output: 0 }] },
    [result],
    'source.local',
  );
  return copied?.kind === 'layers' ? copied.layers : [];
}
