import type { Isolation } from '../../src/sandbox/index.ts';

/**
 * What steps of the tests run in where that is set, by `npm run rungs`; else what the machine has. Tests ask for it where a rung shows
 * itself in what they look at, or keeps a step from less (docs/isolation.md).
 */
export const testedRung: Isolation = (process.env['TEST_ISOLATION'] ?? 'userns') as Isolation;

/** What `tsbuild` is told of it. */
export const rungEnvironment: Readonly<Record<string, string>> =
  testedRung === 'userns' ? {} : { TSBUILD_ISOLATION: testedRung };
