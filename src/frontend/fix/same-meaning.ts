import { isTsbuildError } from '../../util/index.ts';
import type { Command, Dockerfile, EscapeToken, KeyValue, Stage } from '../dockerfile/types.ts';
import { expandWord } from '../dockerfile/shell/lex.ts';

/** What a command is beyond how it is written. */
export type Meaning = Readonly<Record<string, unknown>>;

/**
 * Whether two Dockerfiles lower to the same graph and config: their instructions are the same but for how keywords are spelled,
 * and the words of ENV and LABEL, which may be quoted otherwise, come to the same with their variables set and unset.
 */
export function sameMeaning(before: Dockerfile, after: Dockerfile): boolean {
  return JSON.stringify(meaningOf(before)) === JSON.stringify(meaningOf(after));
}

/** All that decides what a Dockerfile lowers to. */
function meaningOf({ directives, escape, metaArgs, stages }: Dockerfile): object {
  return {
    escape,
    syntax: directives.syntax?.value,
    check: directives.check?.value,
    commands: commandsOf({ metaArgs, stages }).map((command) => commandMeaning(command, escape)),
  };
}

/** ARGs before the first FROM, then each FROM and its commands: one for each instruction of the file. */
export function commandsOf({
  metaArgs,
  stages,
}: Pick<Dockerfile, 'metaArgs' | 'stages'>): readonly (Command | Stage)[] {
  return [...metaArgs, ...stages.flatMap((stage) => [stage, ...stage.commands])];
}

/** All of a command but how it is written: two of the same meaning build the same. */
export function commandMeaning(command: Command | Stage, escape: EscapeToken): Meaning {
  const { keyword: _keyword, original: _original, ranges: _ranges, ...meaning } = command;
  // A FROM's commands are in the list themselves.
  if (!('type' in meaning)) return { ...meaning, commands: undefined };
  if (meaning.type === 'env') return { ...meaning, env: pairs(meaning.env, escape) };
  if (meaning.type === 'label') return { ...meaning, labels: pairs(meaning.labels, escape) };
  return meaning;
}

function pairs(values: readonly KeyValue[], escape: EscapeToken): readonly unknown[] {
  return values.map(({ key, value }) => [expansions(key, escape), expansions(value, escape)]);
}

/** A value that would show if a quote were missing, or one too many. */
const AWKWARD = ` a "b' \\" $HOME  \`c `;

/** What a word comes to when no variable is set, and when all that it may name are; itself where it is refused either way. */
export function expansions(word: string, escape: EscapeToken): readonly unknown[] {
  const set = { get: (name: string) => `${name}:${AWKWARD}` };
  const unset = { get: () => undefined };
  const values = [unset, set].map((env): string | undefined => {
    try {
      return expandWord(word, env, { escape }).value;
    } catch (error) {
      if (isTsbuildError(error)) return undefined;
      throw error;
    }
  });
  // A word that nothing can be made of means nothing that could stay the same.
  return values.every((value) => value === undefined) ? [{ refused: word }] : values;
}
