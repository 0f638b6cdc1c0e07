import {
  type Descriptor,
  type ImageConfig,
  type Manifest,
  MAX_MANIFEST_BYTES,
  parseDocument,
  parseImageConfig,
  walkSync,
} from '../image/index.ts';
import type { Digest } from '../util/index.ts';
import type { BlobDir } from './blob-dir.ts';

/** An image manifest in the store with its config, when that is there too. */
export interface FoundManifest {
  readonly descriptor: Pick<Descriptor, 'digest' | 'size'>;
  readonly manifest: Manifest;
  readonly config: ImageConfig | undefined;
}

/** What an image consists of. */
export interface ImageBlobs {
  /** Every blob that is reachable, whether it is there or not, with its size in bytes. */
  readonly blobs: ReadonlyMap<Digest, number>;
  /** Blobs without which the image is of no use. Manifests of other platforms may be missing from an index. */
  readonly missing: readonly Digest[];
  /** An index or manifest cannot be parsed. */
  readonly malformed: readonly Digest[];
}

/** Takes stock of an image: everything that its index or manifest leads to. */
export function imageBlobs(store: BlobDir, root: Descriptor): ImageBlobs {
  const blobs = new Map<Digest, number>();
  const missing: Digest[] = [];
  const malformed: Digest[] = [];
  /** By the index that names them: a pulled index keeps only the platforms that somebody asked for. */
  const absent = new Map<Digest, Digest[]>();
  const add = ({ digest, size }: Descriptor): void => void blobs.set(digest, size);
  const need = (parts: readonly Descriptor[]): void => {
    for (const part of parts) {
      add(part);
      if (!store.has(part.digest, part.size)) missing.push(part.digest);
    }
  };
  const provider = { read: ({ digest, size }: Descriptor) => store.peek(digest, size) };
  for (const node of walkSync(provider, root, { what: `image ${root.digest}` })) {
    const { digest } = node.descriptor;
    add(node.descriptor);
    switch (node.kind) {
      case 'image':
      case 'artifact':
        need([node.manifest.config, ...node.manifest.layers]);
        break;
      case 'index':
        if (node.present === 0) for (const one of absent.get(digest) ?? []) missing.push(one);
        break;
      case 'absent':
      case 'malformed': {
        const { manifest, parent } = node;
        if (manifest !== undefined) {
          // What a config says is of no concern to one who keeps it.
          if (parent !== undefined) add(parent);
          need([manifest.config, ...manifest.layers]);
        } else if (node.kind === 'malformed' || store.has(digest)) {
          // A blob with other bytes than its name promises is read as if it were absent.
          malformed.push(digest);
        } else if (parent === undefined) missing.push(digest);
        else absent.set(parent.digest, [...(absent.get(parent.digest) ?? []), digest]);
        break;
      }
      case 'foreign':
        break;
      default:
        node satisfies never;
    }
  }
  return { blobs, missing, malformed };
}

/** Every image manifest among the blobs, by looking at those that are small enough and begin like JSON. */
export function* findManifests(store: BlobDir): Generator<FoundManifest> {
  for (const { digest, size } of store.list()) {
    if (size > MAX_MANIFEST_BYTES || size < 2) continue;
    const manifest = readManifest(store, digest);
    if (manifest !== undefined) yield { descriptor: { digest, size }, manifest, config: readConfig(store, manifest) };
  }
}

function readManifest(store: BlobDir, digest: Digest): Manifest | undefined {
  const bytes = store.peek(digest, MAX_MANIFEST_BYTES);
  if (bytes?.[0] !== 0x7b) return undefined;
  try {
    const document = parseDocument(bytes, 'application/json', digest);
    return document.kind === 'manifest' ? document.manifest : undefined;
  } catch {
    return undefined;
  }
}

/** The config, when it is one of an image that has a diff id for each layer. */
function readConfig(store: BlobDir, { config, layers }: Manifest): ImageConfig | undefined {
  const bytes = store.peek(config.digest, config.size);
  if (bytes === undefined) return undefined;
  try {
    const parsed = parseImageConfig(bytes, config.digest);
    return parsed.rootfs.diff_ids.length === layers.length ? parsed : undefined;
  } catch {
    return undefined;
  }
}
