import { setTimeout as sleep } from 'node:timers/promises';

/** ms. So long nothing takes that a test waits for, on the slowest machine; a test that fails is told of before its own time is over. */
const PATIENCE = 60_000;

/** Looks until it is so. @throws Error that says for what it waited in vain, or what looking gave */
export async function until(what: string, look: () => Promise<boolean> | boolean): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!(await look())) {
    if (Date.now() > end) throw new Error(`Not within ${PATIENCE / 1000} s: ${what}`);
    await sleep(20);
  }
}
