/** The image model of the field: references, platforms, descriptors, and the documents of the OCI image format as they come from outside. */
export { CREATED_ANNOTATION, IMAGE_NAME_ANNOTATION, isAttestation, REF_NAME_ANNOTATION } from './annotations.ts';
export {
  type ContainerConfig,
  type HealthcheckConfig,
  type HistoryEntry,
  type ImageConfig,
  INLINE_CACHE_KEY,
  MAX_CONFIG_BYTES,
  parseImageConfig,
} from './config.ts';
export { type ContentProvider, readDocument, refuseSize, type SyncContentProvider, verifyDocument } from './content.ts';
export {
  type Compression,
  compressionOf,
  dockerLayerTypes,
  type Descriptor,
  isIndexType,
  isManifestType,
  isNonDistributable,
  type LayerCompression,
  mediaTypes,
  ociLayerTypes,
} from './descriptor.ts';
export { type Guard, type Json, guardFor } from './guards.ts';
export { checkLayoutVersion, findInLayout, type LayoutReader, parseLayoutIndex } from './layout.ts';
export { openOciLayout } from './layout-directory.ts';
export {
  documentMediaType,
  type ImageIndex,
  type Manifest,
  MAX_MANIFEST_BYTES,
  parseDocument,
  parseIndex,
  parseManifest,
} from './manifest.ts';
export {
  type Platform,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  toOciPlatform,
} from './platform.ts';
export { availablePlatforms, platformVector, runsOn } from './platform-match.ts';
export {
  type Reference,
  type Repository,
  familiarReference,
  formatReference,
  isHost,
  normalizeReference,
  parseReference,
  withDefaultTag,
} from './reference.ts';
export { filterReferrers } from './referrers.ts';
export { verifiedStream } from './verified-stream.ts';
export { faultError, type ImageManifestNode, type ImageNode, walk, walkSync } from './walk.ts';
