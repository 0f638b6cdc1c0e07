import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { verifySshSignature } from '../../src/ssh/index.ts';
import { encodeString, encodeUint32 } from '../../src/ssh/wire.ts';
import { InvalidSignatureError } from '../../src/util/index.ts';

const dir = mkdtempSync(join(tmpdir(), 'tsbuild-sshsig-'));
afterAll(() => rmSync(dir, { recursive: true }));
const DATA = Buffer.from('what is signed\n');

function keygen(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('ssh-keygen', args, { input: DATA, encoding: 'utf8' });
  if (status !== 0) throw new Error(`ssh-keygen ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** A key of OpenSSH's own making. */
class Signer {
  readonly #path: string;

  constructor(name: string, ...args: readonly string[]) {
    this.#path = join(dir, name);
    keygen('-q', '-N', '', '-C', `${name}@test`, '-f', this.#path, ...args);
  }

  get publicKey(): string {
    return readFileSync(`${this.#path}.pub`, 'utf8');
  }

  sign(namespace = 'git', ...options: readonly string[]): string {
    return keygen(
      '-Y',
      'sign',
      '-q',
      '-n',
      namespace,
      '-f',
      this.#path,
      ...options.flatMap((option) => ['-O', option]),
    );
  }
}

const TYPES: readonly (readonly string[])[] = [
  ['-t', 'ed25519'],
  ['-t', 'ecdsa', '-b', '256'],
  ['-t', 'ecdsa', '-b', '384'],
  ['-t', 'ecdsa', '-b', '521'],
  ['-t', 'rsa', '-b', '2048'],
];
const verify = (signature: string, keys: string, data: Uint8Array = DATA): void =>
  verifySshSignature(signature, data, keys, 'git');
const refused = (signature: string, keys: string, data?: Uint8Array): string => {
  try {
    verify(signature, keys, data);
  } catch (error) {
    if (error instanceof InvalidSignatureError) return error.message;
    throw error;
  }
  throw new Error('It was taken');
};

describe('signatures of OpenSSH', () => {
  const [signer, other] = [new Signer('signer', '-t', 'ed25519'), new Signer('other', '-t', 'ed25519')];

  test.each(TYPES)('hold for a key that ssh-keygen made with %s %s %s %s', (...type) => {
    const key = new Signer(type.join(''), ...type);
    for (const hash of ['sha256', 'sha512']) {
      const signature = key.sign('git', `hashalg=${hash}`);
      verify(signature, key.publicKey);
      expect(refused(signature, key.publicKey, Buffer.from('something else'))).toMatch(/SHA256:\S{43} did not sign it/);
    }
  });

  test('do not hold for another key, and both are named as ssh-keygen names them', () => {
    const name = (key: Signer): string => {
      const file = join(dir, 'shown.pub');
      writeFileSync(file, key.publicKey);
      return keygen('-l', '-f', file).split(' ')[1] ?? '';
    };
    expect(refused(signer.sign(), other.publicKey)).toBe(
      `it was made with SSH key ${name(signer)}, and the public key that is named is ${name(other)}`,
    );
  });

  test('do not hold for another purpose', () => {
    expect(refused(signer.sign('file'), signer.publicKey)).toBe(
      'it is an SSH signature for "file", and one for "git" is wanted',
    );
  });

  test('hold for the first key of a text as Go reads one', () => {
    const signature = signer.sign();
    const [own, others] = [signer.publicKey, other.publicKey];
    for (const keys of [
      `# a comment\n\n  ${own}`,
      `no key\n${own}${others}`,
      `n@e namespaces="a b" ${own}`.replace(' namespaces', ',namespaces'),
      `${own.trim()}\r\n`,
    ])
      verify(signature, keys);
    expect(refused(signature, `${others}${own}`)).toContain('it was made with SSH key');
    expect(refused(signature, '')).toBe('the SSH public key cannot be used: it holds no key');
    const renamed = own.replace('ssh-ed25519', 'ssh-rsa');
    expect(refused(signature, renamed)).toContain('it is called "ssh-rsa", but is of type "ssh-ed25519"');
    expect(refused(signature, `ssh-dss ${encodeString('ssh-dss').toString('base64')}`)).toContain('it is a DSA key');
  });

  describe('of a security key', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const type = 'sk-ssh-ed25519@openssh.com';
    const point = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    const blob = Buffer.concat([encodeString(type), encodeString(point), encodeString('ssh:')]);
    const digest = (data: string | Uint8Array): Buffer => createHash('sha256').update(data).digest();
    const made = (flags: number): string => {
      const signed = Buffer.concat([
        Buffer.from('SSHSIG'),
        ...['git', '', 'sha512'].map((text) => encodeString(text)),
        encodeString(createHash('sha512').update(DATA).digest()),
      ]);
      const rest = Buffer.concat([Buffer.of(flags), encodeUint32(7)]);
      const value = sign(null, Buffer.concat([digest('ssh:'), rest, digest(signed)]), privateKey);
      const signature = Buffer.concat([
        Buffer.from('SSHSIG'),
        encodeUint32(1),
        ...[blob, 'git', '', 'sha512', Buffer.concat([encodeString(type), encodeString(value), rest])].map((part) =>
          encodeString(part),
        ),
      ]);
      return `-----BEGIN SSH SIGNATURE-----\n${signature.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
    };
    const key = `${type} ${blob.toString('base64')}`;

    test('hold when somebody touched it', () => {
      verify(made(1), key);
      expect(refused(made(0), key)).toContain('nobody touched the security key');
    });
  });

  test('that are damaged never hold, and end in nothing but a reason (property)', () => {
    for (const type of TYPES) {
      const key = new Signer(`damaged${type.join('')}`, ...type);
      const bytes = Buffer.from(key.sign().replaceAll(/-----.*-----|\n/g, ''), 'base64');
      const armoured = (data: Buffer): string =>
        `-----BEGIN SSH SIGNATURE-----\n${data.toString('base64')}\n-----END SSH SIGNATURE-----`;
      verify(armoured(bytes), key.publicKey);
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 7 }), fc.boolean(), (at, bit, cut) => {
          const damaged = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
          if (!cut) damaged[at] = damaged[at]! ^ (1 << bit);
          // What is reserved is not looked at, and has no bytes here; all others count.
          expect(refused(armoured(damaged), key.publicKey)).not.toBe('');
        }),
        { numRuns: 150 },
      );
    }
  });

  test('that are any text never hold (property)', () => {
    const begin = '-----BEGIN SSH SIGNATURE-----\n';
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), fc.string({ unit: 'binary' }), (text, keys) => {
        expect(refused(`${begin}${text}\n-----END SSH SIGNATURE-----`, signer.publicKey)).not.toBe('');
        expect(refused(signer.sign(), keys)).not.toBe('');
      }),
      { numRuns: 20 },
    );
  });
});
