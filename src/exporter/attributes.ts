import { isAbsolute, resolve } from 'node:path';
import type { LayerCompression } from '../image/index.ts';
import type { TsbuildError } from '../util/index.ts';
import { isAnnotationAttribute } from './annotations.ts';

/** Makes the error for an option that cannot be used. */
export type Fail = (why: string, hint?: string) => TsbuildError;

/** How layers of the result are compressed; base layers only with `force`. */
export interface OutputCompression extends LayerCompression {
  readonly force: boolean;
}

/** `STDOUT` or an absolute path. */
export type Destination = string;
/** The destination `-`. */
export const STDOUT = '-';

/**
 * The `key=value` fields of an option such as `--output`.
 * @throws what `fail` makes, for one that is not of that form or given twice
 */
export function parseAttributes(fields: readonly string[], fail: Fail): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals === -1) throw fail(`invalid value ${JSON.stringify(field)}`, 'every part is key=value');
    const key = field.slice(0, equals).trim();
    // Keys are lower case; annotations have keys of their own, which are not.
    const name = isAnnotationAttribute(key) ? key : key.toLowerCase();
    if (attributes.has(name)) throw fail(`"${name}" is given twice`);
    attributes.set(name, field.slice(equals + 1));
  }
  return attributes;
}

/** Of the year 9999: the times of images have four digits for a year (RFC 3339). */
const LAST_SECOND = 253_402_300_799;

/** Typed access to the attributes of one option. */
export class Attributes {
  readonly fail: Fail;
  readonly #attributes: ReadonlyMap<string, string>;

  constructor(attributes: ReadonlyMap<string, string>, fail: Fail) {
    this.#attributes = attributes;
    this.fail = fail;
  }

  /** As Go's ParseBool; an empty value is true. */
  flag(key: string): boolean | undefined {
    const value = this.#attributes.get(key);
    if (value === undefined) return undefined;
    if (['', '1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
    if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
    throw this.fail(`"${key}" is ${JSON.stringify(value)}, expected true or false`);
  }

  choice<T extends string>(key: string, values: readonly T[]): T | undefined {
    const value = this.#attributes.get(key);
    const found = values.find((candidate) => candidate === value);
    if (value !== undefined && found === undefined) {
      throw this.fail(`"${key}" is ${JSON.stringify(value)}, expected ${values.map((one) => `"${one}"`).join(' or ')}`);
    }
    return found;
  }

  /** Seconds since the epoch. */
  epoch(key: string): number | undefined {
    const value = this.#attributes.get(key);
    if (value === undefined || value === '') return undefined;
    const seconds = /^\d{1,12}$/.test(value) ? Number(value) : Infinity;
    if (seconds <= LAST_SECOND) return seconds;
    throw this.fail(`"${key}" is ${JSON.stringify(value)}, expected seconds since 1970, to the end of 9999`);
  }

  destination(cwd: string): Destination | undefined {
    const value = this.#attributes.get('dest');
    if (value === undefined || value === STDOUT) return value;
    if (value === '') throw this.fail('"dest" is empty');
    return isAbsolute(value) ? value : resolve(cwd, value);
  }

  compression(): OutputCompression {
    const text = this.#attributes.get('compression');
    if (text === 'estargz' || text === 'nydus')
      throw this.fail(`compression "${text}" is not supported`, 'use gzip or zstd');
    const kind = this.choice('compression', ['uncompressed', 'gzip', 'zstd']) ?? 'gzip';
    const level = this.#attributes.get('compression-level');
    const most = kind === 'zstd' ? 22 : 9;
    if (level !== undefined && (!/^\d{1,2}$/.test(level) || Number(level) > most)) {
      throw this.fail(`"compression-level" is ${JSON.stringify(level)}, expected 0 to ${most}`);
    }
    return {
      kind: kind === 'uncompressed' ? 'none' : kind,
      ...(level === undefined || kind === 'uncompressed' ? {} : { level: Number(level) }),
      force: this.flag('force-compression') ?? false,
    };
  }
}
