import { hasLeftovers, type Store } from '../store/index.ts';
import type { BuildEvent } from '../events/index.ts';
import { HeldBlobs } from './held-blobs.ts';
import { type Testimony, Witness } from './witness.ts';
import { openSeal, type SealedImages, sealImages, type WrittenImage } from './written-image.ts';

/** Kind of the facts that hold remembered builds. Pruning everything forgets them. */
const KIND = 'recall';
/** So many are kept. */
const MAX_BUILDS = 16;
/** That one was used is noted at most once in so many ms: writing that takes longer than all that is read of it. */
const TOUCH_AFTER = 10 * 60 * 1000;
/** Events of more steps than any Dockerfile has. */
const MAX_EVENTS = 20_000;

/** A build that ran nothing. */
export interface RememberedBuild {
  readonly testimony: Testimony;
  /** Everything that was shown, in order. */
  readonly events: readonly Exclude<BuildEvent, { type: 'log' }>[];
  /** BuildKit's response keys, as for `--metadata-file`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The layers of the result. */
  readonly layers: readonly string[];
  /** What was written besides the local image store, in order. */
  readonly images: readonly WrittenImage[];
}

/** A build that is as good as done again, but for writing what went to files. */
export interface RecalledBuild extends RememberedBuild, Disposable {
  /** The layers of its images. */
  readonly blobs: HeldBlobs;
}

/** As it is kept. */
type Kept = Omit<RememberedBuild, 'images'> & { readonly generation: string; readonly sealed?: SealedImages };

/** The memory of a store for one request. */
export class Recall {
  readonly #store: Store;
  readonly #key: string;
  /** Of the cache, before the build looked anything up. */
  readonly #generation: string;

  /** @param key everything that decides what the build is, besides what it looks at */
  constructor(store: Store, key: string) {
    this.#store = store;
    this.#key = key;
    this.#generation = generationOf(store);
  }

  /**
   * What the request gave, if all that it looked at is as it was. Not while there is something of killed builds to delete: a build
   * that is done again does it. Never fails. Dispose what is found.
   */
  find(): RecalledBuild | undefined {
    let blobs: HeldBlobs | undefined;
    try {
      const fact = this.#store.facts.get(KIND, this.#key);
      if (typeof fact?.value !== 'object' || fact.value === null) return undefined;
      const { generation, sealed, ...build } = fact.value as Kept;
      // Where a step ran since, the cache may have a newer result.
      if (generation !== this.#generation || !isWhole(build) || !Witness.holds(build.testimony)) return undefined;
      if (hasLeftovers(this.#store)) return undefined;
      const images = openSeal(sealed);
      const held = (blobs = new HeldBlobs(
        this.#store.blobs,
        images.map(({ image }) => image),
      ));
      if (this.#store.now() - fact.usedAt > TOUCH_AFTER) {
        this.#store.layers.touch(build.layers);
        this.#store.facts.touch(KIND, this.#key);
      }
      return { ...build, images, blobs, [Symbol.dispose]: () => held[Symbol.dispose]() };
    } catch {
      blobs?.[Symbol.dispose]();
      return undefined;
    }
  }

  /** Remembers a build of which nothing ran. What cannot be written is not remembered. */
  put({ images, ...build }: RememberedBuild): void {
    if (build.events.length > MAX_EVENTS) return;
    const sealed = sealImages(images);
    const kept: Kept = { ...build, generation: this.#generation, ...(sealed === undefined ? {} : { sealed }) };
    this.#store.facts.putNewest(KIND, this.#key, kept, MAX_BUILDS);
  }
}

function isWhole({ events, layers, metadata }: Partial<Kept>): boolean {
  return Array.isArray(events) && Array.isArray(layers) && typeof metadata === 'object' && metadata !== null;
}

/** Of an index that cannot be read there is none: nothing is found then. */
function generationOf(store: Store): string {
  try {
    return store.records.generation();
  } catch {
    return '';
  }
}
