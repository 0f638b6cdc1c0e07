import type { AssembledImage, ImageFile } from '../exporter/index.ts';
import { type Digest, sha256 } from '../util/index.ts';

/** An image that a build wrote to a file or directory, or pushed: with its layers in the store, all that it takes to do that again. */
export interface WrittenImage {
  /** It was written before this event of the build was shown, by which its exporter says that it is done. */
  readonly before: number;
  readonly to: ImageFile | PushedTo;
  readonly image: AssembledImage;
}

/** Where an image was pushed. */
export interface PushedTo {
  readonly type: 'registry';
  /** Normalised. */
  readonly names: readonly string[];
  /** As `registry.insecure` of the output. */
  readonly insecure: boolean;
  /** What it is shown under. */
  readonly vertex: Digest;
}

/** Images as text with its digest: unlike all else that is remembered, this ends in what others are given. */
export interface SealedImages {
  readonly digest: Digest;
  readonly text: string;
}

/** Nothing is sealed of no images, so that builds without any need not hash. */
export function sealImages(images: readonly WrittenImage[]): SealedImages | undefined {
  if (images.length === 0) return undefined;
  const text = JSON.stringify(
    images.map(({ before, to, image }) => ({ before, to: placeOf(to), image: toJson(image) })),
  );
  return { digest: sha256(text), text };
}

/** The images of a seal. @throws Error when it is damaged */
export function openSeal(sealed: SealedImages | undefined): readonly WrittenImage[] {
  if (sealed === undefined) return [];
  if (sha256(sealed.text) !== sealed.digest) throw new Error('what is remembered of an image is damaged');
  return (JSON.parse(sealed.text) as (WrittenImage & { image: ImageJson })[]).map((written) => ({
    ...written,
    image: fromJson(written.image),
  }));
}

/** An output has more to say than where the image goes; that is in the image already. */
function placeOf(to: ImageFile | PushedTo): ImageFile | PushedTo {
  if (to.type === 'registry') return to;
  const { type, names, dest, tar } = to;
  return { type, names, dest, tar };
}

type ImageJson = Omit<AssembledImage, 'documents'> & {
  /** Bytes of documents as characters of the same number, which keeps JSON in ASCII as it is. */
  readonly documents: readonly { readonly descriptor: AssembledImage['root']; readonly bytes: string }[];
};

function toJson(image: AssembledImage): ImageJson {
  return {
    ...image,
    documents: image.documents.map(({ descriptor, bytes }) => ({
      descriptor,
      bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'),
    })),
  };
}

function fromJson(image: ImageJson): AssembledImage {
  return {
    ...image,
    documents: image.documents.map(({ descriptor, bytes }) => ({ descriptor, bytes: Buffer.from(bytes, 'latin1') })),
  };
}
