import { setImmediate } from 'node:timers/promises';
import {
  type Descriptor,
  faultError,
  IMAGE_NAME_ANNOTATION,
  isIndexType,
  isManifestType,
  type LayoutReader,
  REF_NAME_ANNOTATION,
  walkSync,
} from '../image/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { type ImportedImage, type ImportOptions, publish, validName } from './import-common.ts';

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
  for (const { descriptor } of found.values()) await copyImage(task, layout, descriptor, options);
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

/** Copies an image or index with everything that belongs to it, children first. */
async function copyImage(task: Task, layout: LayoutReader, root: Descriptor, options: ImportOptions): Promise<void> {
  const { what } = layout;
  const { store, lease } = options;
  const put = (digest: Digest, bytes: Uint8Array): void => {
    lease.hold({ blobs: [digest] });
    store.blobs.put(bytes);
  };
  for (const node of walkSync(layout, root, { what })) {
    switch (node.kind) {
      case 'image':
        put(node.manifest.config.digest, node.configBytes);
        for (const layer of node.manifest.layers) await copyBlob(task, layout, layer, options);
        put(node.descriptor.digest, node.bytes);
        break;
      case 'artifact':
        for (const part of [node.manifest.config, ...node.manifest.layers]) await copyBlob(task, layout, part, options);
        put(node.descriptor.digest, node.bytes);
        break;
      case 'index':
        if (node.index.manifests.length > 0 && node.present === 0) {
          throw new TsbuildError(
            'TSB_IMAGE',
            `Cannot import ${what}: none of the images of index ${node.descriptor.digest} is there`,
          );
        }
        put(node.descriptor.digest, node.bytes);
        break;
      case 'foreign':
        if (layout.size(node.descriptor.digest) !== undefined) await copyBlob(task, layout, node.descriptor, options);
        break;
      case 'absent':
        // Indexes may name images of other platforms that were left out.
        if (node.parent === undefined || node.manifest !== undefined) throw faultError(node, what);
        break;
      case 'malformed':
        throw node.error;
      default:
        node satisfies never;
    }
  }
}

async function copyBlob(
  task: Task,
  layout: LayoutReader,
  descriptor: Descriptor,
  { store, lease }: ImportOptions,
): Promise<void> {
  const { digest, size } = descriptor;
  lease.hold({ blobs: [digest] });
  if (store.blobs.has(digest, size)) return;
  using writer = store.blobs.ingest();
  for (const chunk of layout.stream(descriptor)) {
    if (writer.size + chunk.length > size) break;
    writer.write(chunk);
    await setImmediate();
    task.signal.throwIfAborted();
  }
  writer.commit({ digest, size });
}
