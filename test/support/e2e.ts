import { afterAll, beforeAll, describe } from 'vitest';
import { Bench } from './bench.ts';
import { identities, type Identity } from './identity.ts';

const everyone: readonly Identity[] = await identities();

/** A bench for a group of tests: made with `base:1` in its store before the first, gone after the last. */
export function useBench(who: Identity, options: { readonly base?: boolean } = {}): { readonly bench: Bench } {
  const held: { bench?: Bench } = {};
  beforeAll(async () => {
    held.bench = new Bench(who);
    if (options.base !== false) await held.bench.importBase();
  });
  afterAll(async () => {
    await held.bench?.[Symbol.asyncDispose]();
  });
  return held as { readonly bench: Bench };
}

/** The same tests as root and as an ordinary user; only as the latter when the tests themselves do not run as root. */
export function describeAsEveryone(name: string, tests: (who: Identity) => void): void {
  for (const who of everyone) describe(`${name} as ${who.name}`, () => tests(who));
}
