import { generateKeyPairSync, sign, verify } from 'node:crypto';
import type { SigningKey } from '../../src/remote-cache/index.ts';

/** A key that signs records, in memory. */
export function keyPairOf(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    id: 'test',
    sign: (bytes) => sign(null, bytes, privateKey),
    verify: (bytes, signature) => verify(null, bytes, publicKey, signature),
  };
}
