import type { Task } from '../events/index.ts';
import { type BlobSource, type Progress, writeArchive } from './archive.ts';
import { onlyPlatform } from './layout.ts';
import type { ImageFile } from './output.ts';
import { openSink, type StdoutStream } from './sink.ts';
import type { AssembledImage } from './types.ts';

/**
 * Writes an image to an archive or into a layout. A file that exists is kept when anything fails.
 * @throws TsbuildError `TSB_EXPORT`, `TSB_USAGE`, `TSB_DIGEST`, `TSB_NO_SPACE`, `TSB_PERMISSION`
 */
export async function writeImage(
  task: Task,
  file: ImageFile,
  image: AssembledImage,
  context: { readonly blobs: BlobSource; readonly stdout: StdoutStream; readonly onProgress?: Progress },
): Promise<void> {
  const { blobs, stdout, onProgress } = context;
  const docker = file.type === 'docker';
  if (docker) onlyPlatform(image);
  const images = [{ image, names: file.names }];
  if (!file.tar) {
    const { writeLayoutDirectory } = await import('./layout-directory.ts');
    return writeLayoutDirectory(task, blobs, images, file.dest);
  }
  await using sink = openSink(file.dest, stdout, file.type);
  await writeArchive(task, blobs, images, { docker, ...(onProgress === undefined ? {} : { onProgress }) }, sink);
  await sink.commit();
}
