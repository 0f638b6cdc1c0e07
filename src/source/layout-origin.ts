import { openOciLayout } from '../image/index.ts';
import type { ImageOrigin } from './image-types.ts';

/** An OCI layout in a directory as origin. It is opened for each read, since a build may end without saying so. */
export function layoutOrigin(path: string): ImageOrigin {
  return () => ({
    read(descriptor) {
      using layout = openOciLayout(path);
      return layout.read(descriptor);
    },
    *stream(descriptor) {
      using layout = openOciLayout(path);
      yield* layout.stream(descriptor);
    },
  });
}
