import { TsbuildError } from '../../util/index.ts';
import { isSignedBy, openEnvelope } from './envelope.ts';
import type { VerifyKey } from './keys.ts';

/**
 * Reads what an envelope holds, if somebody who is trusted has signed it.
 * @param keys see `Policy`
 * @param types what may be in it; a step's record when absent
 * @throws TsbuildError `TSB_IMAGE` when it is damaged, or of nobody who is trusted
 */
export function openTrusted(
  bytes: Uint8Array,
  what: string,
  keys: readonly VerifyKey[] | 'any',
  types?: readonly string[],
): Buffer {
  const envelope = openEnvelope(bytes, what, types);
  if (keys !== 'any' && !isSignedBy(envelope, keys))
    throw new TsbuildError('TSB_IMAGE', `Cannot use ${what}: ${whyUntrusted(envelope.signatures, keys.length)}`);
  return envelope.payload;
}

function whyUntrusted(signatures: readonly unknown[], keys: number): string {
  if (keys === 0) return 'the policy trusts nobody with its scope';
  if (signatures.length === 0) return 'it is not signed';
  return 'none of the trusted keys has signed it';
}
