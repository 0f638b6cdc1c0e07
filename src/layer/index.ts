/**
 * Layers: tar in and out, compression, layer blob -> overlay upper directory (`LayerTarget`) and back (`diffLayer`), and
 * streams of entries into either (`writeEntries`). Needs src/sys for everything that touches trees;
 * the archive parts do not.
 */
export { compressorName } from './compressor.ts';
export { decompress, type DecompressLimits, DEFAULT_LIMITS, readChunks } from './decompress.ts';
export { DirectoryWriter, type DirectoryWriterOptions } from './directory-writer.ts';
export { diffLayer, type DiffOptions } from './diff.ts';
export { listChanges, type TreeChange } from './list-changes.ts';
export { Stubs } from './stubs.ts';
export type { EntryType, SparseRegion, TarEntry } from './entry.ts';
export { extractArchive, type ExtractArchiveOptions } from './extract-archive.ts';
export { Extractor } from './extractor.ts';
export { LayerTarget } from './layer-target.ts';
export { type EncodedLayer, LayerEncoder } from './layer-encoder.ts';
export { type ArchiveSource, readContent } from './read-content.ts';
export { type ContentSource, type EntrySink, type LayerEntry, writeEntries } from './layer-entry.ts';
export { recompressLayer, type RecompressOptions } from './recompress.ts';
export type { CommittedBlob, LayerCompression, LayerSink } from './sink.ts';
export { emptyDir } from './remove-tree.ts';
export { type TarHandler, TarReader } from './tar-reader.ts';
export { type TarEntryInput, type TarTarget, TarWriter } from './tar-writer.ts';
export { writeLayerFromEntries, type WriteLayerOptions } from './write-layer.ts';
export { type LayerToSummarize, summarizeLayer } from './summarize-layer.ts';
export { verifyContent } from './verify-content.ts';
export { type ComparedTrees, treeDifference } from './tree-difference.ts';
export { writeWhiteoutMask } from './whiteout-mask.ts';
