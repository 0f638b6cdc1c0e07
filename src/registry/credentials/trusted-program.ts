import { accessSync, constants, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { TsbuildError } from '../../util/index.ts';

/**
 * The program of a name in the directories of a search path, as a path without symbolic links. Only absolute directories are looked into: a
 * relative one (`.`, or an empty word) is wherever somebody made the user go.
 * What others could have changed is refused and not passed over, as nothing else would tell that somebody planted it: the
 * program and all directories above it must belong to root or the caller, and be writable for nobody else. A sticky directory
 * (/tmp) and the caller's own private group are no fault.
 * @param what names the program in the error
 * @returns undefined when there is none
 * @throws TsbuildError `TSB_PERMISSION`
 */
export function findTrusted(name: string, searchPath: string, what: string): string | undefined {
  const found = searchPath
    .split(':')
    .filter(isAbsolute)
    .map((directory) => join(directory, name))
    .find(isProgram);
  if (found === undefined) return undefined;
  // The directory that it was found in counts as well as the one that a link leads to.
  const program = realpathSync.native(found);
  for (const at of new Set([program, ...above(program), ...above(join(realpathSync.native(dirname(found)), name))])) {
    const fault = faultOf(statSync(at));
    if (fault !== undefined)
      throw new TsbuildError('TSB_PERMISSION', `Cannot run ${what} ${JSON.stringify(program)}: "${at}" ${fault}`, {
        hint: `if you trust it, take the write permission of others away (chmod go-w ${at}), or give it to root or yourself`,
      });
  }
  return program;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The directories above a path, up to the root. */
function above(path: string): readonly string[] {
  const directory = dirname(path);
  return directory === path ? [] : [directory, ...above(directory)];
}

function faultOf(stat: Stats): string | undefined {
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  if (stat.uid !== 0 && stat.uid !== uid) return `belongs to another user (${stat.uid})`;
  // In a sticky directory nobody but the owner of a file replaces it.
  if (stat.isDirectory() && (stat.mode & 0o1000) !== 0) return undefined;
  if ((stat.mode & 0o002) !== 0) return 'can be changed by every user';
  // Distributions give each user a group of the same number, and a umask that lets it write.
  const isPrivate = stat.gid === 0 || (stat.gid === gid && gid === uid);
  return (stat.mode & 0o020) === 0 || isPrivate ? undefined : `can be changed by a group (${stat.gid})`;
}
