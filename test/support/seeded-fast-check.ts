// Stands for fast-check (vitest.config.ts). A change should be judged by what it changed, so every run of the tests tries the same
// values; where TSBUILD_FUZZ is set it tries others, and that many times as many.
import { assert as assertOnce, type IAsyncProperty, type IProperty, type Parameters } from 'fast-check';

export * from 'fast-check';

const scale = process.env['TSBUILD_FUZZ'] === undefined ? undefined : Number(process.env['TSBUILD_FUZZ']);

/** `assert` of fast-check with the seed of all runs, or with more runs of a seed that it says when one fails. */
export function assert<Values>(
  property: IProperty<Values> | IAsyncProperty<Values>,
  parameters: Parameters<Values> = {},
): Promise<void> {
  const ours: Parameters<Values> =
    scale === undefined ? { seed: 20_261_130 } : { numRuns: Math.ceil((parameters.numRuns ?? 100) * scale) };
  return assertOnce(property as IAsyncProperty<Values>, { ...parameters, ...ours });
}
