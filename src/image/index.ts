/** The image model of the field: references, platforms, descriptors, and the documents of the OCI image format as they come from outside. */
export { type Guard, type Json, guardFor } from './guards.ts';
export { MAX_CONFIG_BYTES, parseImageConfig } from './image-config.ts';
export { documentMediaType, isIndexType, isManifestType, parseIndex, parseManifest } from './manifest.ts';
export {
  type Compression,
  type ContainerConfig,
  type Descriptor,
  type HealthcheckConfig,
  type HistoryEntry,
  type ImageConfig,
  type ImageIndex,
  type Manifest,
  compressionOf,
  mediaTypes,
  toOciPlatform,
} from './oci.ts';
export { type Platform, formatPlatform, hostPlatform, normalizePlatform, parsePlatform } from './platform.ts';
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
