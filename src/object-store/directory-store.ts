import { type FileHandle, unlink } from 'node:fs/promises';
import { throwIfCanceled } from '../registry/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { filesBelow, isTemporary, openDirectory, openFile, within, writeFile } from './directory-files.ts';
import { checkObjectName, isObjectName } from './name.ts';
import type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from './types.ts';

/** Objects in a directory. */
export interface DirectoryOptions {
  /** Absolute. It is made, with those above it, when something is put. */
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What is read again within this time is not made younger again, in ms. */
const TOUCH_AFTER_MS = 10 * 60_000;
/** A file that was being written so long ago has lost its writer, in ms. */
const ABANDONED_MS = 24 * 3_600_000;
const READ_BYTES = 1 << 20;

/**
 * Objects as files of a directory, at the paths that their names are: what CI systems save and restore, and what jobs of one machine share.
 * A file is on the disk before it has its name, so that several may write at a time and none reads half of one. Nobody else can lead it
 * outside: it goes by descriptors, follows no links and reads regular files only. What is there is only as good as who may write there;
 * a directory that everybody may write to is refused.
 */
export class DirectoryStore implements ObjectStore, AsyncDisposable {
  readonly id: string;
  readonly #options: DirectoryOptions;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.id = options.path;
  }

  async get(
    task: Task,
    name: string,
    { maxBytes, range, onlyLooks }: GetOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const doing = `Cannot read ${JSON.stringify(name)} in "${this.id}"`;
    const found = await this.#open(doing, name);
    if (found === undefined) return undefined;
    const { start, length } = range ?? { start: 0, length: found.size };
    if (length > maxBytes || start + length > found.size) {
      await found.file.close();
      const why =
        length > maxBytes ? `it has more than the ${maxBytes} bytes that are expected at most` : 'it ends early';
      throw new TsbuildError('TSB_DIGEST', `${doing}: ${why}`);
    }
    if (!onlyLooks) await this.#makeYounger(found.file, TOUCH_AFTER_MS);
    return chunksOf(task, doing, found.file, start, length);
  }

  async head(_task: Task, name: string): Promise<{ readonly size: number } | undefined> {
    const found = await this.#open(`Cannot look for ${JSON.stringify(name)} in "${this.id}"`, name);
    await found?.file.close();
    return found && { size: found.size };
  }

