import { type ContentProvider, isIndexType, isManifestType, refuseSize, type Repository } from '../image/index.ts';
import type { Task } from '../events/index.ts';
import { collect, isTsbuildError } from '../util/index.ts';
import type { Registry } from './types.ts';

/** The images of a repository on a registry, loaded on behalf of a task. */
export function registryContent(registry: Registry, task: Task, repository: Repository): ContentProvider {
  const { host, path } = repository;
  return {
    async read(descriptor) {
      const { mediaType, digest, size } = descriptor;
      try {
        if (!isIndexType(mediaType) && !isManifestType(mediaType))
          return await collect(registry.blob(task, repository, descriptor));
        const { bytes } = await registry.manifest(task, { host, path, digest });
        refuseSize(digest, size, bytes.length, `image of "${host}/${path}"`);
        return bytes;
      } catch (error) {
        if (isTsbuildError(error, 'TSB_NOT_FOUND')) return undefined;
        throw error;
      }
    },
    // Whoever stores a stream hashes it anyway.
    stream: (descriptor) => freed(registry.blob(task, repository, descriptor, { verify: false })),
  };
}

/**
 * Frees the memory of each piece when the next is asked for. Each read of a socket has memory of its own, which V8 collects so late that
 * all of a blob would be in memory at once. A piece that shares its memory, with a header or another piece, is left alone.
 */
async function* freed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    yield chunk;
    const { buffer, byteLength } = chunk;
    if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) buffer.transfer(0);
  }
}
