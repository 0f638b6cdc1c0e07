import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { run } from '../support/tools.ts';

/** Kinds of keys that are served, with what `ssh-keygen` is told. */
export const kinds: Readonly<Record<string, readonly string[]>> = {
  ed25519: ['-t', 'ed25519'],
  nistp256: ['-t', 'ecdsa', '-b', '256'],
  nistp384: ['-t', 'ecdsa', '-b', '384'],
  nistp521: ['-t', 'ecdsa', '-b', '521'],
  rsa: ['-t', 'rsa', '-b', '2048'],
};

/** Writes a new key and gives its path. */
export function makeKey(dir: string, name: string, options: readonly string[], passphrase = ''): string {
  const path = join(dir, name);
  run('ssh-keygen', '-q', ...options, '-N', passphrase, '-C', 'somebody@somewhere', '-f', path);
  return path;
}

/** The public key beside a private one, as the protocol has it. */
export function publicBlob(path: string): Buffer {
  return Buffer.from(readFileSync(`${path}.pub`, 'utf8').split(' ')[1] ?? '', 'base64');
}

/** The public key as Node has it: read by `ssh-keygen`, except those whose bytes are the key. */
export function publicKey(path: string): KeyObject {
  const blob = publicBlob(path);
  if (!blob.includes('ssh-ed25519'))
    return createPublicKey(run('ssh-keygen', '-e', '-m', 'PKCS8', '-f', `${path}.pub`));
  const x = blob.subarray(-32).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function string(value: string | Uint8Array): Buffer {
  return Buffer.concat([uint32(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** The strings that a buffer consists of. */
export function strings(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at))
    found.push(bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)));
  return found;
}

export const LIST: Buffer = Buffer.of(11);
export const FAILURE: Buffer = Buffer.of(5);

export function signRequest(blob: Uint8Array, data: Uint8Array, flags = 0): Buffer {
  return Buffer.concat([Buffer.of(13), string(blob), string(data), uint32(flags)]);
}

/** Sends bytes as they are, ends its side, and gives what comes back until the other side ends too. */
export function talk(path: string, ...parts: readonly Uint8Array[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true });
    const got: Buffer[] = [];
    socket.on('data', (data) => got.push(data));
    // An agent that hangs up early is an answer too.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
    });
    socket.once('close', () => resolve(Buffer.concat(got)));
    socket.once('connect', () => {
      for (const part of parts) socket.write(part);
      socket.end();
    });
  });
}

/** Asks one question and gives the answer. */
export async function ask(path: string, message: Uint8Array): Promise<Buffer> {
  const [answer = Buffer.alloc(0)] = strings(await talk(path, string(message)));
  return answer;
}

/** Checks the signature in an answer with Node and gives its algorithm. */
export function verified(answer: Buffer, key: KeyObject, data: Uint8Array): string | undefined {
  if (answer[0] !== 14) return undefined;
  const [algorithm = '', signature = Buffer.alloc(0)] = strings(strings(answer.subarray(1))[0] ?? Buffer.alloc(0));
  const name = algorithm.toString();
  const hash: Readonly<Record<string, string>> = {
    'ecdsa-sha2-nistp256': 'sha256',
    'ecdsa-sha2-nistp384': 'sha384',
    'ecdsa-sha2-nistp521': 'sha512',
    'rsa-sha2-256': 'sha256',
    'rsa-sha2-512': 'sha512',
    'ssh-rsa': 'sha1',
  };
  const bytes = name.startsWith('ecdsa') ? joinPair(signature, Number(name.slice(-3))) : signature;
  return verify(hash[name] ?? null, data, { key, dsaEncoding: 'ieee-p1363' }, bytes) ? name : undefined;
}

function joinPair(signature: Buffer, bits: number): Buffer {
  const size = Math.ceil(bits / 8);
  // The shortest form is the only one (RFC 4251).
  if (strings(signature).some((number) => number[0] === 0 && (number[1] ?? 0) < 0x80)) return Buffer.alloc(0);
  return Buffer.concat(
    strings(signature).map((number) =>
      Buffer.from(
        number
          .toString('hex')
          .padStart(2 * size, '0')
          .slice(-2 * size),
        'hex',
      ),
    ),
  );
}
