import { gzipSync } from 'node:zlib';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { mediaTypes } from '../../src/image/index.ts';

/** One member of a tar file made by `tar`. Names up to 100 bytes, content in memory. */
export interface TarMember {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** `0` file, `1` hard link, `2` symlink, `5` directory, `L` the name of the next member. Default: file. */
  readonly type?: '0' | '1' | '2' | '5' | '6' | 'L';
  readonly link?: string;
  readonly mode?: number;
  /** Owner and group. Default: 0. */
  readonly uid?: number;
  readonly gid?: number;
}

/** A ustar file with GNU's long names, written independently of src/layer so that its reader is tested against something else. */
export function tar(members: readonly TarMember[]): Buffer {
  const blocks: Buffer[] = [];
  const octal = (number: number): string => `${number.toString(8).padStart(7, '0')}\0`;
  const withLongNames = members.flatMap((member): readonly TarMember[] =>
    Buffer.byteLength(member.name) <= 100
      ? [member]
      : [{ name: '././@LongLink', type: 'L', content: `${member.name}\0` }, member],
  );
  for (const member of withLongNames) {
    const { name, content = '', type = '0', link = '', mode = type === '5' ? 0o755 : 0o644, uid = 0, gid = 0 } = member;
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(name, 0, 100, 'latin1');
    header.write(octal(mode), 100);
    header.write(octal(uid), 108);
    header.write(octal(gid), 116);
    header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write(type, 156);
    header.write(link, 157, 100, 'latin1');
    header.write('ustar\x0000', 257, 'latin1');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, body, Buffer.alloc((512 - (body.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export interface TestBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly bytes: Buffer;
}

export function blobOf(content: string | Uint8Array | object): TestBlob {
  const bytes = Buffer.from(
    typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
  );
  return { digest: sha256(bytes), size: bytes.length, bytes };
}

/** A small valid image in memory. */
export interface TestImage {
  readonly manifest: TestBlob;
  readonly config: TestBlob;
  readonly layers: readonly TestBlob[];
  readonly blobs: readonly TestBlob[];
}

export interface TestImageOptions {
  readonly architecture?: string;
  readonly variant?: string;
  /** Files of each layer. */
  readonly layers?: readonly (readonly TarMember[])[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly docker?: boolean;
}

export function testImage(options: TestImageOptions = {}): TestImage {
  const tars = (options.layers ?? [[{ name: 'hello', content: 'hello\n' }]]).map(tar);
  const layers = tars.map((bytes) => blobOf(gzipSync(bytes)));
  const config = blobOf({
    architecture: options.architecture ?? 'amd64',
    os: 'linux',
    ...(options.variant === undefined ? {} : { variant: options.variant }),
    config: { Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: tars.map((bytes) => sha256(bytes)) },
    history: tars.map((_, index) => ({ created: '2024-01-01T00:00:00Z', created_by: `layer ${index}` })),
    ...options.config,
  });
  const docker = options.docker === true;
  const manifest = blobOf({
    schemaVersion: 2,
    mediaType: docker ? mediaTypes.dockerManifest : mediaTypes.ociManifest,
    config: {
      mediaType: docker ? mediaTypes.dockerConfig : mediaTypes.ociConfig,
      digest: config.digest,
      size: config.size,
    },
    layers: layers.map(({ digest, size }) => ({
      mediaType: docker ? mediaTypes.dockerLayerGzip : mediaTypes.ociLayerGzip,
      digest,
      size,
    })),
  });
  return { manifest, config, layers, blobs: [...layers, config, manifest] };
}

/** An OCI archive of one image. @param layers the files of each, bottom first */
export function imageArchive(layers: readonly (readonly TarMember[])[], name: string): Buffer {
  const { manifest, blobs } = testImage({ layers });
  const index = blobOf({
    schemaVersion: 2,
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: manifest.digest,
        size: manifest.size,
        annotations: { 'org.opencontainers.image.ref.name': name },
      },
    ],
  });
  return tar([
    { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', content: index.bytes },
    ...blobs.map(({ digest, bytes }): TarMember => ({ name: `blobs/${digest.replace(':', '/')}`, content: bytes })),
  ]);
}
