import { dockerfileError } from '../failure.ts';
import { didYouMean } from '../suggestion.ts';

type FlagKind = 'bool' | 'string' | 'strings';

/** The flags of one instruction. Which ones there are is declared by `parse`. */
export class Flags {
  readonly #words: readonly string[];
  readonly #values = new Map<string, string[]>();

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  /**
   * Reads the flags.
   * @param kinds the flags that this instruction knows; a `strings` flag may come several times
   * @throws TsbuildError for an unknown, repeated or malformed flag
   */
  parse(kinds: Readonly<Record<string, FlagKind>> = {}): void {
    const known = new Map(Object.entries(kinds));
    for (const word of this.#words) {
      const equals = word.indexOf('=');
      const flag = equals < 0 ? word : word.slice(0, equals);
      const name = flag.slice(2);
      const kind = known.get(name);
      if (kind === undefined) throw dockerfileError(didYouMean(`unknown flag: ${flag}`, name, known.keys()));
      const earlier = this.#values.get(name) ?? [];
      if (earlier.length > 0 && kind !== 'strings') throw dockerfileError(`duplicate flag specified: ${flag}`);
      const value = equals < 0 ? undefined : word.slice(equals + 1);
      earlier.push(kind === 'bool' ? booleanOf(flag, value) : stringOf(flag, value));
      this.#values.set(name, earlier);
    }
  }

  string(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }

  strings(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** Undefined when the flag was not given. */
  bool(name: string): boolean | undefined {
    const value = this.#values.get(name)?.[0];
    return value === undefined ? undefined : value === 'true';
  }

  /** Names of the flags that were given, sorted. */
  used(): readonly string[] {
    return [...this.#values.keys()].sort();
  }
}

function stringOf(flag: string, value: string | undefined): string {
  if (value === undefined) throw dockerfileError(`missing a value on flag: ${flag}`);
  return value;
}

function booleanOf(flag: string, value: string | undefined): string {
  if (value === '') throw dockerfileError(`missing a value on flag: ${flag}`);
  const lower = (value ?? 'true').toLowerCase();
  if (lower !== 'true' && lower !== 'false') {
    throw dockerfileError(`expecting boolean value for flag ${flag}, not: ${value}`);
  }
  return lower;
}
