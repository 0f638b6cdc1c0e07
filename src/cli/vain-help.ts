import type { Command } from 'commander';

/**
 * Reads past what asks for help to an option that there is not: help is an answer with exit code 0, which scripts take for success.
 * @param words with the command first
 * @param makeProgram for one that nothing else is done with, since options remember what they were given
 * @returns the words that are to be refused, or those that came
 */
export function withoutVainHelp(words: readonly string[], makeProgram: () => Command): readonly string[] {
  if (!words.includes('--help') && !words.includes('-h')) return words;
  let command = makeProgram();
  const path: string[] = [];
  for (;;) {
    const name = words[path.length] ?? '';
    const next = command.commands.find((each) => each.name() === name || each.aliases().includes(name));
    if (next === undefined) break;
    command = next;
    path.push(name);
  }
  const asksHelp = ['--help', ...(ownsH(command) ? [] : ['-h'])];
  let { unknown } = command.parseOptions(words.slice(path.length));
  while (asksHelp.includes(unknown[0] ?? '')) ({ unknown } = command.parseOptions(unknown.slice(1)));
  const [strange] = unknown;
  return strange === undefined ? words : [...path, strange];
}

/** Whether `-h` is another option of a command, as docker's for the host name. */
export function ownsH(command: Command): boolean {
  return command.options.some(({ short }) => short === '-h');
}
