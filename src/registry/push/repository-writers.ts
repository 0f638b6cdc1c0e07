import { formatReference, type Repository } from '../../image/index.ts';
import type { Digest } from '../../util/index.ts';
import { RepositoryWriter } from './repository-writer.ts';
import type { Registry } from '../types.ts';

/**
 * The writers of one build, one for each repository. What an image and a cache both need in a repository is asked for and sent once; and
 * what one repository of a registry got, another one takes from there without being asked whether it has it.
 */
export class RepositoryWriters {
  readonly #registry: Registry;
  readonly #writers = new Map<string, RepositoryWriter>();

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The writer of a repository. */
  of({ host, path }: Repository): RepositoryWriter {
    const key = formatReference({ host, path });
    let writer = this.#writers.get(key);
    if (writer === undefined) {
      const neighbour = (digest: Digest): Repository | undefined => this.#neighbour({ host, path }, digest);
      writer = new RepositoryWriter(this.#registry, { host, path }, neighbour);
      this.#writers.set(key, writer);
    }
    return writer;
  }

  /** Another repository of the same registry that has a blob. */
  #neighbour({ host, path }: Repository, digest: Digest): Repository | undefined {
    for (const writer of this.#writers.values()) {
      const { repository } = writer;
      if (repository.host === host && repository.path !== path && writer.has(digest)) return repository;
    }
    return undefined;
  }
}
