import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import type { Bench, Outcome } from './bench.ts';

/** A failure as a user should see it: the exit code, one error that says these things, no stack trace. */
export function expectFailure(
  { code, err, out }: Outcome,
  expected: { readonly code?: number; readonly says: readonly (string | RegExp)[] },
): void {
  expect(code, err + out).toBe(expected.code ?? 1);
  const lines = err.split('\n');
  expect(
    lines.filter((line) => /^(\S+: )?error: /i.test(line)),
    err,
  ).toHaveLength(1);
  expect(err).not.toMatch(/^\s+at .*[:(]\d+/m);
  expect(err).not.toContain('fault of tsbuild');
  expect(err).not.toMatch(/\bundefined\b|\[object|\bNaN\b/);
  for (const text of expected.says) {
    if (typeof text === 'string') expect(err).toContain(text);
    else expect(err).toMatch(text);
  }
}

/** Nothing runs, nothing is mounted, the store is sound. */
export async function expectSound(bench: Bench): Promise<void> {
  expect(await bench.leftovers()).toEqual([]);
  expect(bench.mounts()).toEqual([]);
  expect(await bench.damage()).toEqual([]);
}

/** After garbage collection the store holds neither temporary files nor directories that nobody names. */
export async function expectNoDebris(bench: Bench, store: string = bench.store): Promise<void> {
  await bench.ok(['prune', '--filter=until=0s'], { store });
  expect(readdirSync(`${store}/ingest`)).toEqual([]);
  const { problems } = JSON.parse((await bench.ok(['store', 'check', '--format=json'], { store })).out) as {
    problems: unknown[];
  };
  expect(problems).toEqual([]);
}
