import { InvalidSignatureError } from '../util/index.ts';
import { type Block, unarmor } from './armor.ts';
import { CanonicalText } from './canonical-text.ts';
import { type Certificate, readCertificates, type SigningKey, signingKey } from './certificate.ts';
import { SignatureCheck } from './check.ts';
import { MalformedError, UnsupportedError } from './errors.ts';
import { PACKET, splitPackets } from './packets.ts';
import { readSignature, type Signature, SIGNATURE } from './signature.ts';
import { checkValidity } from './validity.ts';

const BEGIN = '-----BEGIN PGP SIGNATURE-----';
/** Characters of armoured signatures and keys. */
const MAX_SIGNATURE = 256 * 1024;
const MAX_KEYS = 4 * 1024 * 1024;
/** Keys of one id, of which all but one are made to collide; and signatures of one text. */
const MAX_CANDIDATES = 8;
const HASHES = ['sha256', 'sha384', 'sha512'];

/** How strict to be. */
export interface VerifyOptions {
  /** Keys must be good now, and not only when they signed. */
  readonly rejectExpired: boolean;
  /** Seconds since the epoch. */
  readonly now: number;
}

/** Whether a text begins as an armoured signature does. */
export function isOpenpgpSignature(text: string): boolean {
  return text.startsWith(BEGIN);
}

/** Verifies one detached signature: gets what is signed in pieces, and says at the end whether it holds. */
export class DetachedSignature {
  readonly #signature: Signature;
  readonly #options: VerifyOptions;
  readonly #checks: readonly { readonly check: SignatureCheck; readonly signing: SigningKey }[];
  readonly #text: CanonicalText | undefined;

  /**
   * @param signature in its armour
   * @param keys one or more blocks of public keys in their armour
   * @throws InvalidSignatureError where it cannot hold, whatever is signed
   */
  constructor(signature: string, keys: string, options: VerifyOptions) {
    const certificates = within('the OpenPGP public key cannot be used', () => readKeys(keys));
    const signatures = within('the OpenPGP signature cannot be read', () => readSignatures(signature));
    const known = signatures.find(({ facts }) => certificates.some((one) => hasKey(one, facts.issuer)));
    if (!known) throw unknown(signatures, certificates);
    checkAlgorithms(known);
    this.#signature = known;
    this.#options = options;
    this.#checks = candidates(known, certificates, this.#at());
    this.#text = known.type === SIGNATURE.text ? new CanonicalText() : undefined;
  }

  update(data: Uint8Array): void {
    const bytes = this.#text ? this.#text.convert(data) : data;
    for (const { check } of this.#checks) check.update(bytes);
  }

  /** @throws InvalidSignatureError unless one of the keys signed what was given, and was good for it */
  finish(): void {
    const { issuer } = this.#signature.facts;
    const found = this.#checks.find(({ check }) => within('the OpenPGP signature cannot be used', () => check.holds()));
    if (!found)
      throw new InvalidSignatureError(`OpenPGP key ${issuer} did not sign it: the signature is one of something else`);
    checkValidity(found.signing, this.#signature, this.#at(), this.#options.now);
  }

  /** When the key must be good. */
  #at(): number {
    const { rejectExpired, now } = this.#options;
    return rejectExpired ? now : this.#signature.facts.created;
  }
}

/** Policy of BuildKit, and Ed25519 as RFC 9580 calls it. */
function checkAlgorithms({ hash, type }: Signature): void {
  if (!HASHES.includes(hash))
    throw new InvalidSignatureError(
      `its hash is ${hash}, which is too weak`,
      'sign it anew with SHA-256 or SHA-512: gpg --digest-algo SHA512',
    );
  if (type !== SIGNATURE.binary && type !== SIGNATURE.text)
    throw new InvalidSignatureError(`it is an OpenPGP signature of type ${type}, and not one of a document`);
}

function readSignatures(text: string): readonly Signature[] {
  if (text.length > MAX_SIGNATURE) throw new MalformedError(`it has more than ${MAX_SIGNATURE} characters`);
  const block = unarmor(text)[0];
  if (block?.type !== 'PGP SIGNATURE') throw new MalformedError('it is none in an armour');
  const packets = splitPackets(block.data);
  if (packets.length === 0 || packets.length > MAX_CANDIDATES)
    throw new MalformedError(`it holds ${packets.length} signatures`);
  if (packets.some(({ tag }) => tag !== PACKET.signature)) throw new MalformedError('it holds more than signatures');
  return packets.map(({ body }) => readSignature(body));
}

function readKeys(text: string): readonly Certificate[] {
  if (text.length > MAX_KEYS) throw new MalformedError(`it has more than ${MAX_KEYS} characters`);
  const blocks = unarmor(text);
  const odd = blocks.find(({ type }) => type !== 'PGP PUBLIC KEY BLOCK');
  if (odd) throw new MalformedError(describeBlock(odd));
  if (blocks.length === 0) throw new MalformedError('it holds no key in an armour');
  return blocks.flatMap(({ data }) => readCertificates(splitPackets(data)));
}

function describeBlock({ type }: Block): string {
  return type === 'PGP PRIVATE KEY BLOCK' ? 'it is a private key; give the public one' : `it is a ${type}`;
}

function hasKey({ primary, subkeys }: Certificate, id: string | undefined): boolean {
  return primary.id === id || subkeys.some((key) => key.id === id);
}

/** The keys that may have made a signature, of which there is one but for collisions. @throws InvalidSignatureError */
function candidates(
  signature: Signature,
  certificates: readonly Certificate[],
  at: number,
): readonly { readonly check: SignatureCheck; readonly signing: SigningKey }[] {
  const { issuer = '' } = signature.facts;
  let problem: Error | undefined;
  const found = certificates
    .filter((certificate) => hasKey(certificate, issuer))
    .slice(0, MAX_CANDIDATES)
    .flatMap((certificate) => {
      try {
        // A weak primary key could bind any subkey.
        certificate.primary.key();
        const signing = signingKey(certificate, issuer, at);
        return [{ signing, check: new SignatureCheck(signature, signing.key) }];
      } catch (error) {
        if (!(error instanceof MalformedError) && !(error instanceof UnsupportedError)) throw error;
        problem = error;
        return [];
      }
    });
  if (found.length === 0)
    throw new InvalidSignatureError(`OpenPGP key ${issuer} cannot be used: ${problem?.message ?? 'it is not there'}`);
  return found;
}

function unknown(signatures: readonly Signature[], certificates: readonly Certificate[]): InvalidSignatureError {
  const by = [...new Set(signatures.map(({ facts }) => facts.issuer ?? 'without a name'))].join(', ');
  const named = certificates.slice(0, 3).map(({ primary }) => primary.fingerprint);
  const more = certificates.length > named.length ? ` and ${certificates.length - named.length} more` : '';
  return new InvalidSignatureError(
    `it was made with OpenPGP key ${by}, and the public key that is named is ${named.join(', ')}${more}`,
  );
}

/** Formats that were not understood are signatures that do not hold. */
function within<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof MalformedError) && !(error instanceof UnsupportedError)) throw error;
    throw new InvalidSignatureError(`${what}: ${error.message}`);
  }
}
