import type { StepNotes, SourceNote } from '../ops/index.ts';
import type { ListedDirectory, TreeListing } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';

/** What a step read of one input. */
interface Read {
  readonly content: Digest;
  list: (() => TreeListing) | undefined;
  /** Id of the list, once that is known. */
  listing: string | undefined;
}

/**
 * Takes down what steps read while a build goes on. Lists are made of it when there is time, and only of what the store has none of: a build
 * that reads what the last one has read makes none.
 */
export class Notes implements StepNotes {
  readonly #sources = new Map<Digest, SourceNote>();
  readonly #reads = new Map<string, Read>();
  readonly #known = new Map<Digest, string>();
  /** Made by this build. */
  readonly listings: Map<string, ListedDirectory> = new Map();

  /** The store has the list of this content. */
  know(content: Digest, listing: string): void {
    this.#known.set(content, listing);
  }

  source(vertex: Digest, note: SourceNote): void {
    this.#sources.set(vertex, note);
  }

  read(vertex: Digest, input: number, content: Digest, list: () => TreeListing): void {
    this.#reads.set(`${vertex} ${input}`, { content, list, listing: undefined });
  }

  sourceOf(vertex: Digest): SourceNote | undefined {
    return this.#sources.get(vertex);
  }

  /** Content key of what was read. */
  contentOf(vertex: Digest, input: number): Digest | undefined {
    return this.#reads.get(`${vertex} ${input}`)?.content;
  }

  /** Id of the list of what was read. */
  listingOf(vertex: Digest, input: number): string | undefined {
    return this.#reads.get(`${vertex} ${input}`)?.listing;
  }

  /** Whether there are lists to be made. */
  get isPending(): boolean {
    return [...this.#reads.values()].some(({ list }) => list !== undefined);
  }

  /** Makes the lists that are wanted and not there. */
  settle(): void {
    for (const read of this.#reads.values()) {
      if (read.list === undefined) continue;
      const { list, content } = read;
      read.list = undefined;
      read.listing = this.#known.get(content);
      if (read.listing !== undefined) continue;
      const { root, directories } = list();
      for (const [id, directory] of directories) this.listings.set(id, directory);
      read.listing = root;
      this.#known.set(content, root);
    }
  }
}
