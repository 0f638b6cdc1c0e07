import type { ResolvedImage } from '../../src/source/index.ts';
import type { Store } from '../../src/store/index.ts';
import { type Descriptor, parseImageConfig, parseManifest } from '../../src/image/index.ts';
import type { Digest } from '../../src/util/index.ts';
import type { TestBlob, TestImage } from '../support/image.ts';

/** A resolved image whose layers come from memory. */
export interface FakeImage extends ResolvedImage {
  /** Digests of the layers that were fetched, in order. */
  readonly fetched: Digest[];
}

export interface FakeImageOptions {
  /** Replaces the bringing of a layer. */
  readonly fetchLayer?: (descriptor: Descriptor, blob: TestBlob) => Promise<void> | void;
}

/** What an image source gives for a test image. */
export function resolved(store: Store, image: TestImage, options: FakeImageOptions = {}): FakeImage {
  const { mediaType } = JSON.parse(image.manifest.bytes.toString()) as { mediaType: string };
  const manifest = parseManifest(image.manifest.bytes, mediaType, 'manifest');
  const config = parseImageConfig(image.config.bytes, 'config');
  const fetched: Digest[] = [];
  const { digest, size } = image.manifest;
  return {
    ref: 'docker.io/library/fake:latest',
    digest,
    descriptor: { mediaType, digest, size },
    manifestDigest: digest,
    manifest,
    config,
    configBytes: image.config.bytes,
    layers: manifest.layers.map((descriptor, index) => ({
      descriptor,
      diffId: config.rootfs.diff_ids[index] ?? descriptor.digest,
    })),
    repository: { host: 'registry.test', path: 'fake' },
    fetched,
    async fetchLayer(task, descriptor) {
      task.signal.throwIfAborted();
      const blob = image.layers.find((one) => one.digest === descriptor.digest);
      if (!blob) throw new Error(`The image has no layer ${descriptor.digest}`);
      fetched.push(descriptor.digest);
      if (options.fetchLayer) await options.fetchLayer(descriptor, blob);
      else store.blobs.put(blob.bytes);
    },
  };
}
