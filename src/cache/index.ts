import type { CacheSource } from '../solver/types.ts';
import type { Store } from '../store/index.ts';
import type { Digest } from '../util/index.ts';

/** How results become rows. `layers` and `blobs` name what the record needs; it goes when one of them goes. */
export interface ResultCodec<R> {
  encode(
    result: R,
  ): { readonly json: string; readonly layers: readonly string[]; readonly blobs?: readonly Digest[] } | undefined;
  decode(json: string): R;
}
export interface IndexCacheOptions<R> {
  readonly codec: ResultCodec<R>;
  readonly now: () => number;
  /** Called by load with the layers and blobs of the record before it answers: hold them in the build's lease. Throw to refuse. */
  readonly hold: (names: { layers: readonly string[]; blobs: readonly Digest[] }) => void;
  readonly onWarning: (message: string) => void;
}
export interface IndexCache<R> extends Required<CacheSource<R>> {
  /** Writes what is buffered; also done by store.close(). */
  flush(): void;
}
export declare function createIndexCache<R>(store: Store, options: IndexCacheOptions<R>): IndexCache<R>;

/** The parts of a file's status that tell whether it changed; `fs.lstatSync(path, { bigint: true })` fits. */
export interface StatKey {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mode: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}
/** Digests of files whose status did not change since they were hashed. Paths are relative to the context, opaque strings here. */
export declare class StatCache {
  static open(store: Store, contextPath: string, now: () => number): StatCache;
  get(path: string, stat: StatKey): Digest | undefined;
  /** `stat` is from before the file was read. */
  put(path: string, stat: StatKey, digest: Digest): void;
  save(): void;
}
/** Small JSON facts by kind and key, e.g. resolved image references. */
export declare class FactCache {
  constructor(store: Store, now: () => number);
  get(kind: string, key: string): { readonly value: unknown; readonly storedAt: number } | undefined;
  put(kind: string, key: string, value: unknown): void;
}
