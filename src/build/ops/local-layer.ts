import type { FileAction } from '../../llb/index.ts';
import type { Task } from '../../util/index.ts';
import type { OpContext } from './context.ts';
import { runFileOp } from './file-op.ts';
import type { LocalResult, OpResult } from './result.ts';

const layersOfTrees = new WeakMap<LocalResult['tree'], Promise<readonly string[]>>();

const copyAll: FileAction = {
  kind: 'copy',
  input: -1,
  secondaryInput: 0,
  output: 0,
  src: '/',
  dest: '/',
  mode: -1,
  followSymlink: false,
  dirCopyContents: true,
  attemptUnpack: false,
  createDestPath: true,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1n,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
  modeStr: '',
  requiredPaths: [],
};

/** The layers of a result; a local directory is copied into one, once a build. */
export async function materialize(context: OpContext, task: Task, result: OpResult): Promise<readonly string[]> {
  if (result.kind === 'layers') return result.layers;
  let layers = layersOfTrees.get(result.tree);
  if (!layers) {
    layers = copyTree(context, task, result);
    layersOfTrees.set(result.tree, layers);
  }
  return layers;
}

async function copyTree(context: OpContext, task: Task, result: LocalResult): Promise<readonly string[]> {
  const [copied] = await runFileOp(context, task, 'local directory', { kind: 'file', actions: [copyAll] }, [result], 'source.local');
  return copied?.kind === 'layers' ? copied.layers : [];
}
