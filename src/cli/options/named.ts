import { isTsbuildError, reasonOf, TsbuildError } from '../../util/index.ts';

/**
 * What cannot be parsed is told with the option that it was given to.
 * @returns undefined where there is nothing to parse
 * @throws TsbuildError `TSB_USAGE`
 */
export function named<T>(flag: string, text: string | undefined, parse: (text: string) => T): T | undefined {
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const shown = flag.endsWith('=') ? flag + text : `${flag} ${JSON.stringify(text)}`;
    throw new TsbuildError('TSB_USAGE', `Cannot use ${shown}: ${reasonOf(error)}`);
  }
}
