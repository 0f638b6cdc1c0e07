/** Where bytes come from: images of registries, OCI layouts and the local image store. */
export { createImageSource, parseLayoutReference } from './image.ts';
export { availablePlatforms, platformVector, selectManifests } from './image-platform.ts';
export type {
  FactStore,
  ImageLayer,
  ImageSource,
  ImageSourceOptions,
  ResolvedImage,
  ResolveMode,
  ResolveOptions,
} from './image-types.ts';
export {
  checkLayoutVersion,
  chunksOf,
  findInLayout,
  IMAGE_NAME_ANNOTATION,
  type LayoutReader,
  openOciLayout,
  parseLayoutIndex,
  REF_NAME_ANNOTATION,
} from './oci-layout.ts';
