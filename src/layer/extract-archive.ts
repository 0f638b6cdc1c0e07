import type { ByteString } from '../tree/index.ts';
import type { ArchiveCompression } from '../util/index.ts';
import type { DecompressLimits } from './decompress.ts';
import { Extractor } from './extractor.ts';
import { DEFAULT_ID_COUNT } from './layer-target.ts';
import { type ArchiveSource, readContent } from './read-content.ts';
import { TarReader } from './tar-reader.ts';

/** Where an archive goes and what of it. */
export interface ExtractArchiveOptions {
  readonly source: ArchiveSource;
  /** Found out from the first bytes when absent. */
  readonly compression?: ArchiveCompression;
  /** An open directory of a mounted tree; the archive's root. */
  readonly rootFd: number;
  readonly idShift: number;
  readonly idCount?: number;
  /** Replaces the owners that the archive states. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** See `ExtractorOptions`. */
  readonly keepKinds?: boolean;
  readonly limits?: DecompressLimits;
  readonly signal?: AbortSignal;
}

/**
 * Extracts an archive (plain or compressed tar) into a mounted tree, as `ADD` does: existing directories stay, files are
 * replaced, symlinks are resolved within the root, `.wh.` names mean nothing.
 * @throws TsbuildError `TSB_ARCHIVE` naming the entry
 */
export async function extractArchive(
  options: ExtractArchiveOptions,
): Promise<{ readonly bytes: number; readonly inodes: number; readonly skipped: readonly ByteString[] }> {
  const { rootFd, idShift, idCount = DEFAULT_ID_COUNT, owner } = options;
  const extractor = new Extractor({
    rootFd,
    layer: false,
    idShift,
    idCount,
    ...(owner === undefined ? {} : { owner }),
    ...(options.keepKinds ? { keepKinds: true } : {}),
  });
  try {
    const reader = new TarReader(extractor);
    await readContent(options, (piece) => reader.push(piece));
    reader.finish();
    extractor.finish();
    return { bytes: extractor.bytes, inodes: extractor.inodes, skipped: extractor.skipped };
  } finally {
    extractor.dispose();
  }
}
