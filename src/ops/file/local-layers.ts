import type { Task } from '../../events/index.ts';
import { copyAll } from '../../fileop/index.ts';
import { SharedWork } from '../../util/index.ts';
import type { LocalResult, OpResult } from '../result.ts';
import { type FilePieces, runFileOp } from './file-op.ts';

/** Local directories as layers, for who mounts them: each is copied whole, once a build. */
export class LocalLayers {
  readonly #pieces: FilePieces;
  readonly #copies = new SharedWork<LocalResult['tree'], readonly string[]>({ keep: true });

  constructor(pieces: FilePieces) {
    this.#pieces = pieces;
  }

  /** The layers of a result, bottom first. @throws TsbuildError, when it is a directory that cannot be copied */
  async of(task: Task, result: OpResult): Promise<readonly string[]> {
    if (result.kind === 'layers') return result.layers;
    return this.#copies.run(result.tree, task.signal, () => this.#copy(task, result));
  }

  async #copy(task: Task, result: LocalResult): Promise<readonly string[]> {
    const file = { kind: 'file', actions: [{ ...copyAll, output: 0 }] } as const;
    const [copied] = await runFileOp(this.#pieces, task, file, [result], {
      description: 'local directory',
      type: 'source.local',
    });
    return copied?.kind === 'layers' ? copied.layers : [];
  }
}
