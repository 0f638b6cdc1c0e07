/** A curve that SSH has a signature algorithm for (RFC 5656). */
export interface Curve {
  /** Of keys and signatures. */
  readonly algorithm: string;
  readonly name: string;
  /** What `JsonWebKey.crv` calls it. */
  readonly jwk: string;
  /** Length of a coordinate. */
  readonly bytes: number;
  readonly hash: string;
}

/** The curves of RFC 5656 by their names in ssh. */
export const curves: readonly Curve[] = [
  { algorithm: 'ecdsa-sha2-nistp256', name: 'nistp256', jwk: 'P-256', bytes: 32, hash: 'sha256' },
  { algorithm: 'ecdsa-sha2-nistp384', name: 'nistp384', jwk: 'P-384', bytes: 48, hash: 'sha384' },
  { algorithm: 'ecdsa-sha2-nistp521', name: 'nistp521', jwk: 'P-521', bytes: 66, hash: 'sha512' },
];
