import { LayersTree, type ReadableTree } from '../tree/index.ts';

/** Trees that were opened for an op, to be closed with it. Only those of layers hold anything open. */
export class OpenedTrees implements Disposable {
  #trees: LayersTree[] = [];

  /** Gives the tree back. */
  add<T extends ReadableTree<unknown> | LayersTree>(tree: T): T {
    if (tree instanceof LayersTree) this.#trees.push(tree);
    return tree;
  }

  /** Hands over what was opened: it is no longer closed here. */
  keep(): { readonly release: () => void } {
    const trees = this.#trees;
    this.#trees = [];
    return {
      release: () => {
        for (const tree of trees) tree[Symbol.dispose]();
      },
    };
  }

  [Symbol.dispose](): void {
    this.keep().release();
  }
}
