import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import type { MountView } from '../../ops/index.ts';
import { mountTree, type NamespacePlan, rootTree, type StepSpec, type StepTree } from '../../sandbox/index.ts';
import { randomHex, TsbuildError } from '../../util/index.ts';
import type { Session } from '../session.ts';

/** The files of a container where no overlay can be mounted: copies of its layers, which go with it. */
export class ContainerTrees implements AsyncDisposable {
  readonly tree: StepTree;
  readonly #session: Session;
  readonly #mounts: NonNullable<StepSpec['mounts']>;
  /** Descriptors of what is moved to where the container has it, by its place among the mounts: a name would lead nowhere then. */
  readonly #moved = new Map<number, number>();

  constructor(session: Session, { how }: NamespacePlan, { lowers, mounts = [] }: StepSpec) {
    this.#session = session;
    this.#mounts = mounts;
    this.tree = { dir: `${session.treesDir()}/container-${randomHex(8)}`, apply: lowers, stays: true };
    mkdirSync(this.tree.dir, { recursive: true, mode: 0o700 });
    if (how !== 'none') return;
    for (const [index, mount] of mounts.entries()) {
      const path = movedPath(this.tree, index, mount);
      if (path === undefined) continue;
      if (mount.type === 'layers') mkdirSync(path, 0o755);
      this.#moved.set(index, openSync(path, constants.O_RDONLY | constants.O_DIRECTORY));
    }
  }

  /**
   * Where the files of a mount are while programs run.
   * @throws TsbuildError `TSB_STEP` for a part of a mount that was moved away
   */
  directories(view: MountView): readonly string[] {
    const { layers, written } = view;
    if (written === undefined) return layers;
    if (written === 'root') return [rootTree(this.tree)];
    const mount = this.#mounts[written];
    const moved = this.#moved.get(written);
    if (moved === undefined) return mount?.type === 'layers' ? [mountTree(this.tree, written)] : layers;
    if (mount !== undefined && 'subpath' in mount && mount.subpath !== undefined)
      throw new TsbuildError(
        'TSB_STEP',
        `Cannot read files of the mount at ${mount.target}: a part of it was moved there, for nothing can be mounted here (rung 5)`,
        { hint: 'let the frontend mount it without a selector, or read the files at that path of the root' },
      );
    // In the worker, too: it is the same user of the same machine there.
    return [`/proc/${process.pid}/fd/${moved}/.`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fd of this.#moved.values()) closeSync(fd);
    this.#moved.clear();
    const worker = await this.#session.worker();
    await worker.call('removeTrees', { paths: [this.tree.dir] }, {});
  }
}

/** What is moved to its target where nothing can be mounted (native/src/places.c). */
function movedPath(tree: StepTree, index: number, mount: NonNullable<StepSpec['mounts']>[number]): string | undefined {
  if (mount.type === 'layers') return mountTree(tree, index);
  return mount.type === 'bind' && mount.movable ? mount.source : undefined;
}
