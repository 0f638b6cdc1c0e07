import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPolicy, readSigningKey, readVerifyKey } from '../../../src/remote-cache/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

describe('a policy', () => {
  let dir = '';
  const at = (name: string): string => join(dir, name);
  const write = (name: string, text: string | Buffer): void => writeFileSync(at(name), text);
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-policy-'));
    for (const name of ['a', 'b']) {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      write(`${name}.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }));
      write(`${name}.pub`, publicKey.export({ type: 'spki', format: 'pem' }));
    }
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    write('rsa.pub', rsa.publicKey.export({ type: 'spki', format: 'pem' }));
    write('no.pub', 'no key');
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  const usage = (read: () => unknown): { readonly message: string; readonly hint: string | undefined } => {
    try {
      read();
    } catch (error) {
      if (isTsbuildError(error, 'TSB_USAGE')) return { message: error.message, hint: error.hint };
      throw error;
    }
    throw new Error('It was taken');
  };

  test('goes by the scope itself before patterns, and by the longest of these', () => {
    const scopes = { main: ['a.pub'], 'pr-*': ['a.pub', 'b.pub'], 'pr-trusted-*': ['b.pub'], '*': [], tmp: 'any' };
    write('policy.json', JSON.stringify({ version: 1, scopes }));
    const policy = readPolicy({ policyFile: at('policy.json') });
    const [a, b] = ['a.pub', 'b.pub'].map((name) => readVerifyKey(at(name)).id);
    const ids = (scope: string): unknown => {
      const keys = policy.keysFor(scope);
      return keys === 'any' ? keys : keys.map(({ id }) => id);
    };
    expect(['main', 'pr-1', 'pr-trusted-1', 'else', 'tmp'].map(ids)).toEqual([[a], [a, b], [b], [], 'any']);
    expect(readSigningKey(at('a.key')).id).toBe(a);
  });

  test.each([
    ['{"version": 2, "scopes": {}}', /"version" is not 1/],
    ['{"version": 1}', /"scopes" is not an object/],
    ['{"version": 1, "scopes": {"*-x": []}}', /\* that is not its end/],
    ['{"version": 1, "scopes": {"main": "some"}}', /"scopes.main" is not a list/],
    ['{"version": 1, "scopes": {"main": ["c.pub"]}}', /c\.pub/],
    ['{"version": 1, "scopes": {"main": [], "main": []}}', /twice/],
    ['nonsense', /not valid JSON/],
  ])('that is %s is refused, for it would let anybody in or nobody', (text, message) => {
    write('wrong.json', text);
    expect(usage(() => readPolicy({ policyFile: at('wrong.json') })).message).toMatch(message);
  });

  test('that is not there, and keys that are none, are refused with what to do', () => {
    expect(usage(() => readPolicy({ policyFile: at('none.json') })).hint).toContain('"scopes"');
    for (const name of ['rsa.pub', 'no.pub', 'none.pub', 'a.key'])
      expect(usage(() => readVerifyKey(at(name))).hint).toContain('openssl genpkey -algorithm ed25519');
    expect(usage(() => readVerifyKey(at('rsa.pub'))).message).toContain('rsa');
    expect(usage(() => readSigningKey(at('a.pub'))).message).toMatch(/a\.pub": it is no private key in PEM form$/);
    expect(usage(() => readVerifyKey(at('no.pub'))).message).toMatch(/no\.pub": it is no public key in PEM form$/);
    expect(usage(() => readVerifyKey(at('a.key'))).message).toMatch(/it is a private key, the public one is enough$/);
    for (const read of [() => readVerifyKey(at('none')), () => readPolicy({ policyFile: at('none') })])
      expect(usage(read).message).toMatch(/^Cannot [^:]* "[^"]*none": it does not exist$/);
  });
});
