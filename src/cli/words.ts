/**
 * Puts the command first, whatever was typed: `build` is the default, and which command it is must not depend on options of the
 * program among the command's own (`-v /a:/b` is no question for the version).
 * @param args as typed
 * @param names our commands
 * @throws TsbuildError `TSB_USAGE` for a command of docker, podman or buildah that is not here
 */
export async function firstWord(args: readonly string[], names: readonly string[]): Promise<readonly string[]> {
  const at = args.findIndex((word) => !isDebug(word));
  const first = at < 0 ? undefined : args[at];
  const debug = at < 0 ? args : args.slice(0, at);
  const rest = at < 0 ? [] : args.slice(at);
  if (first !== undefined && isOfProgram(first, rest.length)) return args;
  if (first !== undefined && names.includes(first)) return [first, ...debug, ...rest.slice(1)];
  // What nobody knows as a command is a context. Only a word can be one, so that `tsbuild .` needs none of the list.
  if (first !== undefined && /^[a-z][a-z-]*$/.test(first)) {
    const { isForeign, translate } = await import('./foreign-commands.ts');
    if (isForeign(first)) {
      const [command = '', ...more] = translate(rest);
      return command.startsWith('-') ? [command] : [command, ...debug, ...more];
    }
  }
  return ['build', ...debug, ...rest];
}

/** What is asked of the program and not of a command. `-v` with more behind it is podman's volume. */
function isOfProgram(word: string, count: number): boolean {
  return ['-h', '--help', '--version', 'help'].includes(word) || (word === '-v' && count === 1);
}

function isDebug(word: string): boolean {
  return word === '-D' || word === '--debug';
}
