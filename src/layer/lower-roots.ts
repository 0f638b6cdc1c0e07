import { closeMerged, type MergedDir, openMergedRoot } from '../tree/index.ts';

/**
 * The roots of the layers below one that is made. Each is opened when something is asked of it: most layers ask for nothing but how
 * the root below looks, and an image of 1,000 layers would have all below each of them opened for that, half a million.
 */
export class LowerRoots implements Disposable {
  readonly #dirs: readonly string[];
  #awaitDirs: (() => void) | undefined;
  #all: MergedDir | undefined;
  #top: number | undefined;

  /**
   * @param dirs directories, bottom first
   * @param awaitDirs called once, before the first of them is looked into; returns when they are complete
   */
  constructor(dirs: readonly string[], awaitDirs?: () => void) {
    this.#dirs = dirs;
    this.#awaitDirs = dirs.length > 0 ? awaitDirs : undefined;
  }

  /** The root of the merged view. @throws TsbuildError `TSB_STORE` when a layer is missing */
  all(): MergedDir {
    return (this.#all ??= this.#open(this.#dirs));
  }

  /** The root of the topmost layer, whose attributes are those of the merged root; undefined without layers. */
  top(): number | undefined {
    if (this.#all) return this.#all[0];
    return (this.#top ??= this.#open(this.#dirs.slice(-1))[0]);
  }

  #open(dirs: readonly string[]): MergedDir {
    this.#awaitDirs?.();
    this.#awaitDirs = undefined;
    return openMergedRoot(dirs);
  }

  [Symbol.dispose](): void {
    if (this.#all) closeMerged(this.#all);
    if (this.#top !== undefined) closeMerged([this.#top]);
    this.#all = undefined;
    this.#top = undefined;
  }
}
