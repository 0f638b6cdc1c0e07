import type { CacheRecord, CacheSource, KeyLink } from '../solver/types.ts';
import { type Digest, hexOf, leafKey, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { type CachedLayer, layersOfResult, type RemoteConfig } from './remote-config.ts';

/**
 * A cache that another machine wrote, read-only. Loading a record transfers nothing: `use` registers its layers, whose bytes come
 * when somebody needs them. A cache that turned out to be damaged is given up and has nothing from then on.
 */
export class ImportedCache<R> implements CacheSource<R> {
  readonly id: string;
  readonly #config: RemoteConfig;
  readonly #use: (layers: readonly CachedLayer[]) => R;
  /** Record numbers by what leads to them, see `nameOf`. */
  readonly #links = new Map<string, number[]>();
  readonly #leaves = new Map<string, number[]>();
  #givenUp = false;

  /** @param use makes a result of the layers of one, bottom first */
  constructor(id: string, config: RemoteConfig, use: (layers: readonly CachedLayer[]) => R) {
    this.id = id;
    this.#config = config;
    this.#use = use;
    for (const [number, { digest, inputs }] of config.records.entries()) {
      if (inputs.length === 0) add(this.#leaves, hexOf(digest), number);
      for (const [input, links] of inputs.entries()) {
        for (const { selector, link } of links)
          add(this.#links, nameOf(this.#nodeOf(link), hexOf(digest), input, selector), number);
      }
    }
  }

  /** How often something of it turned out not to be usable after it was offered: it is given up the first time. */
  get damages(): number {
    return this.#givenUp ? 1 : 0;
  }

  /** Offers nothing more. */
  giveUp(): void {
    this.#givenUp = true;
  }

  /** Follows links through what was read once; nothing is asked over the network any more. */
  query(links: readonly KeyLink[]): readonly string[] {
    if (this.#givenUp) return [];
    const found = new Set<string>();
    for (const { from, op, output, input, selector } of links) {
      for (const number of this.#links.get(nameOf(from, leafKey(op, output), input, selector)) ?? [])
        found.add(this.#nodeOf(number));
    }
    return [...found];
  }

  /** Links to a node whose sources are leaves, which mean the same in every cache. */
  leafLinks(node: string, op: Digest, output: number): readonly KeyLink[] {
    const number = numberOf(node);
    const record = number === undefined ? undefined : this.#config.records[number];
    if (record === undefined || hexOf(record.digest) !== leafKey(op, output)) return [];
    return record.inputs.flatMap((links, input) =>
      links.flatMap(({ selector, link }): readonly KeyLink[] => {
        const from = this.#nodeOf(link);
        return from.startsWith('#')
          ? []
          : [{ op, output, input, from, ...(selector === undefined ? {} : { selector }) }];
      }),
    );
  }

  records(node: string): readonly CacheRecord[] {
    if (this.#givenUp) return [];
    const number = numberOf(node);
    const numbers = number === undefined ? (this.#leaves.get(node) ?? []) : [number];
    return numbers
      .flatMap((number) =>
        (this.#config.records[number]?.results ?? []).map(({ createdAt }, at): CacheRecord => ({
          id: `${number}.${at}`,
          createdAt,
        })),
      )
      .sort((a, b) => b.createdAt - a.createdAt);
  }

  /** @throws TsbuildError `TSB_NOT_FOUND` when the layers of the result cannot be used */
  load(_task: Task, { id }: CacheRecord): Promise<R> {
    const [number = Number.NaN, at = Number.NaN] = id.split('.').map(Number);
    const result = this.#config.records[number]?.results[at];
    const layers = result === undefined || this.#givenUp ? undefined : layersOfResult(this.#config, result);
    return new Promise((resolve) => {
      if (layers === undefined)
        throw new TsbuildError(
          'TSB_NOT_FOUND',
          `Cannot use record ${id} of cache "${this.id}": its layers are unknown`,
        );
      resolve(this.#use(layers));
    });
  }

  /** A leaf goes by its key, like everywhere. */
  #nodeOf(number: number): string {
    const record = this.#config.records[number];
    return record?.inputs.length === 0 ? hexOf(record.digest) : `#${number}`;
  }
}

/** The number of a record that is no leaf, by its node. */
function numberOf(node: string): number | undefined {
  return /^#\d+$/.test(node) ? Number(node.slice(1)) : undefined;
}

function add(map: Map<string, number[]>, name: string, number: number): void {
  const numbers = map.get(name);
  if (numbers === undefined) map.set(name, [number]);
  else numbers.push(number);
}

function nameOf(from: string, key: string, input: number, selector: string | undefined): string {
  return `${from} ${key} ${input} ${selector ?? ''}`;
}
