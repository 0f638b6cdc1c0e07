import type { Task } from '../../events/index.ts';
import { copyAll } from '../../fileop/index.ts';
import { SharedWork } from '../../util/index.ts';
import type { LocalResult, OpResult } from '../result.ts';
import { fillDirectory } from './fill-directory.ts';
import type { PackPieces } from './pack-here.ts';

/** Local directories as layers, for who mounts them: each is copied whole, once a build. */
export class LocalLayers {
  readonly #pieces: PackPieces;
  readonly #copies = new SharedWork<LocalResult['tree'], readonly string[]>({ keep: true });

  constructor(pieces: PackPieces) {
    this.#pieces = pieces;
  }

  /** The layers of a result, bottom first. @throws TsbuildError, when it is a directory that cannot be copied */
  async of(task: Task, result: OpResult): Promise<readonly string[]> {
    if (result.kind === 'layers') return result.layers;
    return this.#copies.run(result.tree, task.signal, () => this.#copy(task, result));
  }

  async #copy(task: Task, result: LocalResult): Promise<readonly string[]> {
    const file = { kind: 'file', actions: [{ ...copyAll, output: 0 }] } as const;
    const [copied] = await fillDirectory(this.#pieces, task, file, [result], {
      description: 'local directory',
      type: 'source.local',
    });
    return copied?.kind === 'layers' ? copied.layers : [];
  }
}
