import { createPrivateKey, type KeyObject } from 'node:crypto';
import { errnoOf, TsbuildError } from '../util/index.ts';
import { EncryptedKeyError, MalformedError, UnusableKeyError } from './errors.ts';
import { parseOpensshKey } from './openssh-key.ts';
import { type SshKey, sshKey } from './ssh-key.ts';

/**
 * Reads a private key as `ssh-keygen` and `openssl` write it: OpenSSH's own format, PKCS#1, PKCS#8 or SEC 1, each in PEM armour.
 * @param name what the file is called in errors, which never hold a byte of it
 * @throws TsbuildError `TSB_USAGE`
 */
export function parsePrivateKey(data: Buffer, name: string): SshKey {
  try {
    const { label, body, block } = findBlock(data.toString('latin1'));
    if (label !== 'OPENSSH PRIVATE KEY') return sshKey(parsePem(label, block));
    const { key, publicBlob } = parseOpensshKey(Buffer.from(body, 'base64'));
    const made = sshKey(key);
    if (!made.blob.equals(publicBlob))
      throw new MalformedError('its private and its public part do not belong together');
    return made;
  } catch (error) {
    if (!(error instanceof MalformedError) && !(error instanceof UnusableKeyError)) throw error;
    throw new TsbuildError('TSB_USAGE', `Cannot use SSH key ${JSON.stringify(name)}: ${error.message}`, {
      hint:
        error instanceof EncryptedKeyError
          ? 'unlock it in an agent with: eval "$(ssh-agent)" && ssh-add FILE; then build with --ssh default'
          : 'a private key as ssh-keygen or openssl writes it is expected; other keys can be used through an agent',
    });
  }
}

interface PemBlock {
  readonly label: string;
  readonly body: string;
  /** With its markers. */
  readonly block: string;
}

/** The first private key in a text; others, such as the parameters that `openssl ecparam` writes, may stand before it. */
function findBlock(text: string): PemBlock {
  const match = /-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY)-----(.*?)-----END \1-----/s.exec(text);
  if (match) return { label: match[1] ?? '', body: match[2] ?? '', block: match[0] };
  if (/^\s*(?:ssh-|ecdsa-|sk-)|-----BEGIN (?:[A-Z0-9]+ )?PUBLIC KEY/.test(text))
    throw new MalformedError('it is a public key');
  if (text.startsWith('PuTTY-User-Key-File')) throw new UnusableKeyError('it is in the format of PuTTY');
  throw new MalformedError(
    /-----BEGIN .*PRIVATE KEY-----/.test(text) ? 'it ends too early' : 'it holds no private key',
  );
}

function parsePem(label: string, block: string): KeyObject {
  if (label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type: *4, *ENCRYPTED/m.test(block)) throw new EncryptedKeyError();
  try {
    return createPrivateKey({ key: block, format: 'pem' });
  } catch (error) {
    if (errnoOf(error) === 'ERR_MISSING_PASSPHRASE') throw new EncryptedKeyError();
    throw new MalformedError('its content is damaged');
  }
}
