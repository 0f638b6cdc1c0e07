import { createHash } from 'node:crypto';
import { InvalidSignatureError } from '../util/index.ts';
import { firstAuthorizedKey } from './authorized-key.ts';
import { MalformedError, UnusableKeyError } from './errors.ts';
import { readPublicKey, type SshPublicKey } from './public-key.ts';
import { encodeString, WireReader } from './wire.ts';

const BEGIN = '-----BEGIN SSH SIGNATURE-----';
const END = '-----END SSH SIGNATURE-----';
const MAGIC = 'SSHSIG';
const VERSION = 1;
/** Characters of a signature in its armour; one of the largest RSA keys has 4,500. */
const MAX_ARMOURED = 32 * 1024;

/** Whether a text is a signature in the armour of `ssh-keygen -Y sign`. */
export function isSshSignature(text: string): boolean {
  return text.startsWith(BEGIN);
}

/**
 * Verifies a signature of OpenSSH (PROTOCOL.sshsig) with the first key of a text in the form of `authorized_keys`.
 * @param namespace what the signature must be for, e.g. `git`
 * @throws InvalidSignatureError
 */
export function verifySshSignature(text: string, data: Uint8Array, keys: string, namespace: string): void {
  const key = within('the SSH public key cannot be used', () => firstAuthorizedKey(keys));
  const signature = within('the SSH signature cannot be read', () => parse(text));
  if (signature.namespace !== namespace)
    throw new InvalidSignatureError(
      `it is an SSH signature for ${shown(signature.namespace)}, and one for ${shown(namespace)} is wanted`,
    );
  if (!signature.key.blob.equals(key.blob))
    throw new InvalidSignatureError(
      `it was made with SSH key ${signature.key.fingerprint}, and the public key that is named is ${key.fingerprint}`,
    );
  const signed = Buffer.concat([
    Buffer.from(MAGIC),
    encodeString(namespace),
    encodeString(''),
    encodeString(signature.hash),
    encodeString(createHash(signature.hash).update(data).digest()),
  ]);
  if (!within('the SSH signature cannot be used', () => key.verify(signed, signature.value)))
    throw new InvalidSignatureError(
      `SSH key ${key.fingerprint} did not sign it: the signature is one of something else`,
    );
}

interface SshSignature {
  readonly key: SshPublicKey;
  readonly namespace: string;
  readonly hash: 'sha256' | 'sha512';
  readonly value: Buffer;
}

function parse(text: string): SshSignature {
  const lines = text.slice(0, MAX_ARMOURED).split(/\r?\n/);
  const end = lines.indexOf(END);
  const base64 = lines.slice(1, end).join('');
  if (lines[0] !== BEGIN || end < 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0)
    throw new MalformedError('its armour is damaged');
  const reader = new WireReader(Buffer.from(base64, 'base64'));
  if (reader.take(MAGIC.length).toString('latin1') !== MAGIC) throw new MalformedError('it does not begin as one does');
  const version = reader.uint32();
  if (version !== VERSION) throw new UnusableKeyError(`its version is ${version}, and only ${VERSION} is known`);
  const key = readPublicKey(reader.string());
  const namespace = reader.string().toString('utf8');
  // Reserved.
  reader.string();
  const hash = reader.string().toString('latin1');
  const value = reader.string();
  reader.end();
  if (hash !== 'sha256' && hash !== 'sha512')
    throw new UnusableKeyError(`its hash is ${shown(hash)}; sha256 and sha512 are known`);
  return { key, namespace, hash, value };
}

/** Formats that were not understood are signatures that do not hold. */
function within<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof MalformedError) && !(error instanceof UnusableKeyError)) throw error;
    throw new InvalidSignatureError(`${what}: ${error.message}`);
  }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}
