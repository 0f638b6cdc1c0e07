/** Where bytes come from: images of registries, OCI layouts and the local image store; web servers; git repositories. */
export { commitTimeOf } from './commit-time.ts';
export { bundledRef, GitSource } from './git.ts';
export type {
  GitAccess,
  GitBundle,
  GitCommit,
  GitLimits,
  GitObjects,
  GitRequest,
  GitSourceOptions,
  GitTree,
} from './git-types.ts';
export { parseGitUrl } from './git-url.ts';
export { HttpSource } from './http.ts';
export { downloadName, safeFileName } from './http-name.ts';
export { newestEntry } from './newest-entry.ts';
export type { HttpContent, HttpFile, HttpResource, HttpSourceOptions } from './http-types.ts';
export { BlobOrigins } from './blob-origins.ts';
export { createImageSource } from './image.ts';
export { BlobFetcher } from './image-fetch.ts';
export { layerIdsOf } from './layer-ids.ts';
export type {
  FactStore,
  ImageOrigin,
  ImageLayer,
  ImageSource,
  ImageSourceOptions,
  ResolvedImage,
  ResolveMode,
  ResolveOptions,
} from './image-types.ts';
export { layoutOrigin } from './layout-origin.ts';
export { parseLayoutReference } from './layout-reference.ts';
export { trackedModes } from './tracked-modes.ts';
export { worktreeStamp } from './worktree.ts';
