import { generateKeyPairSync } from 'node:crypto';
import { mkdtempDisposableSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { parsePrivateKey } from '../../src/ssh/private-key.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { run } from '../support/tools.ts';
import { kinds, makeKey, publicBlob, string, uint32 } from './support.ts';

const dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-ssh-'));
afterAll(() => dir.remove());

const keys = Object.fromEntries(
  Object.entries(kinds).map(([name, options]) => [name, makeKey(dir.path, name, options)]),
) as Record<keyof typeof kinds, string>;

/** What a file is refused with. */
function refusal(data: Uint8Array | string): string {
  try {
    parsePrivateKey(Buffer.from(data), '/keys/x');
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE')) return `${error.message}; ${error.hint ?? ''}`;
    throw error;
  }
  return 'not refused';
}

/** The file of an OpenSSH key with its content changed. */
function edited(path: string, edit: (content: Buffer) => Uint8Array): string {
  const body = readFileSync(path, 'utf8').replaceAll(/-----.*-----|\n/g, '');
  const content = Buffer.from(edit(Buffer.from(body, 'base64'))).toString('base64');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${content}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

describe('key files', () => {
  test.each(Object.keys(kinds))('%s as ssh-keygen writes it', (name) => {
    const path = keys[name] ?? '';
    expect(parsePrivateKey(readFileSync(path), path).blob).toEqual(publicBlob(path));
    const dos = readFileSync(path, 'utf8').replaceAll('\n', '\r\n');
    expect(parsePrivateKey(Buffer.from(dos), path).blob).toEqual(publicBlob(path));
  });

  test.each(
    ['nistp256', 'nistp384', 'nistp521', 'rsa'].flatMap(
      (name) =>
        [
          [name, 'PEM'],
          [name, 'PKCS8'],
        ] as const,
    ),
  )('%s in %s', (name, format) => {
    const options = kinds[name] ?? [];
    const path = makeKey(dir.path, `${name}-${format}`, [...options, '-m', format]);
    expect(readFileSync(path, 'utf8')).toMatch(format === 'PKCS8' ? /BEGIN PRIVATE KEY/ : /BEGIN (EC|RSA) PRIVATE KEY/);
    expect(parsePrivateKey(readFileSync(path), path).blob).toEqual(publicBlob(path));
  });

  test('ed25519 in PKCS#8, which ssh-keygen does not write', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    expect(parsePrivateKey(Buffer.from(pem), 'x').blob.subarray(-32)).toEqual(raw);
  });

  test('a private key that stands behind other things', () => {
    const text = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
    expect(parsePrivateKey(Buffer.from(text + readFileSync(join(dir.path, 'nistp256-PEM'), 'utf8')), 'x').blob).toEqual(
      publicBlob(join(dir.path, 'nistp256-PEM')),
    );
  });

  test.each([
    ['OpenSSH', ['-t', 'ed25519']],
    ['PEM', ['-t', 'rsa', '-m', 'PEM']],
    ['PKCS#8', ['-t', 'ecdsa', '-m', 'PKCS8']],
  ])('an encrypted key in %s is one for an agent', (name, options) => {
    const path = makeKey(dir.path, `encrypted-${name.replace('#', '')}`, options, 'passphrase');
    const said = refusal(readFileSync(path));
    expect(said).toContain('Cannot use SSH key "/keys/x": it is encrypted with a passphrase');
    expect(said).toContain('ssh-add');
  });

  test.each<readonly [string, () => string | Uint8Array, RegExp]>([
    ['nothing', () => '', /it holds no private key/],
    ['another text', () => 'hello', /it holds no private key/],
    ['a public key', () => readFileSync(`${keys['ed25519'] ?? ''}.pub`), /it is a public key/],
    [
      'a public key in PEM',
      () => run('ssh-keygen', '-e', '-m', 'PKCS8', '-f', `${keys['rsa'] ?? ''}.pub`),
      /it is a public key/,
    ],
    ['PuTTY’s format', () => 'PuTTY-User-Key-File-3: ssh-ed25519\n', /PuTTY/],
    ['a cut file', () => readFileSync(keys['rsa'] ?? '').subarray(0, 500), /it ends too early/],
    ['a damaged PEM', () => '-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n', /damaged/],
    ['DSA', () => container('ssh-dss'), /it is a DSA key; supported are ed25519/],
    [
      'DSA in PKCS#8',
      () =>
        generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).privateKey.export({
          format: 'pem',
          type: 'pkcs8',
        }),
      /its type is not supported/,
    ],
    ['a security key', () => container('sk-ssh-ed25519@openssh.com'), /security key/],
    ['an unknown type', () => container('ssh-xmss@openssh.com'), /of a type that is not known/],
    ['a small RSA key', () => rsaPem(768), /768 bits/],
    ['an unknown curve', () => curvePem('secp256k1'), /its curve is none that SSH uses/],
    [
      'RSA-PSS',
      () => generateKeyPairSync('rsa-pss', { modulusLength: 1024 }).privateKey.export({ format: 'pem', type: 'pkcs8' }),
      /its type is not supported/,
    ],
    [
      'X25519',
      () => generateKeyPairSync('x25519').privateKey.export({ format: 'pem', type: 'pkcs8' }),
      /its type is not supported/,
    ],
  ])('%s is refused', (_name, make, reason) => {
    expect(refusal(make())).toMatch(reason);
  });

  test('a container that is cut anywhere is refused', () => {
    const path = keys['ed25519'] ?? '';
    const { length } = Buffer.from(readFileSync(path, 'utf8').replaceAll(/-----.*-----|\n/g, ''), 'base64');
    expect(refusal(edited(path, (content) => content))).toBe('not refused');
    for (let at = 0; at < length; at++)
      expect(refusal(edited(path, (content) => content.subarray(0, at))), String(at)).toContain('Cannot use SSH key');
    expect(refusal(edited(path, (content) => Buffer.concat([content, Buffer.alloc(1)])))).toContain(
      'more than belongs',
    );
  });

  test('a bit that is changed anywhere outside the comment is noticed', () => {
    for (const name of ['ed25519', 'nistp256', 'rsa']) {
      const path = keys[name] ?? '';
      let unnoticed = 0;
      const { length } = Buffer.from(readFileSync(path, 'utf8').replaceAll(/-----.*-----|\n/g, ''), 'base64');
      for (let at = 0; at < length; at += name === 'rsa' ? 7 : 1) {
        const said = refusal(
          edited(path, (content) => {
            content[at] = (content[at] ?? 0) ^ 0x10;
            return content;
          }),
        );
        if (said === 'not refused') unnoticed++;
      }
      expect(unnoticed, name).toBeLessThanOrEqual('somebody@somewhere'.length);
    }
  });

  test('whatever a file holds, it is a key or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom('OPENSSH ', 'RSA ', 'EC ', ''), (bytes, label) => {
        const armoured = (content: Buffer): string =>
          `-----BEGIN ${label}PRIVATE KEY-----\n${content.toString('base64')}\n-----END ${label}PRIVATE KEY-----\n`;
        refusal(bytes);
        refusal(armoured(Buffer.from(bytes)));
        refusal(armoured(Buffer.concat([Buffer.from('openssh-key-v1\0'), bytes])));
      }),
    );
  });

  test('errors tell nothing of the key', () => {
    const content = readFileSync(keys['ed25519'] ?? '', 'utf8');
    const lines = content.split('\n').slice(1, -2);
    const said = refusal(content.replace(lines[1] ?? '', ''));
    expect(said).toContain('Cannot use SSH key');
    for (const line of lines) expect(said).not.toContain(line.slice(0, 8));
  });
});

/** An OpenSSH file with a key of this type, whose fields are never read. */
function container(type: string): string {
  const secret = Buffer.concat([uint32(7), uint32(7), string(type)]);
  const padded = Buffer.concat([secret, Buffer.alloc(8 - (secret.length % 8))]);
  const content = [
    Buffer.from('openssh-key-v1\0'),
    string('none'),
    string('none'),
    string(''),
    uint32(1),
    string('public'),
    string(padded),
  ];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${Buffer.concat(content).toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function rsaPem(bits: number): string {
  return generateKeyPairSync('rsa', { modulusLength: bits }).privateKey.export({
    format: 'pem',
    type: 'pkcs1',
  }) as string;
}

function curvePem(namedCurve: string): string {
  return generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'pem', type: 'sec1' }) as string;
}
