import type { ResolvedImage } from '../../source/index.ts';
import { redactUrls, sanitizeLine, TsbuildError } from '../../util/index.ts';

/** What the identifiers of images begin with. */
export const IMAGE_SCHEME = 'docker-image://';
const CHECKSUM = 'image.checksum';

/**
 * Holds an image against the attribute that says what its digest must be, that of the index if it has one.
 * @throws TsbuildError `TSB_DIGEST`, in BuildKit's words
 */
export function checkImageDigest(
  attrs: ReadonlyMap<string, string>,
  { digest, ref }: Pick<ResolvedImage, 'digest' | 'ref'>,
): void {
  const expected = attrs.get(CHECKSUM) ?? '';
  if (expected === '' || expected === digest) return;
  throw new TsbuildError(
    'TSB_DIGEST',
    `image digest ${digest} for ${redactUrls(ref)} does not match expected checksum ${sanitizeLine(expected, 100)}`,
  );
}
