import {
  type ContentProvider,
  type Descriptor,
  faultError,
  isNonDistributable,
  type Repository,
  walk,
} from '../../image/index.ts';
import { type Digest, formatBytes, isTsbuildError } from '../../util/index.ts';
import { type Task, together } from '../../events/index.ts';
import type { BlobOutcome, RepositoryWriter } from './repository-writer.ts';
import type { PushBlob } from '../types.ts';

/** What is sent. */
export interface ImageToSend {
  /** Where its documents and blobs are. */
  readonly content: ContentProvider;
  /** Of its manifest or index. */
  readonly root: Descriptor;
  /** Tags that it gets; without any it is found by its digest. */
  readonly tags: readonly string[];
  /** How messages name it, e.g. `image "app:1"`. */
  readonly what: string;
  /** Repositories that may have a blob, so that the registry can take it from there. */
  readonly mountFrom?: (blob: Descriptor) => readonly Repository[];
  /** Told what became of each blob, and of each document that was written. */
  readonly onBlob?: (blob: Descriptor, outcome: BlobOutcome) => void;
  readonly onManifest?: (manifest: Descriptor, tag: string | undefined) => void;
}

/** Blobs by what became of them. */
export type SentImage = Readonly<Record<BlobOutcome, readonly Descriptor[]>>;

/**
 * Sends an image, whatever it is made of, to a repository: all blobs first, then the manifests, then the index over them, and tags last, so
 * that nothing that can be found there is ever incomplete. What is there already is not sent; sending again after a failure sends what is
 * missing. An image that lacks a part is refused before anything is sent.
 *
 * A registry that has the root has, or had, all of the image: then the documents alone are put again, and whether it still has their blobs is
 * for the registry to say, which knows without being asked for each. Where it refuses them, each is asked for.
 * @throws TsbuildError as `Registry.pushBlob` and `pushManifest`; `TSB_NOT_FOUND`, `TSB_IMAGE`, `TSB_DIGEST` of the content
 */
export async function sendImage(task: Task, writer: RepositoryWriter, image: ImageToSend): Promise<SentImage> {
  const { content, root, tags, what, mountFrom, onBlob, onManifest } = image;
  const blobs = new Map<Digest, Descriptor>();
  const documents: { readonly descriptor: Descriptor; readonly bytes: Uint8Array }[] = [];
  for await (const node of walk(content, root, { what })) {
    switch (node.kind) {
      case 'image':
      case 'artifact':
        for (const blob of [...node.manifest.layers, node.manifest.config])
          if (!isNonDistributable(blob)) blobs.set(blob.digest, blob);
        documents.push(node);
        break;
      case 'index':
        documents.push(node);
        break;
      case 'absent':
      case 'malformed':
        throw faultError(node, what);
      case 'foreign':
        // The image-spec has readers pass over what they do not know; it is content like any other.
        blobs.set(node.descriptor.digest, node.descriptor);
        break;
      default:
        node satisfies never;
    }
  }
  const sendDocuments = async (isWhole: boolean): Promise<void> => {
    for (const { descriptor, bytes } of documents) {
      const isRoot = descriptor.digest === root.digest;
      await writer.manifest(task, descriptor, bytes, isRoot ? tags : [], { isWhole });
      for (const tag of isRoot && tags.length > 0 ? tags : [undefined]) onManifest?.(descriptor, tag);
    }
  };
  if ((await writer.hasAtFirst(task, root)) && (await isTaken(() => sendDocuments(false)))) {
    for (const blob of blobs.values()) onBlob?.(blob, 'there');
    return { there: [...blobs.values()], mounted: [], sent: [] };
  }
  const sent = await sendBlobs(task, writer, [...blobs.values()], { content, mountFrom, onBlob });
  await sendDocuments(true);
  return sent;
}

/** Whether a registry takes documents without their blobs. Why it refuses is told when it has all of them and still does. */
async function isTaken(sendDocuments: () => Promise<void>): Promise<boolean> {
  try {
    await sendDocuments();
    return true;
  } catch (error) {
    if (isTsbuildError(error, 'TSB_REGISTRY') || isTsbuildError(error, 'TSB_NOT_FOUND')) return false;
    throw error;
  }
}

async function sendBlobs(
  task: Task,
  writer: RepositoryWriter,
  blobs: readonly Descriptor[],
  {
    content,
    mountFrom,
    onBlob,
  }: {
    readonly content: ContentProvider;
    readonly mountFrom: ImageToSend['mountFrom'];
    readonly onBlob: ImageToSend['onBlob'];
  },
): Promise<SentImage> {
  const sent: Record<BlobOutcome, Descriptor[]> = { there: [], mounted: [], sent: [] };
  // What is still to be sent when one has failed is not sent any more.
  await together(task, blobs, async (own, blob) => {
    const outcome = await writer.blob(own, blobOf(content, blob), mountFrom && (() => mountFrom(blob)));
    sent[outcome].push(blob);
    onBlob?.(blob, outcome);
  });
  return sent;
}

/** A blob of an image as something to push. */
function blobOf(content: ContentProvider, descriptor: Descriptor): PushBlob {
  const { digest, size } = descriptor;
  return { digest, size, open: (start) => from(content.stream(descriptor), start) };
}

/** Copies of chunks that a socket may still hold while later ones are made. */
const COPIES = 8;

/** The chunks from a byte on, each valid until some later ones were read: those of content are only until the next one. */
async function* from(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  start: number,
): AsyncGenerator<Uint8Array> {
  const copies: Buffer[] = [];
  let skip = start;
  let turn = 0;
  for await (const chunk of chunks) {
    const dropped = Math.min(skip, chunk.length);
    skip -= dropped;
    const length = chunk.length - dropped;
    if (length === 0) continue;
    const at = turn++ % COPIES;
    let copy = copies[at];
    if (copy === undefined || copy.length < length) copies[at] = copy = Buffer.allocUnsafeSlow(length);
    copy.set(chunk.subarray(dropped));
    yield copy.subarray(0, length);
  }
}

/**
 * What became of the blobs of a push, for the screen: `5 blobs were there, 2 mounted, 1 sent (1.2MB)`.
 * @param verb for those whose bytes were moved
 */
export function describeSent(sent: SentImage, verb = 'sent'): string {
  const bytes = sent.sent.reduce((sum, { size }) => sum + size, 0);
  const counts: readonly (readonly [number, string])[] = [
    [sent.there.length, 'there'],
    [sent.mounted.length, 'mounted from another repository'],
    [sent.sent.length, `${verb} (${formatBytes(bytes)})`],
  ];
  const parts = counts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
  return `blobs: ${parts.length === 0 ? 'none' : parts.join(', ')}`;
}
