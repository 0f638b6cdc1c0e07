import { describe, expect, test } from 'vitest';
import { OpenpgpKey, packet } from '../support/openpgp-packets.ts';
import { armoured, DATA, outcome } from './support.ts';

const [SIGNATURE, PUBLIC_KEY, USER_ID, SUBKEY] = [2, 6, 13, 14];
const [POSITIVE, SUBKEY_BINDING, PRIMARY_BINDING, DIRECT] = [0x13, 0x18, 0x19, 0x1f];
const [KEY_FLAGS, EMBEDDED] = [27, 32];
const SIGNS = [KEY_FLAGS, Buffer.of(3)] as const;
const NAME = Buffer.from('alice');

const keysOf = (...packets: readonly Buffer[]): string => armoured(Buffer.concat(packets), 'PUBLIC KEY BLOCK');
const signatureOf = (body: Buffer): string => armoured(packet(SIGNATURE, body));

/** A certificate of version 4. */
function certificate(
  key: OpenpgpKey,
  subpackets: Parameters<OpenpgpKey['sign']>[2] = [SIGNS],
  options: Parameters<OpenpgpKey['sign']>[3] = {},
): Buffer[] {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(NAME.length);
  const data = Buffer.concat([key.hashed, Buffer.of(0xb4), length, NAME]);
  return [
    packet(PUBLIC_KEY, key.body),
    packet(USER_ID, NAME),
    packet(SIGNATURE, key.sign(POSITIVE, data, subpackets, options)),
  ];
}

/** RFC 9580, appendices A.3 and A.6. */
const SAMPLE_KEY = `-----BEGIN PGP PUBLIC KEY BLOCK-----

xioGY4d/4xsAAAAg+U2nu0jWCmHlZ3BqZYfQMxmZu52JGggkLq2EVD34laPCsQYf
GwoAAABCBYJjh3/jAwsJBwUVCg4IDAIWAAKbAwIeCSIhBssYbE8GCaaX5NUt+mxy
KwwfHifBilZwj2Ul7Ce62azJBScJAgcCAAAAAK0oIBA+LX0ifsDm185Ecds2v8lw
gyU2kCcUmKfvBXbAf6rhRYWzuQOwEn7E/aLwIwRaLsdry0+VcallHhSu4RN6HWaE
QsiPlR4zxP/TP7mhfVEe7XWPxtnMUMtf15OyA51YBM4qBmOHf+MZAAAAIIaTJINn
+eUBXbki+PSAld2nhJh/LVmFsS+60WyvXkQ1wpsGGBsKAAAALAWCY4d/4wKbDCIh
BssYbE8GCaaX5NUt+mxyKwwfHifBilZwj2Ul7Ce62azJAAAAAAQBIKbpGG2dWTX8
j+VjFM21J0hqWlEg+bdiojWnKfA5AQpWUWtnNwDEM0g12vYxoWM8Y81W+bHBw805
I8kWVkXU6vFOi+HWvv/ira7ofJu16NnoUkhclkUrk0mXubZvyl4GBg==
-----END PGP PUBLIC KEY BLOCK-----
`;
const SAMPLE_SIGNATURE = `-----BEGIN PGP SIGNATURE-----

wpgGARsKAAAAKQWCY5ijYyIhBssYbE8GCaaX5NUt+mxyKwwfHifBilZwj2Ul7Ce6
2azJAAAAAGk2IHZJX1AhiJD39eLuPBgiUU9wUA9VHYblySHkBONKU/usJ9BvuAqo
/FvLFuGWMbKAdA+epq7V4HOtAPlBWmU8QOd6aud+aSunHQaaEJ+iTFjP2OMW0KBr
NK2ay45cX1IVAQ==
-----END PGP SIGNATURE-----
`;

test('the sample of RFC 9580', () => {
  const text = 'What we need from the grocery store:\n\n- tofu\n- vegetables\n- noodles\n';
  expect(outcome(SAMPLE_SIGNATURE, SAMPLE_KEY, {}, Buffer.from(text))).toBe('ok');
  expect(outcome(SAMPLE_SIGNATURE, SAMPLE_KEY, {}, Buffer.from(text.replace('tofu', 'ham')))).toMatch(
    /did not sign it/,
  );
});

describe('keys of version 6', () => {
  const key = new OpenpgpKey(6);
  const direct = key.sign(DIRECT, key.hashed, [SIGNS]);
  const keys = keysOf(packet(PUBLIC_KEY, key.body), packet(SIGNATURE, direct));
  const signature = key.sign(0, DATA);

  test('sign', () => {
    expect(outcome(signatureOf(signature), keys)).toBe('ok');
    expect(outcome(signatureOf(signature), keys, {}, Buffer.from('other'))).toMatch(/did not sign it/);
  });

  test('and subkeys of theirs', () => {
    const subkey = new OpenpgpKey(6);
    const both = Buffer.concat([key.hashed, subkey.hashed]);
    const back = subkey.sign(PRIMARY_BINDING, both);
    const binding = key.sign(SUBKEY_BINDING, both, [SIGNS, [EMBEDDED, back]]);
    const all = keysOf(
      packet(PUBLIC_KEY, key.body),
      packet(SIGNATURE, direct),
      packet(SUBKEY, subkey.body),
      packet(SIGNATURE, binding),
    );
    expect(outcome(signatureOf(subkey.sign(0, DATA)), all)).toBe('ok');
  });

  test('sign nothing without a signature of themselves', () => {
    for (const rest of [[], [packet(SIGNATURE, new OpenpgpKey(6).sign(DIRECT, key.hashed, [SIGNS]))]])
      expect(outcome(signatureOf(signature), keysOf(packet(PUBLIC_KEY, key.body), ...rest))).toMatch(
        /it has no valid signature of itself$/,
      );
  });

  test('need a salt of the right length, and the first bytes of the hash', () => {
    expect(outcome(signatureOf(key.sign(0, DATA, [], { saltLength: 16 })), keys)).toMatch(
      /its salt has another length$/,
    );
    const tag = signature.length - 64 - 33 - 2;
    const damaged = Buffer.from(signature);
    damaged[tag] = damaged[tag]! ^ 1;
    expect(outcome(signatureOf(damaged), keys)).toMatch(/did not sign it/);
    const sha1 = { hash: 'sha1', hashNumber: 2, saltLength: 0 };
    expect(outcome(signatureOf(key.sign(0, DATA, [], sha1)), keys)).toMatch(
      /its hash is number 2, which is not used any more/,
    );
  });
});

