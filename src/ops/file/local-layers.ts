import type { Task } from '../../events/index.ts';
import { copyAll } from '../../fileop/index.ts';
import type { LocalResult, OpResult } from '../result.ts';
import { type FilePieces, runFileOp } from './file-op.ts';

/** Local directories as layers, for who mounts them: each is copied whole, once a build. */
export class LocalLayers {
  readonly #pieces: FilePieces;
  readonly #copies = new WeakMap<LocalResult['tree'], Promise<readonly string[]>>();

  constructor(pieces: FilePieces) {
    this.#pieces = pieces;
  }

  /** The layers of a result, bottom first. @throws TsbuildError, when it is a directory that cannot be copied */
  async of(task: Task, result: OpResult): Promise<readonly string[]> {
    if (result.kind === 'layers') return result.layers;
    let layers = this.#copies.get(result.tree);
    if (!layers) {
      layers = this.#copy(task, result);
      this.#copies.set(result.tree, layers);
    }
    return layers;
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
