import { TsbuildError } from './errors.ts';

/**
 * The time that SOURCE_DATE_EPOCH or an option in its place gives; undefined where there is none, or an empty one.
 * @returns seconds since 1970
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,11}$/.test(text))
    throw new TsbuildError('TSB_USAGE', `invalid SOURCE_DATE_EPOCH: ${text}`, {
      hint: 'it is a time in seconds since 1970, for example $(git log -1 --format=%ct)',
    });
  return Number(text);
}
