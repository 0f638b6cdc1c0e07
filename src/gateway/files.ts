import { PatternMatcher } from '../patterns/index.ts';
import type { FileTree } from './file-tree.ts';
import { toPbStat } from './stat.ts';
import { CallError, statusCodes } from './status.ts';
import type { ReadDirRequest, ReadFileRequest, StatFileRequest } from './types.ts';

/** A file, or a part of it, is read from its start up to here. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

/** `ReadFile`. @throws CallError when there is none */
export async function readFile(
  tree: FileTree,
  { path, range }: ReadFileRequest,
  signal: AbortSignal,
): Promise<{ readonly data: Uint8Array }> {
  const { offset = 0, length = 0 } = range ?? {};
  if (offset < 0 || length < 0 || offset + length > MAX_FILE_BYTES)
    throw new CallError(
      statusCodes.resourceExhausted,
      `cannot read ${length} bytes at ${offset} of a file: only the first ${MAX_FILE_BYTES} can be read`,
    );
  const data = await tree.read(path, range === undefined ? undefined : offset + length, signal);
  if (data === undefined) throw missing('open', path);
  return { data: range === undefined ? data : data.subarray(offset) };
}

/** `ReadDir`: one level, with what a pattern leaves. @throws CallError when it is no directory */
export async function listDirectory(
  tree: FileTree,
  { path, includePattern }: ReadDirRequest,
  signal: AbortSignal,
): Promise<object> {
  const found = await tree.list(path, signal);
  if (found === undefined) throw missing('readdir', path);
  const matcher = includePattern === '' ? undefined : new PatternMatcher([includePattern]);
  return { entries: found.filter(({ name }) => matcher?.matchesBelow(name) ?? true).map(toPbStat) };
}

/** `StatFile`. @throws CallError when nothing is there */
export async function statFile(tree: FileTree, { path }: StatFileRequest, signal: AbortSignal): Promise<object> {
  const found = await tree.stat(path, signal);
  if (found === undefined) throw missing('lstat', path);
  return { stat: toPbStat(found) };
}

/** In Go's words, which frontends look for. */
function missing(doing: string, path: string): CallError {
  return new CallError(statusCodes.notFound, `${doing} ${path.slice(0, 1000)}: no such file or directory`);
}
