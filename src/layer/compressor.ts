import { versions } from 'node:process';
import { GZIP_LEVEL } from './gzip-encoder.ts';
import type { LayerCompression } from './sink.ts';
import { ZSTD_LEVEL } from './stream-encoder.ts';

/**
 * What makes the bytes of a compressed layer, by name and version: the same files give another blob, and the image another digest, when
 * one of these changes. For records of a build, not for the image, which would differ by it alone.
 */
export function compressorName({ kind, level }: LayerCompression): string {
  switch (kind) {
    case 'gzip':
      return `gzip level ${level ?? GZIP_LEVEL}, zlib ${versions.zlib}`;
    case 'zstd':
      return `zstd level ${level ?? ZSTD_LEVEL}, libzstd ${versions['zstd'] ?? 'unknown'}`;
    case 'none':
      return 'none';
  }
}
