// Stands for fast-check where TSBUILD_FUZZ is set (vitest.config.ts): every property is tried that many times as often.
import { assert as assertOnce, type IAsyncProperty, type IProperty, type Parameters } from 'fast-check';

export * from 'fast-check';

const scale = Number(process.env['TSBUILD_FUZZ'] ?? '1');

/** `assert` of fast-check, with more runs. */
export function assert<Values>(
  property: IProperty<Values> | IAsyncProperty<Values>,
  parameters: Parameters<Values> = {},
): Promise<void> {
  const numRuns = Math.ceil((parameters.numRuns ?? 100) * scale);
  return assertOnce(property as IAsyncProperty<Values>, { ...parameters, numRuns });
}
