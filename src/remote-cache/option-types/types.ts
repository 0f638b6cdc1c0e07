import type { CacheExport, CacheImport } from '../request.ts';
import type { CacheAttributes } from './attributes.ts';

/** How one flag takes a type: the attributes that it knows, and what they come to. One option may stand for several caches. */
export interface OptionForm<T> {
  readonly keys: readonly string[];
  /** Attributes of other types that this one cannot have, with what to do instead. */
  readonly instead?: Readonly<Record<string, string>>;
  readonly parse: (attributes: CacheAttributes) => readonly T[];
}

/** A type of cache as options name it. Each is a file of its own in this folder, and a row of the table in ../options.ts. */
export interface CacheOptionType {
  readonly from?: OptionForm<CacheImport>;
  readonly to?: OptionForm<CacheExport>;
}
