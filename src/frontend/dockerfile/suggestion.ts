import { editDistance } from '../../util/index.ts';
import { compareBytes } from './text.ts';

/** BuildKit proposes words that are at most two edits away. */
const MAX_DISTANCE = 2;

/** How words are compared. */
export interface SuggestionOptions {
  /** Compare without regard to case; the suggestion then takes over the case of `word`. */
  readonly ignoreCase?: boolean;
}

/**
 * The nearest of `options` to `word`, or undefined when none is near or the word is itself one of them (then the mistake is
 * elsewhere). Of several equally near ones one with the same letters wins, then the first in byte order.
 */
export function suggestWord(
  word: string,
  options: Iterable<string>,
  { ignoreCase = false }: SuggestionOptions = {},
): string | undefined {
  const wanted = ignoreCase ? word.toLowerCase() : word;
  let best: string | undefined;
  let bestDistance = MAX_DISTANCE + 0.5;
  for (const option of options) {
    const candidate = ignoreCase ? option.toLowerCase() : option;
    if (candidate === wanted) return undefined;
    let distance = editDistance(wanted, candidate, MAX_DISTANCE);
    if (distance > MAX_DISTANCE) continue;
    // Swapped letters are the likelier slip.
    if (sameLetters(wanted, candidate)) distance -= 0.5;
    if (distance < bestDistance || (distance === bestDistance && compareBytes(candidate, best ?? '') < 0)) {
      bestDistance = distance;
      best = candidate;
    }
  }
  if (best === undefined || best === '') return undefined;
  return ignoreCase ? withCaseOf(best, word) : best;
}

/** The message with ` (did you mean x?)` appended when one of `options` is near `word`. */
export function didYouMean(
  message: string,
  word: string,
  options: Iterable<string>,
  settings?: SuggestionOptions,
): string {
  const found = suggestWord(word, options, settings);
  return found === undefined ? message : `${message} (did you mean ${found}?)`;
}

function sameLetters(a: string, b: string): boolean {
  return a.length === b.length && Array.from(a).sort().join('') === Array.from(b).sort().join('');
}

function withCaseOf(word: string, model: string): string {
  if (model === model.toLowerCase()) return word.toLowerCase();
  if (model === model.toUpperCase()) return word.toUpperCase();
  return word;
}
