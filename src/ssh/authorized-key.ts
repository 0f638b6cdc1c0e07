import { MalformedError, UnusableKeyError } from './errors.ts';
import { readPublicKey, type SshPublicKey } from './public-key.ts';

/** Characters of a text with keys that are looked at. */
const MAX_TEXT = 256 * 1024;

/**
 * The first public key of a text in the form of `authorized_keys`, as Go's `ssh.ParseAuthorizedKey` finds it: lines that hold none are
 * passed over, and options or a name may stand before a key.
 * @throws MalformedError, UnusableKeyError with what is wrong with the last line when there is none
 */
export function firstAuthorizedKey(text: string): SshPublicKey {
  let wrong: MalformedError | UnusableKeyError = new MalformedError('it holds no key');
  for (const line of text.slice(0, MAX_TEXT).split('\n')) {
    const words = (line.split('\r', 1)[0] ?? '').trim();
    if (words === '' || words.startsWith('#')) continue;
    for (const candidate of [words, withoutOptions(words)]) {
      try {
        const key = readKey(candidate);
        if (key) return key;
      } catch (error) {
        if (!(error instanceof MalformedError) && !(error instanceof UnusableKeyError)) throw error;
        wrong = error;
      }
    }
  }
  throw wrong;
}

/** A type, and the key in base64; undefined for what does not look like it. */
function readKey(words: string): SshPublicKey | undefined {
  const [type = '', base64 = ''] = words.split(/[ \t]+/, 2);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0) return undefined;
  const key = readPublicKey(Buffer.from(base64, 'base64'));
  if (key.type === type) return key;
  throw new MalformedError(
    `it is called ${JSON.stringify(type.slice(0, 60))}, but is of type ${JSON.stringify(key.type)}`,
  );
}

/** What follows the first blank that is not within quotes. */
function withoutOptions(words: string): string {
  let quoted = false;
  for (let at = 0; at < words.length; at++) {
    const char = words[at];
    if (!quoted && (char === ' ' || char === '\t')) return words.slice(at).trimStart();
    if (char === '"' && words[at - 1] !== '\\') quoted = !quoted;
  }
  return '';
}
