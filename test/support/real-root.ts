import { readFileSync } from 'node:fs';
import { test } from 'vitest';

/** Whether the tests run as the machine's root, with all ids, and not as root in a user namespace. */
export const isRealRoot: boolean =
  process.getuid?.() === 0 && /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));

/** For what no ordinary user can be shown: devices that are made, owners beyond his subordinate ids. Skipped for them. */
export const testAsRoot: typeof test.skip = isRealRoot ? test : test.skip;
