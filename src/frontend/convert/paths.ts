import { joinPath } from '../../llb/index.ts';
import { cleanPath } from '../../patterns/index.ts';
import { dockerfileError } from '../dockerfile/failure.ts';
import { equalFold, goQuote } from '../dockerfile/text.ts';

/**
 * Paths in Dockerfiles, which belong to the image's operating system and not to the machine that builds. Windows images take
 * backslashes and the drive letter of the system drive.
 */
export const DEFAULT_PATH_UNIX = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Windows paths with slashes; on Linux a backslash is a character of a name. */
export function toSlash(path: string, os: string): string {
  return os === 'windows' ? path.replaceAll('\\', '/') : path;
}

function withoutDrive(path: string, os: string, keepSlash: boolean): string {
  if (os !== 'windows') return path;
  if (path.length === 2 && path[1] === ':') throw dockerfileError(`No relative path specified in ${goQuote(path)}`);
  if (toSlash(path.slice(0, 2), os) === '//') throw dockerfileError('UNC paths are not supported');
  const colon = path.indexOf(':');
  if (colon >= 0 && !equalFold(path.slice(0, colon), 'c')) {
    throw dockerfileError('The specified path is not on the system drive (C:)');
  }
  const slashed = toSlash(path.slice(colon + 1), os);
  const clean = cleanPath(slashed);
  return keepSlash && clean.length > 1 && slashed.endsWith('/') ? `${clean}/` : clean;
}

/** Whether the path is absolute on that operating system. */
export function isAbsolute(path: string, os: string): boolean {
  try {
    return withoutDrive(path, os, false).startsWith('/');
  } catch {
    return false;
  }
}

/**
 * The path as an absolute one with forward slashes: relative ones start at `parent`, drive letters go. An absolute path is not
 * cleaned (on Linux), as in BuildKit.
 * @param keepSlash keep `/` and `/.` at the end
 */
export function normalizePath(parent: string, path: string, os: string, keepSlash: boolean): string {
  const original = toSlash(path, os);
  let base = withoutDrive(toSlash(parent, os) || '/', os, keepSlash);
  if (!base.startsWith('/')) base = joinPath('/', base);
  let result = withoutDrive(original === '' ? base : original, os, keepSlash);
  if (!result.startsWith('/')) result = joinPath(base, result);
  if (keepSlash) {
    if (original.endsWith('/') && !result.endsWith('/')) result += '/';
    else if (original.endsWith('/.')) result += result === '/' ? '.' : '/.';
  }
  return toSlash(result, os);
}

/** The working directory after `WORKDIR path`, with the separators of the operating system. */
export function normalizeWorkdir(current: string, path: string, os: string): string {
  const result = normalizePath(current, path, os, false);
  return os === 'windows' ? result.replaceAll('/', '\\') : result;
}

/** A COPY destination: relative ones start at the working directory; empty and `.` are the working directory itself. */
export function destinationPath(workdir: string, path: string, os: string): string {
  const clean = withoutDrive(path, os, true);
  if (isAbsolute(clean, os)) return normalizePath('/', clean, os, true);
  return normalizePath(workdir, clean === '.' || clean === '' ? './' : clean, os, true);
}

/** The name of a heredoc file without drive letter. */
export function contentName(path: string, os: string): string {
  return withoutDrive(path, os, false);
}
