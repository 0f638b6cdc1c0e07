import type { Command, Option } from 'commander';
import { TsbuildError } from '../util/index.ts';

const TRUE = /^(true|t|1|yes)$/i;
const FALSE = /^(false|f|0|no)$/i;

/** What `--pull=VALUE` is, besides true and false. Podman's `newer` asks the registry, as docker's `--pull` does. */
const PULL: Readonly<Record<string, readonly string[]>> = {
  always: ['--pull'],
  newer: ['--pull'],
  missing: [],
  ifmissing: [],
  never: ['--pull-never'],
};

/**
 * Writes `--switch=true` and `--switch=false` as docker's flags take them: the last one of a name counts, and false is as if none had been
 * typed, or the opposite where there is one (`--no-switch`). Words that are values of other options, and those of the container, are left alone.
 * @param words with the command first
 * @throws TsbuildError `TSB_USAGE` for another value
 */
export function withoutValues(words: readonly string[], command: Command, passThrough: boolean): readonly string[] {
  if (!words.some((word) => /^--?[a-zA-Z-]+=/.test(word))) return words;
  const result: string[] = [words[0] ?? ''];
  for (let at = 1; at < words.length; at++) {
    const word = words[at] ?? '';
    const [flag, value] = splitValue(word);
    const option = command.options.find(({ short, long }) => flag === long || flag === short);
    if (word === '--' || (passThrough && !word.startsWith('-'))) return [...result, ...words.slice(at)];
    if (option === undefined || value === undefined || option.required || option.optional) {
      result.push(word);
      // The next word is its value, whatever it looks like.
      if (option?.required && value === undefined && at + 1 < words.length) result.push(words[++at] ?? '');
      continue;
    }
    const earlier = (text: string): boolean => text === option.long || text === option.short;
    for (let i = result.length - 1; i > 0; i--) if (earlier(result[i] ?? '')) result.splice(i, 1);
    const negated = command.options.some(({ long }) => long === `--no-${option.long?.slice(2)}`);
    result.push(...meant(option, flag, value, negated));
  }
  return result;
}

function splitValue(word: string): readonly [string, string?] {
  const at = word.indexOf('=');
  return at < 0 ? [word] : [word.slice(0, at), word.slice(at + 1)];
}

/** @param negated the command has a switch for the opposite, since false is not the same as nothing */
function meant({ long }: Option, flag: string, value: string, negated: boolean): readonly string[] {
  if (TRUE.test(value)) return [long ?? flag];
  if (FALSE.test(value)) return negated ? [`--no-${long?.slice(2)}`] : [];
  const pull = long === '--pull' && Object.hasOwn(PULL, value) ? PULL[value] : undefined;
  if (pull !== undefined) return pull;
  // A value of its own, which no word that follows is taken for: that is the context.
  if (long === '--update-lock' && value !== '') return ['--update-lock-name', value];
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use ${flag}=${value}: expected true or false`,
    long === '--pull' ? { hint: '--pull also takes always, missing and never' } : {},
  );
}
