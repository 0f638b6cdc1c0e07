import { gzipSync } from 'node:zlib';
import { mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { baseImageTar } from '../support/base-image.ts';
import type { Bench } from '../support/bench.ts';
import { blobOf, type TestBlob } from '../support/image.ts';

/**
 * Writes an OCI layout with the base image under several tags, each with a config of its own, below the directory of a bench.
 * @returns for each tag the option that makes it a name for FROM
 */
export function writeImages(bench: Bench, configs: Readonly<Record<string, object>>): Readonly<Record<string, string>> {
  const layer = blobOf(gzipSync(baseImageTar(), { level: 1 }));
  const blobs: TestBlob[] = [layer];
  const reference = (mediaType: string, { digest, size }: TestBlob) => ({ mediaType, digest, size });
  const manifests = Object.entries(configs).map(([tag, config]) => {
    const image = blobOf({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: { Env: ['PATH=/bin'], ...config },
      rootfs: { type: 'layers', diff_ids: [sha256(baseImageTar())] },
      history: [{ created_by: tag }],
    });
    const manifest = blobOf({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: reference(mediaTypes.ociConfig, image),
      layers: [reference(mediaTypes.ociLayerGzip, layer)],
    });
    blobs.push(image, manifest);
    return {
      ...reference(mediaTypes.ociManifest, manifest),
      annotations: { 'org.opencontainers.image.ref.name': tag },
    };
  });
  const dir = bench.write('images', {
    'oci-layout': JSON.stringify({ imageLayoutVersion: '1.0.0' }),
    'index.json': JSON.stringify({ schemaVersion: 2, manifests }),
    ...Object.fromEntries(blobs.map(({ digest, bytes }) => [`blobs/${digest.replace(':', '/')}`, bytes])),
  });
  return Object.fromEntries(
    Object.keys(configs).map((tag) => [tag, `--build-context=${tag}=oci-layout://${dir}:${tag}`]),
  );
}
