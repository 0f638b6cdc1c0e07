import { afterAll, beforeAll, describe, test } from 'vitest';
import { Bench } from './bench.ts';
import { identities, type Identity } from './identity.ts';

const everyone: readonly Identity[] = await identities();

/** A bench for a group of tests: made with `base:1` in its store before the first, gone after the last. */
export function useBench(who: Identity, options: { readonly base?: boolean } = {}): { readonly bench: Bench } {
  const held: { bench?: Bench } = {};
  beforeAll(async () => {
    held.bench = new Bench(who);
    if (options.base !== false) await held.bench.makeStore();
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

/**
 * As an ordinary user, who may do less; for what is the same whoever builds. What namespaces, ids and files' owners have a part in is
 * tested with `describeAsEveryone`, and `e2e/as-root.test.ts` sees that the rest works for root too.
 */
export function describeAsUser(name: string, tests: (who: Identity) => void): void {
  const who = everyone.at(-1);
  if (who) describe(`${name} as ${who.name}`, () => tests(who));
}

/** Makes tests among those of `describeAsEveryone` that see nothing of whoever builds: they are done as the ordinary user alone. */
export function onceAsUser(who: Identity): (name: string, body: () => Promise<void>) => void {
  return (name, body) => {
    if (who.name === 'user') test(name, body);
  };
}

/** As root, where the tests run as root. */
export function describeAsRoot(name: string, tests: (who: Identity) => void): void {
  const root = everyone.find(({ uid }) => uid === 0);
  describe.runIf(root)(`${name} as root`, () => tests(root ?? { name: 'root', uid: 0, gid: 0, prefix: [] }));
}
