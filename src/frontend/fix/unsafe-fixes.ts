import type { EscapeToken } from '../dockerfile/types.ts';
import type { Edit } from './edits.ts';
import type { Place } from './safe-fixes.ts';
import { rules } from '../lint/rules.ts';
import type { Meaning } from './same-meaning.ts';

/** An edit that gives an instruction another meaning, with a check that it is the meant one. */
export interface MeantEdit {
  readonly edits: readonly Edit[];
  readonly isMeant: (after: Meaning) => boolean;
}

/** The label that took MAINTAINER's place. */
const AUTHORS = 'org.opencontainers.image.authors';

/** `MAINTAINER name` as the label that took its place. The config's `author` goes, and a label comes. */
export function maintainerToLabel(place: Place, casing: 'lower' | 'upper'): MeantEdit | undefined {
  const { command, written, tokens, text, linter } = place;
  if (!('type' in command) || command.type !== 'maintainer' || !linter.isOn(rules.MaintainerDeprecated))
    return undefined;
  if (tokens.rest === undefined || written.lines.length !== 1) return undefined;
  const { keyword, rest } = tokens;
  if (text.slice(rest.start, rest.end) !== command.maintainer) return undefined;
  // The quotes around a name were never part of it, though MAINTAINER kept them.
  const name = /^(["'])(.*)\1$/.exec(command.maintainer)?.[2] ?? command.maintainer;
  return {
    edits: [
      { ...keyword, text: casing === 'lower' ? 'label' : 'LABEL' },
      { ...rest, text: `${AUTHORS}=${quoted(name, written.escape)}` },
    ],
    isMeant: ({ type, labels }) =>
      type === 'label' &&
      JSON.stringify(labels) ===
        JSON.stringify([
          [
            [AUTHORS, AUTHORS],
            [name, name],
          ],
        ]),
  };
}

function quoted(value: string, escape: EscapeToken): string {
  const special = escape === '`' ? /["$`]/g : /["$\\]/g;
  return `"${value.replaceAll(special, (char) => escape + char)}"`;
}

/** The name of what has no lint rule: a JSON array in single quotes, which is taken for words or for a shell's command line. */
export const SINGLE_QUOTED_JSON = 'SingleQuotedJSON';

const STRING = `(?:'[^'"\\\\]*'|"[^'"\\\\]*")`;
const ARRAY = new RegExp(`^\\[\\s*${STRING}(?:\\s*,\\s*${STRING})*\\s*\\]$`);
const WITH_JSON: ReadonlySet<string> = new Set(['add', 'cmd', 'copy', 'entrypoint', 'healthcheck', 'run', 'volume']);

/** `['a', 'b']` as `["a", "b"]`: the shell form becomes the exec form, words become paths. */
export function singleToDoubleQuotes({ command, written, tokens, text }: Place): MeantEdit | undefined {
  const { node, lines } = written;
  if (!('type' in command) || !WITH_JSON.has(command.type) || node.json || node.heredocs.length > 0) return undefined;
  if (tokens.rest === undefined || lines.some(({ kind }) => kind !== 'text')) return undefined;
  const { start, end } = tokens.rest;
  const open = text.indexOf('[', start);
  if (open < 0 || !/^(CMD\s*)?$/i.test(text.slice(start, open))) return undefined;
  const array = text.slice(open, end);
  const joined = array.replaceAll(/[\\`][ \t]*\r?\n/g, '');
  if (!ARRAY.test(joined)) return undefined;
  const quotes = [...array.matchAll(/'/g)].map(({ index }) => ({
    start: open + index,
    end: open + index + 1,
    text: '"',
  }));
  return { edits: quotes, isMeant: (after) => after['type'] === command.type };
}
