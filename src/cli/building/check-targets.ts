import { dirname, join, resolve } from 'node:path';
import { parseGitRef } from '../../frontend/index.ts';
import { redactUrls, statIfThere, TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { filesOfGlob, isGlob, isThere, requireMatch } from '../options/globs.ts';

/** One Dockerfile to check, as the context argument and the `-f` that a build of it would have. */
export interface CheckTarget {
  readonly path: string;
  readonly file: string | undefined;
  /** What reports call it: its path, as it was typed or found. */
  readonly label: string;
}

/** What `--check` was given to look at. */
export interface CheckTargets {
  readonly targets: readonly CheckTarget[];
  /** Whether the words may mean several files, so that a report says which file it is about even when there is one. */
  readonly several: boolean;
}

/**
 * What the arguments of `--check` mean. A directory, an address and `-` are contexts as for a build; a file is a Dockerfile whose
 * context is its directory; any other word with wildcards is a pattern for such files, and behind `!` one for what patterns leave
 * out. `-f` may be a pattern, too, for Dockerfiles that share the contexts. What is named twice is checked once.
 * @throws TsbuildError `TSB_NOT_FOUND` for a pattern without a file, `TSB_USAGE`, and what looking for files gives
 */
export async function checkTargets(
  context: CliContext,
  words: readonly string[],
  file: string | undefined,
): Promise<CheckTargets> {
  const { cwd } = context;
  const isExclusion = (word: string): boolean => word.startsWith('!') && word !== '!' && !isThere(resolve(cwd, word));
  const exclude = words.filter(isExclusion).map((word) => word.slice(1));
  const named = words.filter((word) => !isExclusion(word));
  if (named.length === 0 && exclude.length > 0)
    throw new TsbuildError('TSB_USAGE', 'Cannot check: there are only patterns of what to leave out', {
      hint: `name what to check as well: '**/Dockerfile*'`,
    });
  const files = await dockerfilesOf(context, file, exclude);
  const found: CheckTarget[] = [];
  let several = named.length > 1 || files.isGlob;
  for (const word of named.length === 0 ? ['.'] : named) {
    if (isContext(cwd, word)) {
      for (const name of files.names) found.push({ path: word, file: name, label: labelOf(word, name) });
      continue;
    }
    const isPattern = !isThere(resolve(cwd, word)) && (await isGlob(word));
    several ||= isPattern;
    const paths = isPattern ? await dockerfiles(word, cwd, exclude) : [word];
    // Neither a file nor a pattern: what a build says about it.
    if (!isPattern && !isThere(resolve(cwd, word))) found.push({ path: word, file, label: word });
    else if (file !== undefined)
      throw new TsbuildError('TSB_USAGE', `Cannot check ${JSON.stringify(word)} with -f: both name Dockerfiles`, {
        hint: 'with -f the arguments are contexts: directories',
      });
    else for (const path of paths) found.push({ path: dirname(path), file: path, label: path });
  }
  const unique = new Map<string, CheckTarget>();
  for (const target of found) {
    const { path, file: name = join(path, 'Dockerfile') } = target;
    const key = JSON.stringify([resolve(cwd, path), resolve(cwd, name)]);
    if (!unique.has(key)) unique.set(key, target);
  }
  return { targets: [...unique.values()], several };
}

/** What `-f` names: nothing, a file, or the files of a pattern. */
async function dockerfilesOf(
  { cwd }: CliContext,
  file: string | undefined,
  exclude: readonly string[],
): Promise<{ readonly names: readonly (string | undefined)[]; readonly isGlob: boolean }> {
  const literal =
    file === undefined || file === '-' || /^https?:/.test(file) || isThere(resolve(cwd, file)) || !(await isGlob(file));
  return literal ? { names: [file], isGlob: false } : { names: await dockerfiles(file, cwd, exclude), isGlob: true };
}

/** The files of a pattern; those that end in `.dockerignore` are never meant. */
async function dockerfiles(pattern: string, cwd: string, exclude: readonly string[]): Promise<readonly string[]> {
  const files = (await filesOfGlob(pattern, { cwd, exclude })).filter((path) => !path.endsWith('.dockerignore'));
  requireMatch(pattern, files);
  return files;
}

/** Whether a build would take the word for its context. An existing path is never an address, whatever it looks like. */
function isContext(cwd: string, word: string): boolean {
  if (word === '-') return true;
  const path = resolve(cwd, word);
  if (isThere(path)) return statIfThere(path)?.isDirectory() === true;
  return /^https?:\/\//.test(word) || parseGitRef(word) !== undefined;
}

/** What a Dockerfile is called in the report. */
function labelOf(path: string, file: string | undefined): string {
  if (path === '-' || file === '-') return '-';
  if (file !== undefined) return redactUrls(file);
  return /^[a-z]+:\/\/|^git@/.test(path) ? redactUrls(path) : join(path, 'Dockerfile');
}
