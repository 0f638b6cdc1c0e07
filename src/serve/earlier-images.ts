import type { Descriptor } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { type Digest, isDigest } from '../util/index.ts';

const FACT = 'served';
/** Repositories that are remembered, and images in each. */
const MAX_REPOSITORIES = 200;
const MAX_IMAGES = 200;

/** What a tag of a repository was given out for. */
export interface EarlierImage {
  readonly tag: string;
  readonly descriptor: Descriptor;
}

/**
 * What tags of a registry stood for when somebody asked: who resolved a tag goes on by digest, and must find manifests and blobs also when
 * the tag moved on meanwhile. Remembered in the store, for all servers of it. Nothing is kept from being pruned by it.
 */
export class EarlierImages {
  readonly #facts: Store['facts'];
  /** What was noted by this server, so that asking again costs no write. */
  readonly #noted = new Set<string>();

  constructor(store: Store) {
    this.#facts = store.facts;
  }

  note(repository: string, tag: string, { mediaType, digest, size }: Descriptor): void {
    const id = `${repository}:${tag}@${digest}`;
    if (this.#noted.has(id)) return;
    if (this.#noted.size >= MAX_REPOSITORIES * MAX_IMAGES) this.#noted.clear();
    this.#noted.add(id);
    const others = this.of(repository).filter((one) => one.tag !== tag || one.descriptor.digest !== digest);
    const image = { tag, descriptor: { mediaType, digest, size } };
    this.#write(repository, [image, ...others].slice(0, MAX_IMAGES));
  }

  /** Those that were noted last come first. */
  of(repository: string): readonly EarlierImage[] {
    const value = this.#facts.get(FACT, repository)?.value;
    return Array.isArray(value) ? value.filter(isEarlierImage) : [];
  }

  /** @returns whether there was something to forget */
  forget(repository: string, reference: { readonly tag: string } | { readonly digest: Digest }): boolean {
    const all = this.of(repository);
    const rest = all.filter(({ tag, descriptor }) =>
      'tag' in reference ? tag !== reference.tag : descriptor.digest !== reference.digest,
    );
    if (rest.length === all.length) return false;
    this.#noted.clear();
    this.#write(repository, rest);
    return true;
  }

  #write(repository: string, images: readonly EarlierImage[]): void {
    this.#facts.putNewest(FACT, repository, images, MAX_REPOSITORIES);
  }
}

function isEarlierImage(value: unknown): value is EarlierImage {
  const { tag, descriptor } = (value ?? {}) as Partial<EarlierImage>;
  return (
    typeof tag === 'string' &&
    typeof descriptor?.mediaType === 'string' &&
    isDigest(descriptor.digest) &&
    Number.isSafeInteger(descriptor.size)
  );
}
