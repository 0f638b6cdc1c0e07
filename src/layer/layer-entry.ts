import type { BytePath, Timespec } from '../sys/index.ts';
import type { Digest } from '../util/index.ts';
import type { TarEntryInput } from './tar-writer.ts';

/** Where the content of a file comes from. Links are never followed in the last component. */
export type ContentSource =
  /** The bytes themselves. */
  | Uint8Array
  /** A path; symlinks in its directories are followed, so only for trusted ones. */
  | { readonly path: BytePath; readonly digest?: Digest }
  /** A path beneath a directory fd, with no symlink in any component. */
  | { readonly dirfd: number; readonly path: BytePath; readonly digest?: Digest }
  /** An open file, read from its start; the caller closes it. `onDigest` is told the sha256 of what was read. */
  | { readonly fd: number; readonly digest?: Digest; readonly onDigest?: (digest: Digest) => void };

/** An entry with its content. `size` is required for files whose content is not given as bytes. */
export interface LayerEntry extends TarEntryInput {
  readonly content?: ContentSource | undefined;
  /** An archive has whole seconds, a directory the rest too. */
  readonly mtime?: Pick<Timespec, 'sec'> & Partial<Timespec>;
}

/**
 * Where the entries of a layer go: to a blob (`LayerWriter`) or a directory (`DirectoryWriter`). The same entries give the same layer.
 * Whiteouts are entries with `.wh.` names, and `''` is the root, of which a blob has nothing.
 */
export interface EntrySink<R> {
  /** Takes an entry and as much of its content as may be taken now. When false is returned, `rest()` must be awaited before the next. */
  add(entry: LayerEntry): boolean;
  /** Waits until the next entry may be added. */
  rest(): Promise<void>;
  /** All entries were added. */
  finish(): Promise<R>;
  /** Gives up; nothing is left behind. */
  abort(): void;
}

const ENTRIES_PER_TURN = 256;

/**
 * Gives entries to a sink, in their order. Callers sort by path bytes, so that parents come first. Whoever looks for entries while
 * they are written gives undefined now and then when none is found, so that others get their turn.
 * @param options.onRead told when all contents were read, while the last of them are still being written
 * @throws what the entries or the sink throw; the sink is aborted then
 */
export async function writeEntries<R>(
  entries: Iterable<LayerEntry | undefined>,
  sink: EntrySink<R>,
  options: { readonly signal?: AbortSignal; readonly onRead?: () => void },
): Promise<R> {
  try {
    let count = 0;
    for (const entry of entries) {
      if (entry && !sink.add(entry)) await sink.rest();
      if (entry && ++count % ENTRIES_PER_TURN > 0) continue;
      // Files are read synchronously: now and then others have their turn, such as whoever cancels.
      await new Promise((resolve) => setImmediate(resolve));
      options.signal?.throwIfAborted();
    }
  } catch (error) {
    sink.abort();
    throw error;
  }
  const finished = sink.finish();
  try {
    options.onRead?.();
  } finally {
    await finished;
  }
  return finished;
}
