/**
 * Results to images and files: assembles config, manifest and index in BuildKit's form, writes archives, layouts,
 * directories and the local image store, imports images and root file systems, and saves, lists and removes images.
 */
export type { BlobSource, Progress } from './archive.ts';
export { ArchiveFile, type ArchiveSource } from './archive-file.ts';
export { ArchiveWriter } from './archive-writer.ts';
export { assembleImage } from './assemble.ts';
export { csvField, parseCsvLine } from './csv.ts';
export { checkOutput } from './check-output.ts';
export { chooseOutputs } from './choose-outputs.ts';
export {
  type ExportContext,
  type Exported,
  exportResult,
  storeImage,
  type ExportResult,
  platformDirectory,
  type TreeRequest,
} from './export.ts';
export { idDigits, namesOfId, storedName, unnamedImage } from './image-id.ts';
export { type ImageListEntry, listImages } from './image-list.ts';
export { importArchive, importDirectory, layoutOf } from './import.ts';
export { importFromDocker } from './import-docker.ts';
export type { ImportedImage, ImportOptions } from './import-common.ts';
export { parseNames } from './names.ts';
export {
  Attributes,
  type Destination,
  type Fail,
  type OutputCompression,
  parseAttributes,
  STDOUT,
} from './attributes.ts';
export {
  type ImageFile,
  type ImageOutput,
  insecureHosts,
  type OutputSpec,
  parseOutput,
  type ParseOutputOptions,
  type PushTarget,
} from './output.ts';
export { LayoutDirectory, writeLayout } from './layout-directory.ts';
export { blobPath, dockerArchiveManifest, type LayoutFile, layoutIndex, OCI_LAYOUT_FILE } from './layout.ts';
export { type RemovedImages, removeImages } from './remove-images.ts';
export { saveImages, type SaveOptions } from './save.ts';
export { openSink, type StdoutStream } from './sink.ts';
export { type KnownRepositories, type PushContext, pushImage, pushing } from './push-image.ts';
export { streamBlob } from './stream-blob.ts';
export { replaceLayers } from './replace-layers.ts';
export { readStoredImage, selectPlatform, type StoredImageContent, type StoredPlatform } from './stored-image.ts';
export type {
  Annotations,
  AssembledImage,
  AssembledPlatform,
  AssembleOptions,
  ExportLayer,
  ImageAnnotations,
  ImageDocument,
  PlatformImage,
} from './types.ts';
export { tagImage, untagImage } from './tag-images.ts';
export { writeImage } from './write-image.ts';
