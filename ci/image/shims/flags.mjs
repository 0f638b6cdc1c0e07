// Command lines as Go programs read them (spf13/pflag for kaniko, urfave/cli for buildctl): "--name=value", "--name value", "-n value",
// and switches that take a value only behind "=".

/** What a command line cannot mean here; the hint says what to type instead. */
export class UsageError extends Error {
  /**
   * @param {string} message
   * @param {string} [hint]
   */
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/** What Go's strconv.ParseBool takes for true and false. */
const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/**
 * @param {string} name of the switch, for the error
 * @param {string} text
 */
export function parseBool(name, text) {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw new UsageError(`${name} takes true or false, not ${JSON.stringify(text)}`);
}

/**
 * Reads a command line into flags in their order, and words.
 * @param {readonly string[]} line
 * @param {Readonly<Record<string, 'value' | 'switch'>>} kinds by name with dashes; all that there are
 * @param {{ readonly once?: boolean }} [options] once: the first word ends the flags, as before a command
 * @returns {{ flags: { name: string, value: string | boolean }[], words: string[] }}
 * @throws {UsageError} for a flag that is not in the table, and for one without its value
 */
export function parseFlags(line, kinds, options = {}) {
  /** @type {{ name: string, value: string | boolean }[]} */
  const flags = [];
  /** @type {string[]} */
  const words = [];
  for (let at = 0; at < line.length; at++) {
    const word = line[at] ?? '';
    if (word === '--') return { flags, words: [...words, ...line.slice(at + 1)] };
    if (!word.startsWith('-') || word === '-') {
      if (options.once) return { flags, words: line.slice(at) };
      words.push(word);
      continue;
    }
    const [name, joined] = split(word, kinds);
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) throw new UsageError(`${name} is not a flag that is known here`);
    if (kind === 'switch') {
      flags.push({ name, value: joined === undefined ? true : parseBool(name, joined) });
      continue;
    }
    const value = joined ?? line[++at];
    if (value === undefined) throw new UsageError(`${name} needs a value`);
    flags.push({ name, value });
  }
  return { flags, words };
}

/**
 * Name and value of one word. A short flag may have its value right behind it.
 * @param {string} word
 * @param {Readonly<Record<string, unknown>>} kinds
 * @returns {[string, string | undefined]}
 */
function split(word, kinds) {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word : word.slice(0, equals);
  const value = equals < 0 ? undefined : word.slice(equals + 1);
  if (word.startsWith('--') || Object.hasOwn(kinds, name)) return [name, value];
  return word.length > 2 ? [word.slice(0, 2), word.slice(2)] : [name, value];
}
