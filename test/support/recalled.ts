import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isDeepStrictEqual } from 'node:util';
import type { Bench } from './bench.ts';

/** ms. More than after which a use is noted by who serves a build from memory, less than after which any look at a fact is one. */
const AGE = 30 * 60 * 1000;

/**
 * Whether what `work` builds is served from memory: only that moves the time of last use of what is remembered, and writes nothing new
 * there.
 */
export async function isRecalled(bench: Bench, work: () => Promise<unknown>): Promise<boolean> {
  age(bench);
  const before = remembered(bench);
  await work();
  const after = remembered(bench);
  const stored = (rows: typeof before): unknown[] => rows.map(({ key, stored_at }) => [key, stored_at]);
  return !isDeepStrictEqual(before, after) && isDeepStrictEqual(stored(before), stored(after));
}

/** Whether `work` builds in the general way and remembers that: of a build that is served from memory nothing is stored. */
export async function isRememberedAnew(bench: Bench, work: () => Promise<unknown>): Promise<boolean> {
  const stored = (): unknown[] => remembered(bench).map(({ key, stored_at }) => [key, stored_at]);
  const before = stored();
  await work();
  return !isDeepStrictEqual(before, stored());
}

/** Makes what is remembered look as if it had last been used some time ago. */
function age(bench: Bench): void {
  using db = new DatabaseSync(join(bench.store, 'index.sqlite'), { timeout: 10_000 });
  db.prepare("UPDATE facts SET used_at = used_at - ? WHERE kind = 'recall'").run(AGE);
}

function remembered(bench: Bench): readonly Record<string, unknown>[] {
  using db = new DatabaseSync(join(bench.store, 'index.sqlite'), { readOnly: true, timeout: 10_000 });
  const rows = db.prepare("SELECT key, stored_at, used_at FROM facts WHERE kind = 'recall' ORDER BY key").all();
  return rows.map((row) => ({ ...row }));
}
