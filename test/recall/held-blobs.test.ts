import { closeSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { AssembledImage } from '../../src/exporter/index.ts';
import { HeldBlobs } from '../../src/recall/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';

function imageOf(...digests: Digest[]): AssembledImage {
  const descriptor = { mediaType: '', digest: sha256(''), size: 0 };
  const layers = digests.map((digest) => ({ ...descriptor, digest }));
  return {
    root: descriptor,
    documents: [],
    platforms: [
      {
        platform: { os: 'linux', architecture: 'amd64' },
        manifest: descriptor,
        config: descriptor,
        layers,
        diffIds: [],
      },
    ],
  };
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

describe('layers that are held open', () => {
  test('are read although they were removed meanwhile, and closed when nobody reads them', () => {
    using opened = openStore();
    const { blobs } = opened.store;
    const [first, second] = [blobs.put('first').digest, blobs.put('second').digest];
    const before = openFiles();
    {
      using held = new HeldBlobs(blobs, [imageOf(first, second, first), imageOf(first)]);
      blobs.remove(first);
      blobs.remove(second);
      // Once for each image.
      for (let round = 0; round < 2; round++) {
        const { fd, size } = held.openRead(first);
        expect(size).toBe(5);
        expect(readFileSync(fd, 'utf8')).toBe('first');
        closeSync(fd);
      }
      expect(() => held.openRead(first)).toThrow(/Cannot read blob/);
    }
    expect(openFiles()).toBe(before);
  });

  test('leave nothing open when one is not there', () => {
    using opened = openStore();
    const { blobs } = opened.store;
    const { digest } = blobs.put('first');
    const before = openFiles();
    expect(() => new HeldBlobs(blobs, [imageOf(digest, sha256('missing'))])).toThrow(/Cannot read blob/);
    expect(openFiles()).toBe(before);
  });
});
