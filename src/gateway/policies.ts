import { decodeSourcePolicy, type SourcePolicy } from '../source-policy/index.ts';

/** The source policies of a call. @throws TsbuildError `TSB_POLICY` */
export function decodePolicies(encoded: readonly Uint8Array[]): readonly SourcePolicy[] {
  return encoded.map((bytes) => decodeSourcePolicy(bytes, 'of the frontend'));
}
