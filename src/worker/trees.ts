import { mkdirSync } from 'node:fs';
import type { StepTree } from '../sandbox/index.ts';
import { shownLayers } from '../tree/index.ts';
import { randomHex, TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import { removeTrees } from './helper-tools.ts';

/** Trees without a step that are kept: one for each branch of a build that may go on. */
const MOST_IDLE = 4;

/** A tree that a step has. */
export interface TakenTree extends StepTree {
  /** The step has ended well: the tree shows these layers and the step's own on top of them. */
  keep(layer: string): void;
  /** Nobody knows what it shows. */
  discard(): void;
}

interface Tree {
  readonly dir: string;
  /** The layers that it shows, bottom first. */
  readonly stack: readonly string[];
}

/**
 * Directories that stand for stacks of layers where no overlay can be mounted. The one that a step has written to shows what the next step
 * on top of it wants to see, so that a chain of steps copies its base once.
 */
export class Trees {
  readonly #idle: Tree[] = [];

  /** The place for the files of a step on these layers. @param layers bottom first */
  take(context: HandlerContext, layers: readonly string[]): TakenTree {
    const shown = shownLayers(layers);
    const known = this.#nearest(shown);
    const dir = known?.dir ?? newTreeDirectory(context.config.treesDir);
    const discard = (): void => {
      // Beside whatever comes next; what fails is deleted with everything else at the worker's end.
      void removeTrees({ paths: [dir] }, { ...context, signal: new AbortController().signal }).catch(() => undefined);
    };
    return {
      dir,
      apply: shown.slice(known?.stack.length ?? 0),
      keep: (layer) => {
        this.#idle.push({ dir, stack: [...shown, layer] });
        const oldest = this.#idle.length > MOST_IDLE ? this.#idle.shift() : undefined;
        if (oldest) void removeTrees({ paths: [oldest.dir] }, context).catch(() => undefined);
      },
      discard,
    };
  }

  /** Takes out the tree that has most of the layers and no other ones. */
  #nearest(layers: readonly string[]): Tree | undefined {
    let best: Tree | undefined;
    for (const tree of this.#idle) {
      const fits = tree.stack.length <= layers.length && tree.stack.every((layer, at) => layer === layers[at]);
      if (fits && tree.stack.length > (best?.stack.length ?? -1)) best = tree;
    }
    if (best) this.#idle.splice(this.#idle.indexOf(best), 1);
    return best;
  }
}

/** A new directory for a tree. @throws TsbuildError `TSB_INTERNAL` where the session has no place for any */
export function newTreeDirectory(treesDir: string | undefined): string {
  if (treesDir === undefined) throw new TsbuildError('TSB_INTERNAL', 'There is no place for copies of layers');
  const dir = `${treesDir}/${randomHex(8)}`;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return dir;
}
