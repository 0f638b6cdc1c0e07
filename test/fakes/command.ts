import { expect } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { fakeContext, type FakeContextOptions } from './cli-context.ts';

/** What a command line came to. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command within this process. */
export interface FakeCommand {
  readonly run: (...words: readonly string[]) => Promise<Outcome>;
  /** What it prints, which is expected to succeed. */
  readonly ok: (...words: readonly string[]) => Promise<string>;
}

/**
 * The command as whoever runs the tests, in a directory that has its store, `store`, and is its home.
 * @param directory asked for at each run
 * @param before words that stand in front of those that are given
 */
export function commandIn(
  directory: () => string,
  options: Pick<FakeContextOptions, 'now'> = {},
  before: readonly string[] = [],
): FakeCommand {
  const run = async (...words: readonly string[]): Promise<Outcome> => {
    const cwd = directory();
    const env = { TSBUILD_ROOT: `${cwd}/store`, HOME: cwd };
    const context = fakeContext({ cwd, uid: process.getuid?.() ?? 0, env, ...options });
    const code = await runCli([...before, ...words], context);
    return { code, out: context.out(), err: context.err() };
  };
  return {
    run,
    async ok(...words) {
      const { code, out, err } = await run(...words);
      expect(code, err).toBe(0);
      return out;
    },
  };
}
