import { readContent, type TarEntry, type TarHandler, TarReader } from '../layer/index.ts';
import type { ByteString } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';
import { FileHasher, MAX_ZEROS } from './file-hasher.ts';

/** An entry of a layer with what its content is known by. */
export interface SeenEntry {
  readonly entry: TarEntry;
  /** Of a file's content with its holes (see `FileHasher`); undefined for all else. */
  readonly content?: Digest;
}

/** What a layer's tar holds. */
export interface LayerEntries {
  readonly diffId: Digest;
  /** By clean path, without slashes at the ends; the last entry of a path counts. In the order of the archive. */
  readonly entries: ReadonlyMap<ByteString, SeenEntry>;
}

/**
 * Reads a layer's blob to its end.
 * @param source a file's path or chunks
 * @throws TsbuildError `TSB_ARCHIVE`
 */
export async function readLayerEntries(
  source: string | AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<LayerEntries> {
  const entries = new Map<ByteString, SeenEntry>();
  const zeros = { left: MAX_ZEROS };
  let hasher: FileHasher | undefined;
  const handler: TarHandler = {
    entry(entry) {
      hasher = entry.type === 'file' ? new FileHasher(zeros) : undefined;
    },
    data: (chunk, offset) => hasher?.take(chunk, offset),
    end(entry) {
      const path = withoutDots(entry.path);
      // The last one of a name wins when it is unpacked.
      entries.delete(path);
      entries.set(path, { entry, ...(hasher === undefined ? {} : { content: hasher.end(entry.size) }) });
      hasher = undefined;
    },
  };
  const reader = new TarReader(handler);
  const { diffId } = await readContent({ source, signal }, (piece) => reader.push(piece));
  reader.finish();
  return { diffId, entries };
}

/** A path of an archive without what says the same in other words. */
export function withoutDots(path: ByteString): ByteString {
  return path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/');
}
