import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type BuildRequest, isRemoteContext, namedDockerfile } from '../../engine/index.ts';
import { isArchive, MAX_DOCKERFILE_BYTES } from '../../frontend/index.ts';
import { collect, errnoOf, fromErrno, redactUrls, type SourceFile, suggest, TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';

/** Commands that a mistyped first word may have meant. */
const COMMANDS = ['build', 'run', 'llb', 'images', 'rmi', 'import', 'save', 'du', 'prune', 'store', 'doctor', 'help'];

/** A tar header, by which an archive is told from a Dockerfile. */
const HEAD_BYTES = 512;

type Sources = Pick<BuildRequest, 'contextDir' | 'context' | 'dockerfile'>;

/**
 * Finds out what the context argument and `-f` mean: a directory, a git repository, a web address, or `-` for an archive or a
 * Dockerfile on standard input, told apart by their first bytes as docker does.
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`
 */
export async function parseContextArgument(
  context: CliContext,
  path: string,
  file: string | undefined,
): Promise<Sources> {
  if (path === '-') return readContext(context, file);
  // What an empty variable of a script makes of it is no build of whatever directory this is.
  if (path === '')
    throw new TsbuildError('TSB_USAGE', 'Cannot read build context "": it is empty', {
      hint: 'the argument is the directory with the files that COPY and ADD read, often "."',
    });
  if (isRemoteContext(context.cwd, path)) {
    const dockerfile = await findDockerfile(context, undefined, file);
    return { context: { kind: 'remote', url: path }, ...(dockerfile === undefined ? {} : { dockerfile }) };
  }
  const contextDir = resolve(context.cwd, path);
  requireDirectory(contextDir, path);
  const dockerfile = await findDockerfile(context, contextDir, file);
  return { contextDir, ...(dockerfile === undefined ? {} : { dockerfile }) };
}

/** What stands for the context: `-` is an archive or a Dockerfile on standard input, told apart by its first bytes. */
async function readContext(context: CliContext, file: string | undefined): Promise<Sources> {
  if (file === '-')
    throw new TsbuildError('TSB_USAGE', 'Cannot read both the build context and the Dockerfile from standard input', {
      hint: 'give a directory as build context',
    });
  const { head, data } = await readHead(context);
  if (isArchive(head)) {
    const dockerfile = await findDockerfile(context, undefined, file);
    return { context: { kind: 'archive', data }, ...(dockerfile === undefined ? {} : { dockerfile }) };
  }
  if (file !== undefined) {
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot build: both standard input and -f ${JSON.stringify(file)} are a Dockerfile`,
      { hint: 'leave -f out, or give a directory as build context' },
    );
  }
  return { dockerfile: await readDockerfile(data) };
}

/** The first bytes of standard input, and all of it. */
async function readHead(
  context: CliContext,
): Promise<{ readonly head: Uint8Array; readonly data: AsyncIterable<Uint8Array> }> {
  const chunks = context.stdin[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>;
  const first: Uint8Array[] = [];
  let size = 0;
  while (size < HEAD_BYTES) {
    const next = await chunks.next();
    if (next.done) break;
    first.push(Buffer.from(next.value));
    size += next.value.length;
  }
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* first;
    yield* chunks;
  }
  return { head: Buffer.concat(first).subarray(0, HEAD_BYTES), data: all() };
}

/** What `-f` names. @param contextDir undefined for a context that is no directory */
async function findDockerfile(
  context: CliContext,
  contextDir: string | undefined,
  file: string | undefined,
): Promise<BuildRequest['dockerfile']> {
  if (file === undefined) return undefined;
  if (file === '-') return readDockerfile(context.stdin as AsyncIterable<Uint8Array>);
  return namedDockerfile(context.cwd, contextDir, file);
}

/** A Dockerfile from standard input. */
async function readDockerfile(data: AsyncIterable<Uint8Array>): Promise<SourceFile> {
  const tooLarge = (): TsbuildError =>
    new TsbuildError('TSB_USAGE', 'Cannot read the Dockerfile from standard input: it is larger than 16 MiB');
  const bytes = await collect(data, { maxBytes: MAX_DOCKERFILE_BYTES, tooMuch: tooLarge });
  return { name: 'Dockerfile', text: bytes.toString('utf8') };
}

/** Says at once, and in the words that were typed, that there is no such directory. */
function requireDirectory(dir: string, typed: string): void {
  let found: boolean;
  try {
    found = statSync(dir).isDirectory();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT')
      throw fromErrno(error, `Cannot read build context ${JSON.stringify(redactUrls(typed))}`, 'TSB_CONTEXT');
    const near = typed.includes('/') ? undefined : suggest(typed, COMMANDS);
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot read build context ${JSON.stringify(redactUrls(typed))}: there is no such directory`,
      {
        hint:
          near === undefined
            ? 'the argument is the directory with the files that COPY and ADD read, often "."'
            : `did you mean "tsbuild ${near}"?`,
      },
    );
  }
  if (!found)
    throw new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(typed)} as build context: it is not a directory`);
}
