import type { Descriptor } from './descriptor.ts';

/** Name of an image within a layout, as containerd and BuildKit write it (full reference). */
export const IMAGE_NAME_ANNOTATION = 'io.containerd.image.name';
/** Name of an image within a layout by the image-spec (usually a tag). */
export const REF_NAME_ANNOTATION = 'org.opencontainers.image.ref.name';
/** When an image was made (image-spec annotations.md). */
export const CREATED_ANNOTATION = 'org.opencontainers.image.created';
/** With this BuildKit marks the manifests of attestations within an index. */
const REFERENCE_TYPE_ANNOTATION = 'vnd.docker.reference.type';

/**
 * Whether an entry of an index is about an image and none itself: an attestation, or whatever else BuildKit puts beside its
 * images. It says so by an annotation, and for readers that do not know that by a platform that no machine has.
 */
export function isAttestation({ annotations, platform }: Descriptor): boolean {
  if (annotations !== undefined && Object.hasOwn(annotations, REFERENCE_TYPE_ANNOTATION)) return true;
  return platform !== undefined && (platform.os === 'unknown' || platform.architecture === 'unknown');
}
