import { DetachedSignature } from '../openpgp/index.ts';
import { InvalidSignatureError, TsbuildError } from '../util/index.ts';

/** The signature that a file must have: BuildKit's `http.sig.…`. */
export interface FileDemands {
  /** OpenPGP keys in their armour. */
  readonly publicKey: string;
  /** An OpenPGP signature of the file, in its armour. */
  readonly signature: string;
}

/**
 * Holds the content of a file against a signature. As in BuildKit, it is enough that the key was good when it signed.
 * @param name for the message
 * @param now milliseconds since the epoch
 * @throws TsbuildError `TSB_SIGNATURE`
 */
export async function verifyFile(
  name: string,
  content: AsyncIterable<Uint8Array>,
  { publicKey, signature }: FileDemands,
  now: number,
): Promise<void> {
  try {
    const detached = new DetachedSignature(signature, publicKey, { rejectExpired: false, now: now / 1000 });
    for await (const chunk of content) detached.update(chunk);
    detached.finish();
  } catch (error) {
    if (!(error instanceof InvalidSignatureError)) throw error;
    throw new TsbuildError(
      'TSB_SIGNATURE',
      `Cannot verify the signature of ${JSON.stringify(name)}: ${error.message}`,
      {
        hint:
          error.hint ??
          'are http.sig.signature and http.sig.pubkey those of this file, and of whom you trust to sign it?',
      },
    );
  }
}
