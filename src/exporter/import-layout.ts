import { setImmediate } from 'node:timers/promises';
import {
  documentMediaType,
  isIndexType,
  isManifestType,
  MAX_CONFIG_BYTES,
  parseImageConfig,
  parseIndex,
  parseManifest,
  type Descriptor,
  mediaTypes,
} from '../image/index.ts';
import { MAX_MANIFEST_BYTES } from '../registry/index.ts';
import { IMAGE_NAME_ANNOTATION, type LayoutReader, REF_NAME_ANNOTATION } from '../source/index.ts';
import { type Digest, isTsbuildError, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { type ImportedImage, type ImportOptions, publish, validName } from './import-common.ts';

const MAX_DEPTH = 4;

/** Imports all images of a layout, each with everything that belongs to it. */
export async function importLayout(task: Task, layout: LayoutReader, options: ImportOptions): Promise<ImportedImage[]> {
  const found = new Map<Digest, { descriptor: Descriptor; names: Set<string> }>();
  for (const entry of layout.index.manifests) {
    if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) continue;
    const { mediaType, digest, size } = entry;
    const image = found.get(digest) ?? { descriptor: { mediaType, digest, size }, names: new Set() };
    found.set(digest, image);
    const name = nameOf(entry);
    if (name !== undefined) image.names.add(name);
  }
  if (found.size === 0) throw new TsbuildError('TSB_IMAGE', `Cannot import ${layout.what}: it has no images`);
  const importer = new LayoutImporter(task, layout, options);
  for (const { descriptor } of found.values()) await importer.copy(descriptor, 1, true);
  return publish(
    [...found.values()].map(({ descriptor, names }) => ({ descriptor, names: [...names] })),
    layout.what,
    options,
  );
}

/** The full name of an entry, if it has one. A bare tag names nothing by itself. */
function nameOf({ annotations = {} }: Descriptor): string | undefined {
  const name = annotations[IMAGE_NAME_ANNOTATION] ?? annotations[REF_NAME_ANNOTATION];
  return name !== undefined && /[:/]/.test(name) ? validName(name) : undefined;
}

class LayoutImporter {
  readonly #task: Task;
  readonly #layout: LayoutReader;
  readonly #options: ImportOptions;
  readonly #done = new Set<Digest>();

  constructor(task: Task, layout: LayoutReader, options: ImportOptions) {
    this.#task = task;
    this.#layout = layout;
    this.#options = options;
  }

  /**
   * Copies an image or index with everything that belongs to it, children first.
   * @returns false when it is not there and need not be: indexes may name images of other platforms that were left out
   */
  async copy(descriptor: Descriptor, depth: number, required: boolean): Promise<boolean> {
    if (this.#done.has(descriptor.digest)) return true;
    const { what } = this.#layout;
    if (depth > MAX_DEPTH) throw new TsbuildError('TSB_IMAGE', `Cannot import ${what}: indexes are nested too deeply`);
    const bytes = this.#document(descriptor, MAX_MANIFEST_BYTES, required);
    if (bytes === undefined) return false;
    const name = `${descriptor.digest} of ${what}`;
    if (isIndexType(documentMediaType(bytes, descriptor.mediaType, name))) {
      const { manifests } = parseIndex(bytes, descriptor.mediaType, `index ${name}`);
      let copied = 0;
      for (const child of manifests) if (await this.copy(child, depth + 1, false)) copied++;
      if (manifests.length > 0 && copied === 0) {
        throw new TsbuildError(
          'TSB_IMAGE',
          `Cannot import ${what}: none of the images of index ${descriptor.digest} is there`,
        );
      }
    } else await this.#image(bytes, descriptor, name);
    this.#options.store.blobs.put(bytes);
    this.#done.add(descriptor.digest);
    return true;
  }

  async #image(bytes: Uint8Array, descriptor: Descriptor, name: string): Promise<void> {
    const manifest = parseManifest(bytes, descriptor.mediaType, `manifest ${name}`);
    const configBytes = this.#document(manifest.config, MAX_CONFIG_BYTES, true);
    if (configBytes === undefined) return;
    const type = manifest.config.mediaType;
    if (type === mediaTypes.ociConfig || type === mediaTypes.dockerConfig) {
      const { length } = parseImageConfig(configBytes, `config of ${name}`).rootfs.diff_ids;
      if (length > 0 && length !== manifest.layers.length) {
        throw new TsbuildError(
          'TSB_IMAGE',
          `Cannot import ${name}: its config has ${length} diff ids for the ${manifest.layers.length} layers of its manifest`,
        );
      }
    }
    this.#options.store.blobs.put(configBytes);
    for (const layer of manifest.layers) await this.#layer(layer);
  }

  #document(descriptor: Descriptor, maxBytes: number, required: boolean): Buffer | undefined {
    const { digest, size } = descriptor;
    const { lease } = this.#options;
    lease.hold({ blobs: [digest] });
    let bytes: Buffer;
    try {
      bytes = this.#layout.read(digest, Math.min(size, maxBytes));
    } catch (error) {
      const absent = isTsbuildError(error, 'TSB_NOT_FOUND');
      if (!required && absent) return undefined;
      throw error;
    }
    if (bytes.length === size) return bytes;
    throw new TsbuildError(
      'TSB_DIGEST',
      `Cannot import ${this.#layout.what}: ${digest} has ${bytes.length} bytes, its descriptor says ${size}`,
    );
  }

  async #layer({ digest, size }: Descriptor): Promise<void> {
    const { store, lease } = this.#options;
    lease.hold({ blobs: [digest] });
    if (store.blobs.has(digest, size)) return;
    using writer = store.blobs.ingest();
    for (const chunk of this.#layout.stream(digest)) {
      if (writer.size + chunk.length > size) break;
      writer.write(chunk);
      await setImmediate();
      this.#task.signal.throwIfAborted();
    }
    writer.commit({ digest, size });
  }
}
