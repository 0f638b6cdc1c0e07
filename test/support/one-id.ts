import { chmodSync } from 'node:fs';
import { userInfo } from 'node:os';
import { afterAll, beforeAll } from 'vitest';
import { Bench } from './bench.ts';
import type { Identity } from './identity.ts';

/** No user's id, of whom no file says that it has subordinate ids. */
const ID = 54_321;

/** Somebody without subordinate ids; who runs the tests where that is not root. */
export function lonelyUser(): Identity {
  const { uid, gid } = userInfo();
  if (uid !== 0) return { name: 'user', uid, gid, prefix: ['env', 'TSBUILD_ISOLATION=single-id'] };
  return {
    name: 'user',
    uid: ID,
    gid: ID,
    prefix: ['setpriv', `--reuid=${ID}`, `--regid=${ID}`, '--clear-groups'],
  };
}

/** A bench of that user with `base:1`. */
export function useLonelyBench(): { readonly bench: Bench } {
  const held: { bench?: Bench } = {};
  beforeAll(async () => {
    held.bench = new Bench(lonelyUser());
    chmodSync(held.bench.dir, 0o755);
    await held.bench.importBase();
  });
  afterAll(() => held.bench?.[Symbol.asyncDispose]());
  return held as { readonly bench: Bench };
}
