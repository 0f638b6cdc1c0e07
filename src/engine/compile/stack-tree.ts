import type { FileTree, TreeStat } from '../../gateway/index.ts';
import type { Session } from '../session.ts';

/** A file that a frontend reads whole. Bytes: what a message can hold. */
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** Names in a directory that a frontend lists. */
export const MAX_NAMES = 100_000;

/** The files of a stack of layer directories, read by the worker. */
export class StackTree implements FileTree {
  readonly #session: Session;
  readonly #layers: readonly string[];

  /** @param layers directories, bottom first */
  constructor(session: Session, layers: readonly string[]) {
    this.#session = session;
    this.#layers = layers;
  }

  async stat(path: string, signal: AbortSignal): Promise<TreeStat | undefined> {
    const worker = await this.#session.worker();
    const found = await worker.call('statPath', { layers: this.#layers, path }, { signal });
    return found && { name: nameOf(path), ...found };
  }

  async list(path: string, signal: AbortSignal): Promise<readonly TreeStat[] | undefined> {
    const worker = await this.#session.worker();
    return worker.call('readDirectory', { layers: this.#layers, path, maxNames: MAX_NAMES }, { signal });
  }

  async read(path: string, limit: number | undefined, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const worker = await this.#session.worker();
    return worker.call(
      'readFile',
      { layers: this.#layers, path, maxBytes: MAX_FILE_BYTES, ...(limit === undefined ? {} : { limit }) },
      { signal },
    );
  }
}

/** The last name of a path. */
export function nameOf(path: string): string {
  return path.split('/').findLast((part) => part !== '' && part !== '.') ?? '/';
}
