import type { Digest } from '../util/index.ts';
import type { Descriptor } from './descriptor.ts';
import { parseDocument } from './manifest.ts';

/** An entry of the answer: a descriptor with what the manifest says of itself. */
export interface Referrer extends Descriptor {
  readonly artifactType?: string;
}

/**
 * The manifests that name a subject (distribution-spec, "Listing Referrers").
 * @param all manifests to look through: those that a repository has names for, the entries of a layout
 * @param read gives the bytes of one
 * @param artifactType only those of this type
 */
export function filterReferrers(
  all: readonly Descriptor[],
  read: (descriptor: Descriptor) => Uint8Array | undefined,
  subject: Digest,
  artifactType: string | undefined,
): { readonly manifests: readonly Referrer[]; readonly filtered: boolean } {
  const found = new Map<Digest, Referrer>();
  for (const descriptor of all) {
    const referrer = referrerOf(descriptor, read(descriptor), subject);
    if (referrer) found.set(descriptor.digest, referrer);
  }
  const manifests = [...found.values()];
  if (artifactType === undefined) return { manifests, filtered: false };
  return { manifests: manifests.filter((one) => one.artifactType === artifactType), filtered: true };
}

function referrerOf(
  { mediaType, digest, size }: Descriptor,
  bytes: Uint8Array | undefined,
  subject: Digest,
): Referrer | undefined {
  if (bytes === undefined) return undefined;
  try {
    const document = parseDocument(bytes, mediaType, `manifest ${digest}`);
    const parsed = document.kind === 'index' ? document.index : document.manifest;
    if (parsed.subject?.digest !== subject) return undefined;
    // Where a manifest names no type, its config's counts.
    const type = parsed.artifactType ?? (document.kind === 'manifest' ? document.manifest.config.mediaType : undefined);
    return {
      mediaType,
      digest,
      size,
      ...(type === undefined ? {} : { artifactType: type }),
      ...(parsed.annotations === undefined ? {} : { annotations: parsed.annotations }),
    };
  } catch {
    return undefined;
  }
}
