import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { parseGitRef } from '../frontend/index.ts';
import { redactUrls, TsbuildError } from '../util/index.ts';
import type { BuildRequest } from './request.ts';

/** Whether a context is an address: a git repository or what docker takes for one on the web. An existing path never is, whatever it looks like. */
export function isRemoteContext(cwd: string, path: string): boolean {
  if (existsSync(resolve(cwd, path))) return false;
  return isUrl(path) || parseGitRef(path) !== undefined;
}

/**
 * What names a Dockerfile: a web address, or a path. In a local context that is one from the working directory, as with docker, or from
 * the context, where it is only there; in another context it is one within that, unless it is absolute.
 * @param contextDir absolute; undefined for a context that is no directory
 * @throws TsbuildError `TSB_NOT_FOUND`, at once and in the words that were typed
 */
export function namedDockerfile(
  cwd: string,
  contextDir: string | undefined,
  file: string,
): NonNullable<BuildRequest['dockerfile']> {
  if (contextDir === undefined) {
    if (isUrl(file)) return { url: file };
    if (!file.startsWith('/')) return { inContext: file };
  }
  const absolute = resolve(cwd, file);
  const inContext = resolve(contextDir ?? cwd, file);
  const found = existsSync(absolute) || !existsSync(inContext) ? absolute : inContext;
  if (isUrl(file) && !existsSync(found)) return { url: file };
  // The frontend finds "dockerfile" where "Dockerfile" is asked for.
  if (existsSync(found) || (basename(found) === 'Dockerfile' && existsSync(resolve(dirname(found), 'dockerfile'))))
    return { dir: dirname(found), name: basename(found) };
  throw new TsbuildError(
    'TSB_NOT_FOUND',
    `Cannot read Dockerfile ${JSON.stringify(redactUrls(file))}: it does not exist`,
    { hint: 'name it with -f PATH' },
  );
}

function isUrl(text: string): boolean {
  return /^https?:\/\//.test(text);
}
