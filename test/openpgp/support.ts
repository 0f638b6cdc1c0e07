import { DetachedSignature, type VerifyOptions } from '../../src/openpgp/index.ts';
import { InvalidSignatureError } from '../../src/util/index.ts';

/** What is signed. */
export const DATA: Buffer = Buffer.from('what is signed\nin lines\n');
const now = (): number => Math.floor(Date.now() / 1000);

/** `ok`, or why it does not hold. */
export function outcome(
  signature: string,
  keys: string,
  more: Partial<VerifyOptions> = {},
  data: Uint8Array = DATA,
): string {
  try {
    const check = new DetachedSignature(signature, keys, { rejectExpired: false, now: now(), ...more });
    // In pieces, as a file comes.
    for (let at = 0; at < data.length; at += 7) check.update(data.subarray(at, at + 7));
    check.finish();
    return 'ok';
  } catch (error) {
    if (error instanceof InvalidSignatureError) return error.message;
    throw error;
  }
}

/** Bytes in an armour. */
export const armoured = (bytes: Uint8Array, type = 'SIGNATURE'): string =>
  `-----BEGIN PGP ${type}-----\n\n${Buffer.from(bytes).toString('base64')}\n-----END PGP ${type}-----\n`;