  async put(task: Task, name: string, content: ObjectContent, { ifAbsent = false }: PutOptions = {}): Promise<void> {
    const doing = `Cannot write ${JSON.stringify(name)} to "${this.id}"`;
    const source: Source = {};
    try {
      if (ifAbsent && (await this.#isThere(doing, name, content.size))) return;
      const [names, last] = split(checkObjectName(name));
      await using dir = await openDirectory(this.#options.path, names, true);
      if (dir === undefined) throw new TsbuildError('TSB_NOT_FOUND', `${doing}: its directory was deleted meanwhile`);
      // One that is there, but of another size, is damaged.
      const replace = !ifAbsent || (await openFile(dir, last).then(closed, () => true));
      await writeFile(dir, last, exactly(task, doing, content, source), replace);
    } catch (error) {
      // What reading it threw is not about this directory.
      throw error === source.error ? error : this.#failure(doing, error);
    }
  }

  async *list(task: Task, prefix: string): AsyncGenerator<StoredObject, void, undefined> {
    const enter = (path: string): boolean => path.startsWith(prefix) || prefix.startsWith(path);
    try {
      for await (const { path, stat } of filesBelow(this.#options.path, enter)) {
        throwIfCanceled(task);
        // What a killed job was writing is nobody's: whoever comes by takes it away.
        const isLeft = isTemporary(path) && this.#options.now() - stat.mtimeMs > ABANDONED_MS;
        if (isLeft) await this.#remove(path);
        if (!path.startsWith(prefix) || !isObjectName(path)) continue;
        yield { name: path, size: stat.size, modifiedAt: stat.mtimeMs };
      }
    } catch (error) {
      throw this.#failure(`Cannot list "${this.id}"`, error);
    }
  }

  async touch(_task: Task, name: string): Promise<void> {
    const found = await this.#open(`Cannot touch ${JSON.stringify(name)} in "${this.id}"`, name);
    if (found === undefined) return;
    await this.#makeYounger(found.file, 0);
    await found.file.close();
  }

  async delete(_task: Task, name: string): Promise<void> {
    await this.#remove(checkObjectName(name));
  }

  /** Nothing is kept open between calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
  }

  async #open(doing: string, name: string): Promise<{ readonly file: FileHandle; readonly size: number } | undefined> {
    const [names, last] = split(checkObjectName(name));
    try {
      await using dir = await openDirectory(this.#options.path, names, false);
      const found = dir && (await openFile(dir, last));
      return found && { file: found.file, size: found.stat.size };
    } catch (error) {
      throw this.#failure(doing, error);
    }
  }

  /** Whether there is an object, which is used by that; whatever else has its name is replaced. */
  async #isThere(doing: string, name: string, size: number): Promise<boolean> {
    const found = await this.#open(doing, name).catch(() => undefined);
    if (found === undefined) return false;
    await this.#makeYounger(found.file, TOUCH_AFTER_MS);
    await found.file.close();
    return found.size === size;
  }

  /** Files that only others may change keep their age. */
  async #makeYounger(file: FileHandle, olderThanMs: number): Promise<void> {
    const now = this.#options.now();
    if (now - (await file.stat()).mtimeMs < olderThanMs) return;
    await file.utimes(now / 1000, now / 1000).catch(() => undefined);
  }

  async #remove(path: string): Promise<void> {
    const doing = `Cannot delete ${JSON.stringify(path)} in "${this.id}"`;
    const [names, last] = split(path);
    try {
      await using dir = await openDirectory(this.#options.path, names, false);
      if (dir !== undefined) await unlink(within(dir, last));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.#failure(doing, error);
    }
  }

  /** Paths of descriptors mean nothing to anybody. */
  #failure(doing: string, error: unknown): TsbuildError {
    if (error instanceof TsbuildError) {
      if (error.message.startsWith('Cannot ') || error.code === 'TSB_CANCELED') return error;
      return new TsbuildError(error.code, `${doing}: ${error.message}`, {
        cause: error,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    }
    const links = { ELOOP: 'a symbolic link is in its place, which is not followed: delete it' };
    return fromErrno(error, doing, 'TSB_PERMISSION', { hints: links, path: this.#options.path });
  }
}

function split(name: string): readonly [string[], string] {
  const parts = name.split('/');
  const last = parts.pop() ?? '';
  return [parts, last];
}

/** Whether there was a file, which is closed. */
async function closed(found: { readonly file: FileHandle } | undefined): Promise<boolean> {
  await found?.file.close();
  return found !== undefined;
}

async function* chunksOf(
  task: Task,
  doing: string,
  file: FileHandle,
  start: number,
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  await using open = file;
  for (let done = 0; done < length;) {
    throwIfCanceled(task);
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, length - done));
    const { bytesRead } = await open.read(buffer, 0, buffer.length, start + done);
    if (bytesRead === 0) throw new TsbuildError('TSB_DIGEST', `${doing}: it ends early`);
    done += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Where what is written comes from, and how reading it failed. */
interface Source {
  error?: unknown;
}

/** The bytes of a content, as many as it said. */
async function* exactly(task: Task, doing: string, content: ObjectContent, source: Source): AsyncGenerator<Uint8Array> {
  let size = 0;
  try {
    for await (const chunk of content.open()) {
      throwIfCanceled(task);
      size += chunk.length;
      if (size > content.size) break;
      yield chunk;
    }
  } catch (error) {
    source.error = error;
    throw error;
  }
  if (size !== content.size)
    throw new TsbuildError(
      'TSB_INTERNAL',
      `${doing}: it does not have the ${content.size} bytes that it is said to have`,
    );
}