describe('keys of version 4', () => {
  const key = new OpenpgpKey(4);
  const signature = signatureOf(key.sign(0, DATA));

  test('sign', () => {
    expect(outcome(signature, keysOf(...certificate(key)))).toBe('ok');
  });

  test('sign also where what they say of themselves is hashed with SHA-1, but not with MD5', () => {
    expect(outcome(signature, keysOf(...certificate(key, [SIGNS], { hash: 'sha1', hashNumber: 2 })))).toBe('ok');
    expect(outcome(signature, keysOf(...certificate(key, [SIGNS], { hash: 'md5', hashNumber: 1 })))).toMatch(
      /no valid signature of itself/,
    );
    expect(
      outcome(signatureOf(key.sign(0, DATA, [], { hash: 'sha1', hashNumber: 2 })), keysOf(...certificate(key))),
    ).toMatch(/its hash is sha1, which is too weak/);
    expect(
      outcome(signatureOf(key.sign(0, DATA, [], { hash: 'md5', hashNumber: 1 })), keysOf(...certificate(key))),
    ).toMatch(/its hash is MD5/);
  });

  test.each([
    ['that say nothing of what they are for', []],
    ['that are for something else', [[KEY_FLAGS, Buffer.of(1)] as const]],
  ])('%s sign nothing', (_what, subpackets) => {
    expect(outcome(signature, keysOf(...certificate(key, subpackets)))).toMatch(/it is not made for signing data$/);
  });

  test('whose self-signature says what is not understood, and has to be, sign nothing', () => {
    const critical = [SIGNS, [0x80 | 101, Buffer.of(1)] as const];
    expect(outcome(signature, keysOf(...certificate(key, critical)))).toMatch(/no valid signature of itself/);
    expect(outcome(signature, keysOf(...certificate(key, [SIGNS, [101, Buffer.of(1)]])))).toBe('ok');
    expect(outcome(signatureOf(key.sign(0, DATA, [[0x80 | 101, Buffer.of(1)]])), keysOf(...certificate(key)))).toMatch(
      /has to be understood/,
    );
  });

  test('that somebody else calls their own sign nothing for them', () => {
    const thief = new OpenpgpKey(4);
    const both = Buffer.concat([thief.hashed, key.hashed]);
    const stolen = (subpackets: Parameters<OpenpgpKey['sign']>[2]): string =>
      keysOf(
        ...certificate(thief),
        packet(SUBKEY, key.body),
        packet(SIGNATURE, thief.sign(SUBKEY_BINDING, both, subpackets)),
      );
    const why = /it does not say itself that it belongs to its primary key$/;
    expect(outcome(signature, stolen([SIGNS]))).toMatch(why);
    expect(outcome(signature, stolen([SIGNS, [EMBEDDED, thief.sign(PRIMARY_BINDING, both)]]))).toMatch(why);
    expect(outcome(signature, stolen([SIGNS, [EMBEDDED, key.sign(SUBKEY_BINDING, both)]]))).toMatch(why);
    expect(outcome(signature, stolen([SIGNS, [EMBEDDED, key.sign(PRIMARY_BINDING, key.hashed)]]))).toMatch(why);
    // And with no binding of their own, or one for something else.
    expect(outcome(signature, keysOf(...certificate(thief), packet(SUBKEY, key.body)))).toMatch(
      /it is not bound to its primary key$/,
    );
    expect(outcome(signature, stolen([[KEY_FLAGS, Buffer.of(12)]]))).toMatch(/it is not made for signing data$/);
    // What the key says itself is fine.
    expect(outcome(signature, stolen([SIGNS, [EMBEDDED, key.sign(PRIMARY_BINDING, both)]]))).toBe('ok');
  });

  test('that are revoked by others are not', () => {
    const other = new OpenpgpKey(4);
    const [first, ...rest] = certificate(key);
    const revocation = packet(SIGNATURE, other.sign(0x20, key.hashed));
    expect(outcome(signature, keysOf(first!, revocation, ...rest))).toBe('ok');
    const own = packet(SIGNATURE, key.sign(0x20, key.hashed, [[29, Buffer.from('\u0002stolen')]]));
    expect(outcome(signature, keysOf(first!, own, ...rest))).toMatch(/but the key is revoked: "stolen"$/);
  });

  test('with signatures of themselves without end are given up', () => {
    const [first, name, self] = certificate(key);
    const flood = Array.from({ length: 600 }, () => self!);
    expect(outcome(signature, keysOf(first!, name!, ...flood))).toMatch(/more than 500 signatures of itself$/);
  });

  test('sign documents, and nothing that says something of keys', () => {
    expect(outcome(signatureOf(key.sign(POSITIVE, DATA)), keysOf(...certificate(key)))).toMatch(
      /of type 19, and not one of a document$/,
    );
  });
});
