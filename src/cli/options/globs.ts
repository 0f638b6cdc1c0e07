import { join, resolve } from 'node:path';
import type { Entry } from 'fast-glob';
import { fromErrno, statIfThere, TsbuildError } from '../../util/index.ts';

/** Trees of other people's files, which no pattern enters that does not name them. */
const LEFT_OUT: readonly string[] = ['.git', 'node_modules'];

/** How patterns of the command line are read. */
export interface GlobOptions {
  readonly cwd: string;
  /** Patterns of what is left out, relative to `cwd`. */
  readonly exclude: readonly string[];
}

/** Whether a word of the command line is a pattern; a file of that very name is the caller's to look for. */
export async function isGlob(word: string): Promise<boolean> {
  const { default: glob } = await import('fast-glob');
  return glob.isDynamicPattern(word);
}

/**
 * The files that a pattern typed by a user names, in the order of their bytes, as the pattern would spell them (relative to `cwd`
 * unless it is absolute). Hidden ones count; ignore files of git and docker do not. Directories behind symlinks are not entered, so
 * that no cycle and no tree is gone through twice; a link that is itself named is a file, also when it leads nowhere.
 * @throws TsbuildError `TSB_PERMISSION`, `TSB_CONTEXT` when a directory cannot be read
 */
export async function filesOfGlob(pattern: string, { cwd, exclude }: GlobOptions): Promise<readonly string[]> {
  const { default: glob } = await import('fast-glob');
  const { base, rest } = splitBase(pattern);
  const elsewhere = base.startsWith('/') || /^\.\.(\/|$)/.test(base);
  const from = elsewhere ? resolve(cwd, base) : cwd;
  const leftOut = LEFT_OUT.filter((name) => !rest.split('/').includes(name)).map((name) => `**/${name}`);
  // Beneath another directory, what is relative to this one means nothing, but for patterns that hold anywhere.
  const excluded = elsewhere
    ? exclude.flatMap((word) => (word.startsWith('**/') ? [word] : absolute(glob.escapePath(cwd), word)))
    : exclude;
  let entries: readonly Entry[];
  try {
    entries = await glob(withSets(elsewhere ? rest : pattern), {
      cwd: from,
      ignore: [...leftOut, ...excluded],
      dot: true,
      onlyFiles: false,
      objectMode: true,
      followSymbolicLinks: false,
    });
  } catch (error) {
    throw fromErrno(error, `Cannot look for files of ${JSON.stringify(pattern)}${placeOf(error)}`, 'TSB_CONTEXT', {
      hint: 'leave a directory out with an argument like "!DIR"',
    });
  }
  return entries
    .filter(({ path, dirent }) => dirent.isFile() || (dirent.isSymbolicLink() && !isDirectory(resolve(from, path))))
    .map(({ path }) => (elsewhere ? join(base, path) : path))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** An absolute pattern is compared with files only, so that what is in a directory takes one of its own. */
function absolute(cwd: string, word: string): readonly string[] {
  const pattern = word.startsWith('/') ? word : join(cwd, word);
  return [pattern, `${pattern}/**`];
}

/**
 * The pattern with a set in place of each `?`, which is the same: fast-glob 3.3 enters no directory for the sake of a name with a `?` in it,
 * unless there is a `*` in front.
 */
function withSets(pattern: string): string {
  return pattern.replaceAll(/\\.|\[(?:\\.|[^\]\\])+\]|\?(?!\()/gs, (part) => (part === '?' ? '[^/]' : part));
}

/** The directories in front of the first part that is a pattern. */
function splitBase(pattern: string): { readonly base: string; readonly rest: string } {
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => /[*?[\]{}()!+@\\|]/.test(part));
  const base = parts.slice(0, Math.max(0, first)).join('/');
  return { base: base === '' && pattern.startsWith('/') ? '/' : base, rest: parts.slice(first).join('/') };
}

function placeOf(error: unknown): string {
  const path = error instanceof Error && 'path' in error ? error.path : undefined;
  return typeof path === 'string' ? ` in ${JSON.stringify(path)}` : '';
}

function isDirectory(path: string): boolean {
  return statIfThere(path)?.isDirectory() === true;
}

/** Whether there is something of this name, a link that leads nowhere included. */
export function isThere(path: string): boolean {
  return statIfThere(path, false) !== undefined;
}

/** @throws TsbuildError `TSB_NOT_FOUND` for a pattern without a file */
export function requireMatch(pattern: string, files: readonly string[]): void {
  if (files.length > 0) return;
  throw new TsbuildError('TSB_NOT_FOUND', `Cannot check ${JSON.stringify(pattern)}: no file matches`, {
    hint: `**/ stands for any directories; ${LEFT_OUT.join(' and ')} are looked into only by patterns that name them, and files that end in .dockerignore are no Dockerfiles`,
  });
}
