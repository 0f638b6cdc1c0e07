import { setImmediate } from 'node:timers/promises';
import {
  ArchiveWriter,
  blobPath,
  dockerArchiveManifest,
  layoutIndex,
  OCI_LAYOUT_FILE,
  openSink,
  type StdoutStream,
} from '../exporter/index.ts';
import { type Descriptor, parseManifest } from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';
import { blobsOf, bytesOf, type Copy, entriesOf, Outcomes, type Write } from './target.ts';

/** An archive to write. */
export interface ArchiveTarget {
  readonly path: string;
  /** With `docker` there is also what `docker load` reads: the manifest of Docker's archives, over the same blobs. */
  readonly form: 'oci' | 'docker';
  /** Tags or references. */
  readonly names: readonly string[];
  readonly stdout: StdoutStream;
}

/** Copies to an archive: a tar of an OCI layout. It is written beside its place, and takes it when it is whole. */
export function toArchive({ path, form, names, stdout }: ArchiveTarget): Write {
  return async (task, copy) => {
    const texts: readonly (readonly [string, string])[] = [
      ['index.json', layoutIndex(entriesOf(copy, names))],
      ...(form === 'docker' ? [['manifest.json', dockerManifestOf(copy, names)] as const] : []),
      ['oci-layout', OCI_LAYOUT_FILE],
    ];
    await using sink = openSink(path, stdout, form);
    const outcomes = new Outcomes();
    {
      await using archive = new ArchiveWriter(sink);
      await archive.directory('blobs');
      await archive.directory('blobs/sha256');
      for (const blob of filesOf(copy)) {
        const { descriptor } = blob;
        await archive.file(blobPath(descriptor.digest), descriptor.size, async (write) => {
          if ('bytes' in blob) return write(blob.bytes);
          for await (const chunk of bytesOf(blob, copy, task)) await write(chunk);
          await setImmediate();
          return outcomes.add(descriptor, 'sent');
        });
      }
      for (const [name, text] of texts) {
        const bytes = Buffer.from(text);
        await archive.file(name, bytes.length, (write) => write(bytes));
      }
      await archive.end();
    }
    await sink.commit();
    return outcomes.sent;
  };
}

/** Blobs and documents in byte order of their names, so that the same image gives the same archive. */
function filesOf(
  copy: Copy,
): readonly (ReturnType<typeof blobsOf>[number] | { readonly descriptor: Descriptor; readonly bytes: Uint8Array })[] {
  const documents = [...copy.referrers, copy.image].flatMap((plan) => plan.documents);
  const all = new Map([...blobsOf(copy), ...documents].map((file) => [file.descriptor.digest, file]));
  return [...all.values()].toSorted((a, b) => (a.descriptor.digest < b.descriptor.digest ? -1 : 1));
}

/** @throws TsbuildError `TSB_USAGE` for an index */
function dockerManifestOf({ image, what }: Copy, names: readonly string[]): string {
  const [document] = image.documents;
  if (document === undefined || image.documents.length > 1 || document.descriptor.digest !== image.root.digest)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot write ${what} to a docker archive: it holds one platform, and no index`,
      {
        hint: 'name one with --platform OS/ARCH, or use oci-archive:FILE',
      },
    );
  const { config, layers } = parseManifest(document.bytes, document.descriptor.mediaType, what);
  return dockerArchiveManifest([{ config, layers, names }]);
}
