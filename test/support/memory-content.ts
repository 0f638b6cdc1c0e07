import { refuseSize, type SyncContentProvider } from '../../src/image/index.ts';
import { type Digest, TsbuildError } from '../../src/util/index.ts';
import type { TestBlob } from './image.ts';

/** Content in memory, with a list of what was read. `add` may put other bytes under a digest, as a hostile place would. */
export interface MemoryContent extends SyncContentProvider {
  readonly reads: readonly Digest[];
  add(...blobs: readonly Pick<TestBlob, 'digest' | 'bytes'>[]): void;
}

export function memoryContent(...blobs: readonly TestBlob[]): MemoryContent {
  const all = new Map<Digest, Uint8Array>();
  const reads: Digest[] = [];
  const content: MemoryContent = {
    reads,
    add(...added) {
      for (const { digest, bytes } of added) all.set(digest, bytes);
    },
    read({ digest, size }) {
      reads.push(digest);
      const bytes = all.get(digest);
      if (bytes !== undefined) refuseSize(digest, size, bytes.length, 'memory');
      return bytes;
    },
    *stream({ digest }) {
      const bytes = all.get(digest);
      if (bytes === undefined) throw new TsbuildError('TSB_NOT_FOUND', `Cannot find ${digest}`);
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
    },
  };
  content.add(...blobs);
  return content;
}
