import { resolve } from 'node:path';
import { Attributes, type Fail } from '../../exporter/index.ts';
import { parseReference, type Reference, withDefaultTag } from '../../image/index.ts';
import { type Digest, isDigest, messageOf, parseDuration, parseSize } from '../../util/index.ts';

/** What options are read with besides their own text. */
export interface CacheSurroundings {
  /** Relative paths are relative to it. */
  readonly cwd: string;
  /** The environment, where services such as those of CI systems tell how they are reached. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Typed access to the attributes of one `--cache-from` or `--cache-to`. */
export class CacheAttributes extends Attributes {
  readonly surroundings: CacheSurroundings;
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string>, fail: Fail, surroundings: CacheSurroundings) {
    super(values, fail);
    this.#values = values;
    this.surroundings = surroundings;
  }

  /** Its value as it was given; undefined when it was not. */
  text(key: string): string | undefined {
    return this.#values.get(key);
  }

  /** @throws what `fail` makes when it is missing or empty */
  required(key: string): string {
    const value = this.#values.get(key);
    if (value === undefined || value === '') throw this.fail(`"${key}" is required`);
    return value;
  }

  /** An absolute path. */
  requiredPath(key: string): string {
    return resolve(this.surroundings.cwd, this.required(key));
  }

  /** The image that a cache is kept as. */
  reference(key: string): Reference {
    const ref = this.required(key);
    try {
      return withDefaultTag(parseReference(ref));
    } catch (error) {
      throw this.fail(messageOf(error));
    }
  }

  /** As `reference`, of what is to be written. */
  writableReference(key: string): Reference {
    const reference = this.reference(key);
    if (reference.digest !== undefined)
      throw this.fail(`"${key}" has a digest, which is not known before the cache is made`);
    return reference;
  }

  /** A tag, as images have them. */
  tag(key: string): string | undefined {
    const tag = this.#values.get(key);
    if (tag !== undefined && !/^\w[\w.-]{0,127}$/.test(tag)) throw this.fail(`"${key}" is not a tag`);
    return tag;
  }

  /** The digest of a manifest. */
  digest(key: string): Digest | undefined {
    const digest = this.#values.get(key);
    if (digest !== undefined && !isDigest(digest)) throw this.fail(`"${key}" is not a sha256 digest`);
    return digest;
  }

  /** An absolute path; undefined when it was not given. */
  path(key: string): string | undefined {
    return this.#values.has(key) ? this.requiredPath(key) : undefined;
  }

  /** Absolute paths, with semicolons between them. */
  paths(key: string): readonly string[] | undefined {
    if (!this.#values.has(key)) return undefined;
    const parts = this.required(key).split(';');
    return parts.filter((part) => part !== '').map((part) => resolve(this.surroundings.cwd, part));
  }

  /** Bytes, from a size such as `10GB`. */
  size(key: string): number | undefined {
    return this.#measure(key, parseSize);
  }

  /** Milliseconds, from a duration such as `24h`. */
  duration(key: string): number | undefined {
    return this.#measure(key, parseDuration);
  }

  #measure(key: string, parse: (text: string) => number): number | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    try {
      return parse(value);
    } catch (error) {
      throw this.fail(`"${key}": ${messageOf(error)}`);
    }
  }
}
