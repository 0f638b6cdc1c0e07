import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Gnupg } from '../support/gnupg.ts';
import { armoured, DATA, outcome } from './support.ts';

const bytesOf = (text: string): Buffer => {
  const body = /\n\n([\s\S]*?)\n=[^\n]{4}\n-----END/.exec(text)?.[1] ?? '';
  return Buffer.from(body, 'base64');
};

describe('signatures of GnuPG', () => {
  const made = new Gnupg();
  afterAll(() => made[Symbol.dispose]());

  describe.each(['rsa2048', 'rsa3072', 'ed25519', 'nistp256', 'nistp384', 'nistp521'])('with %s', (algorithm) => {
    const name = `with-${algorithm}`;
    let keys = '';
    let id = '';
    beforeAll(() => {
      id = made.make(name, algorithm).slice(-16);
      keys = made.export(name);
    });

    test('hold for what was signed, and for nothing else', () => {
      // GnuPG signs with no shorter hash than a curve's numbers are.
      const least = algorithm === 'nistp521' ? 2 : algorithm === 'nistp384' ? 1 : 0;
      for (const hash of ['SHA256', 'SHA384', 'SHA512'].slice(least)) {
        const signature = made.sign(name, DATA, ['--digest-algo', hash]);
        expect(outcome(signature, keys)).toBe('ok');
        expect(outcome(signature, keys, { rejectExpired: true })).toBe('ok');
        expect(outcome(signature, keys, {}, Buffer.from('something else'))).toBe(
          `OpenPGP key ${id} did not sign it: the signature is one of something else`,
        );
      }
    });

    test('do not hold with a weak hash', () => {
      // GnuPG makes none with SHA-1 but where it is told that this is fine.
      for (const hash of ['SHA1', 'SHA224']) {
        if (hash === 'SHA1' && algorithm.startsWith('nistp')) continue;
        const options = ['--digest-algo', hash, '--allow-weak-digest-algos'];
        let signature = '';
        try {
          signature = made.sign(name, DATA, options);
        } catch {
          continue;
        }
        expect(outcome(signature, keys)).toMatch(/^its hash is sha(1|224), which is too weak$/);
      }
    });

    test('that are damaged never hold, and end in nothing but a reason (property)', () => {
      const bytes = bytesOf(made.sign(name, DATA));
      expect(outcome(armoured(bytes), keys)).toBe('ok');
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 7 }), fc.boolean(), (at, bit, cut) => {
          const damaged = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
          if (!cut) damaged[at] = damaged[at]! ^ (1 << bit);
          const said = outcome(armoured(damaged), keys);
          // Not all bits are signed: those of a fingerprint that others than the signer wrote down, of the hash's first bytes, of the length
          // of a number. They change nothing of what was signed.
          if (said === 'ok') expect(cut).toBe(false);
          else expect(said).not.toBe('');
          expect(outcome(armoured(damaged), keys, {}, Buffer.from('another text'))).not.toBe('ok');
        }),
        { numRuns: 150 },
      );
    });

    test('with keys that are damaged never hold for something else (property)', () => {
      const signature = made.sign(name, DATA);
      const bytes = bytesOf(keys);
      expect(outcome(signature, armoured(bytes, 'PUBLIC KEY BLOCK'))).toBe('ok');
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 7 }), fc.boolean(), (at, bit, cut) => {
          const damaged = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
          if (!cut) damaged[at] = damaged[at]! ^ (1 << bit);
          const block = armoured(damaged, 'PUBLIC KEY BLOCK');
          // The key itself, its name and what binds them are signed; a damaged key may still be whole where it matters.
          outcome(signature, block);
          expect(outcome(signature, block, {}, Buffer.from('another text'))).not.toBe('ok');
        }),
        { numRuns: 100 },
      );
    });
  });

  test('of text hold however its lines end', () => {
    made.make('text', 'ed25519');
    const [keys, signature] = [made.export('text'), made.sign('text', 'a\nb\n', ['--textmode'])];
    for (const text of ['a\nb\n', 'a\r\nb\r\n', 'a\nb\r\n'])
      expect(outcome(signature, keys, {}, Buffer.from(text))).toBe('ok');
    expect(outcome(signature, keys, {}, Buffer.from('a\nb'))).toMatch(/did not sign it/);
  });

  test('do not hold for another key; of several any will do, in one block or more', () => {
    const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => made.make(name, 'ed25519'));
    const signature = made.sign('alice@', DATA);
    expect(outcome(signature, made.export('bob@'))).toBe(
      `it was made with OpenPGP key ${alice?.slice(-16)}, and the public key that is named is ${bob}`,
    );
    expect(outcome(signature, made.export('bob@') + made.export('carol@'))).toContain(`named is ${bob}, ${carol}`);
    expect(outcome(signature, made.export('bob@') + made.export('alice@'))).toBe('ok');
    expect(outcome(signature, made.export('alice@', 'carol@'))).toBe('ok');
    expect(outcome(signature, `Here it is:\n\n${made.export('alice@').replaceAll('\n', '\r\n')}`)).toBe('ok');
  });

  test.each([
    ['', 'the OpenPGP public key cannot be used: it holds no key in an armour'],
    ['ssh-ed25519 AAAA', 'the OpenPGP public key cannot be used: it holds no key in an armour'],
    [armoured(Buffer.of(0x80), 'PRIVATE KEY BLOCK'), 'the OpenPGP public key cannot be used: it is a private key; give the public one'],
    [armoured(Buffer.of(0x80), 'MESSAGE'), 'the OpenPGP public key cannot be used: it is a PGP MESSAGE'],
    ['-----BEGIN PGP PUBLIC KEY BLOCK-----\n', 'the OpenPGP public key cannot be used: its armour does not end'],
    [armoured(Buffer.of(0x01), 'PUBLIC KEY BLOCK'), 'the OpenPGP public key cannot be used: what should be a packet is none'],
    [armoured(Buffer.of(0xc6, 0xe0), 'PUBLIC KEY BLOCK'), 'the OpenPGP public key cannot be used: a packet comes in parts'],
    [armoured(Buffer.of(0xc6, 2, 3, 0), 'PUBLIC KEY BLOCK'), 'the OpenPGP public key cannot be used: it is a key of version 3; 4 and 6 are known'],
  ])('with a key that is %j are refused', (keys, why) => {
    expect(outcome(armoured(Buffer.of(0xc2, 0)), keys)).toBe(why);
  }); // oxfmt-ignore

  test('of algorithms that are broken or not known are refused', () => {
    for (const [algorithm, why] of [
      ['dsa2048', 'its algorithm is DSA; RSA, ECDSA and EdDSA are known'],
      ['rsa1024', 'it is an RSA key of 1024 bits; it must have 2048 to 16384'],
      ['brainpoolP256r1', 'it is an ECDSA key on a curve that is not known; P-256, P-384 and P-521 are'],
    ] as const) {
      made.make(`odd-${algorithm}`, algorithm);
      expect(outcome(made.sign(`odd-${algorithm}@`, DATA), made.export(`odd-${algorithm}@`))).toContain(why);
    }
  });

  describe('of subkeys', () => {
    test('hold where both keys say that they belong together', () => {
      const primary = made.make('parent', 'rsa2048', { usage: 'cert' });
      made.addSubkey(primary, 'ed25519');
      const [signature, keys] = [made.sign('parent', DATA), made.export('parent')];
      expect(outcome(signature, keys)).toBe('ok');
    });
  });

  describe('that were made when a key was good', () => {
    const [YEAR, LATER] = ['20200101T000000', '20200601T000000'];
    const at2020 = 1_590_969_600;

    test('hold for ever, unless expired keys are to be rejected', () => {
      made.make('expired', 'ed25519', { expires: '1y', at: YEAR });
      const [signature, keys] = [made.sign('expired', DATA, [], LATER), made.export('expired')];
      expect(outcome(signature, keys)).toBe('ok');
      expect(outcome(signature, keys, { rejectExpired: true, now: at2020 })).toBe('ok');
      expect(outcome(signature, keys, { rejectExpired: true })).toMatch(
        /^OpenPGP key [0-9A-F]{16} signed it, but its primary key expired at 2020-12-31T00:00:00\.000Z$/,
      );
    });

    test('by a subkey too', () => {
      const primary = made.make('old-parent', 'ed25519', { usage: 'cert', at: YEAR });
      made.addSubkey(primary, 'ed25519', { expires: '1y', at: YEAR });
      const [signature, keys] = [made.sign('old-parent', DATA, [], LATER), made.export('old-parent')];
      expect(outcome(signature, keys)).toBe('ok');
      expect(outcome(signature, keys, { rejectExpired: true })).toMatch(/but its subkey expired at 2020-12-31/);
    });

    test('hold also where the key says something newer of itself', () => {
      const primary = made.make('renewed', 'ed25519', { expires: '1y', at: YEAR });
      const signature = made.sign('renewed', DATA, [], LATER);
      made.run(['--faked-system-time', '20201001T000000!', '--quick-set-expire', primary, '0']);
      const keys = made.run(['--armor', '--export-options', 'export-minimal', '--export', 'renewed']);
      expect(outcome(signature, keys)).toBe('ok');
      expect(outcome(signature, keys, { rejectExpired: true })).toBe('ok');
    });

    test('do not hold before it was, or in the future', () => {
      made.make('young', 'ed25519', { at: LATER });
      const signature = made.sign('young', DATA, [], LATER);
      const keys = made.export('young');
      expect(outcome(signature, keys, { now: at2020 - 7 * 86_400 })).toMatch(/but that in the future, at 2020-06-01/);
      expect(outcome(signature, keys, { rejectExpired: true, now: at2020 })).toBe('ok');
    });

    test('do not hold once the key is revoked', () => {
      const primary = made.make('revoked', 'ed25519', { at: YEAR });
      const signature = made.sign('revoked', DATA, [], LATER);
      expect(outcome(signature, made.export('revoked'))).toBe('ok');
      made.revoke(primary);
      expect(outcome(signature, made.export('revoked'))).toMatch(/signed it, but the key is revoked/);
    });
  });

  test('that expire do, where this counts', () => {
    made.make('brief', 'ed25519', { at: '20200101T000000' });
    const signature = made.sign('brief', DATA, ['--default-sig-expire', '1d'], '20200601T000000');
    const keys = made.export('brief');
    expect(outcome(signature, keys)).toBe('ok');
    expect(outcome(signature, keys, { rejectExpired: true })).toMatch(/but the signature expired at 2020-06-02/);
  });

  test('with a notation that has to be understood do not hold', () => {
    made.make('notes', 'ed25519');
    const keys = made.export('notes');
    expect(outcome(made.sign('notes', DATA, ['--sig-notation', 'a@example.com=b']), keys)).toBe('ok');
    expect(outcome(made.sign('notes', DATA, ['--sig-notation', '!a@example.com=b']), keys)).toMatch(
      /it says "a@example.com", which has to be understood, and is not$/,
    );
  });

  test('of anything are refused with a reason, and soon (property)', () => {
    made.make('any', 'ed25519');
    const keys = made.export('any');
    const signature = made.sign('any', DATA);
    const packets = fc
      .uint8Array({ maxLength: 300 })
      .map((bytes) => Buffer.concat([Buffer.of(0xc2, bytes.length > 191 ? 191 : bytes.length), bytes]));
    fc.assert(
      fc.property(fc.oneof(packets, fc.uint8Array({ maxLength: 100 })), fc.string(), (bytes, text) => {
        expect(outcome(armoured(bytes), keys)).not.toBe('ok');
        expect(outcome(signature, armoured(bytes, 'PUBLIC KEY BLOCK'))).not.toBe('ok');
        expect(outcome(`-----BEGIN PGP SIGNATURE-----\n${text}\n-----END PGP SIGNATURE-----`, keys)).not.toBe('ok');
        expect(outcome(signature, text)).not.toBe('ok');
      }),
      { numRuns: 300 },
    );
  });
});
