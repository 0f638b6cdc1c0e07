import { generateKeyPairSync, sign } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openEnvelope, seal } from '../../../src/remote-cache/index.ts';
import { MAX_ENVELOPE_BYTES } from '../../../src/remote-cache/steps/envelope.ts';
import { namedLayers } from '../../../src/remote-cache/steps/named-layers.ts';
import {
  MAX_RECORD_BYTES,
  RECORD_TYPE,
  RECORD_TYPES,
  TREE_RECORD_TYPE,
} from '../../../src/remote-cache/steps/record.ts';
import { openTrusted } from '../../../src/remote-cache/steps/trusted.ts';
import type { SigningKey, VerifyKey } from '../../../src/remote-cache/steps/keys.ts';
import { isTsbuildError, sha256 } from '../../../src/util/index.ts';

const payload = Buffer.from('{"what":"it says"}');

function keyPair(id: string): SigningKey & VerifyKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    id,
    sign: (bytes) => sign(null, bytes, privateKey),
    verify: (bytes, signature) => {
      const { verify } = process.getBuiltinModule('node:crypto');
      return verify(null, bytes, publicKey, signature);
    },
  };
}

const [alice, bob] = [keyPair('alice'), keyPair('bob')] as const;

/** The envelope with something in it replaced. */
function changed(envelope: Uint8Array, change: (document: Record<string, unknown>) => object): Buffer {
  const document = JSON.parse(Buffer.from(envelope).toString()) as Record<string, unknown>;
  return Buffer.from(JSON.stringify({ ...document, ...change(document) }));
}

/** What it holds for who trusts these keys, or why it is refused. */
function opened(bytes: Uint8Array, keys: readonly VerifyKey[] | 'any', types?: readonly string[]): string {
  try {
    return openTrusted(bytes, 'record x', keys, types).toString();
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_IMAGE')) throw error;
    return error.message;
  }
}

describe('what somebody signed', () => {
  const signed = seal(payload, alice);

  test('is opened by who trusts them, and by who trusts anybody', () => {
    for (const keys of [[alice], [bob, alice], 'any'] as const) expect(opened(signed, keys)).toBe(payload.toString());
    expect(opened(seal(payload, undefined), 'any')).toBe(payload.toString());
  });

  test('is refused by everybody else, with the reason', () => {
    expect(opened(signed, [bob])).toBe('Cannot use record x: none of the trusted keys has signed it');
    expect(opened(signed, [])).toBe('Cannot use record x: the policy trusts nobody with its scope');
    expect(opened(seal(payload, undefined), [alice])).toBe('Cannot use record x: it is not signed');
  });

  test('is another thing when anything of it is changed: the bytes, their type, the signature', () => {
    const untrusted = 'Cannot use record x: none of the trusted keys has signed it';
    const other = Buffer.from('{"what":"it sayz"}').toString('base64');
    expect(
      opened(
        changed(signed, () => ({ payload: other })),
        [alice],
      ),
    ).toBe(untrusted);
    expect(
      opened(
        changed(signed, () => ({ payloadType: TREE_RECORD_TYPE })),
        [alice],
        [TREE_RECORD_TYPE],
      ),
    ).toBe(untrusted);
    fc.assert(
      fc.property(fc.nat(63), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const forged = changed(signed, ({ signatures }) => {
          const [{ sig }] = signatures as [{ sig: string }];
          const bytes = Buffer.from(sig, 'base64');
          bytes[at] = (bytes[at] ?? 0) ^ mask;
          return { signatures: [{ keyid: 'alice', sig: bytes.toString('base64') }] };
        });
        expect(opened(forged, [alice])).toBe(untrusted);
      }),
      { numRuns: 30 },
    );
  });

  test('counts whatever id its signature has, and among others that are none', () => {
    const sigOf = (envelope: Uint8Array): string =>
      (JSON.parse(Buffer.from(envelope).toString()) as { signatures: [{ sig: string }] }).signatures[0].sig;
    const sig = sigOf(signed);
    for (const signatures of [
      [{ keyid: 'bob', sig }],
      [{ sig }],
      [{ sig: 'AAAA' }, { sig: '' }, { sig: sigOf(seal(payload, bob)) }, { sig }],
    ])
      expect(
        opened(
          changed(signed, () => ({ signatures })),
          [alice],
        ),
      ).toBe(payload.toString());
  });
});

describe('an envelope', () => {
  test.each<[string, (document: Record<string, unknown>) => object, RegExp]>([
    ['no payload', () => ({ payload: undefined }), /"payload"/],
    ['a payload that is no text', () => ({ payload: 7 }), /"payload"/],
    ['no signatures', () => ({ signatures: undefined }), /"signatures"/],
    ['signatures that are no list', () => ({ signatures: {} }), /"signatures"/],
    ['too many signatures', () => ({ signatures: Array.from({ length: 17 }, () => ({ sig: '' })) }), /"signatures"/],
    ['a signature that is none', () => ({ signatures: [7] }), /"signatures\[0\]"/],
    ['a signature without bytes', () => ({ signatures: [{ keyid: 'a' }] }), /"signatures\[0\]\.sig"/],
    ['another type', () => ({ payloadType: 'text/plain' }), /"payloadType" is not application\/vnd\.tsbuild\.step/],
    ['no type', () => ({ payloadType: null }), /"payloadType"/],
  ])('with %s is refused', (_what, change, message) => {
    const bytes = changed(seal(payload, alice), change);
    expect(opened(bytes, 'any')).toMatch(message);
    expect(opened(bytes, 'any')).toMatch(/^Cannot use record x: /);
  });

  test('holds the largest record with a signature, and no more is read', () => {
    const largest = seal(Buffer.alloc(MAX_RECORD_BYTES), alice);
    expect(largest.length).toBeLessThanOrEqual(MAX_ENVELOPE_BYTES);
    expect(openEnvelope(largest, 'x').payload).toHaveLength(MAX_RECORD_BYTES);
    const padded = Buffer.concat([largest, Buffer.alloc(MAX_ENVELOPE_BYTES + 1 - largest.length, ' ')]);
    expect(opened(padded, 'any')).toMatch(/more than the limit/);
  });

  test('is opened as what it is, however its bytes lie in memory', () => {
    const bytes = seal(payload, undefined);
    const within = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('behind')]).subarray(6, 6 + bytes.length);
    expect(openEnvelope(new Uint8Array(within), 'x')).toMatchObject({ type: RECORD_TYPE, signatures: [] });
  });
});

describe('the blobs that a record names', () => {
  const layers = ['a', 'b'].map((name) => ({ digest: sha256(name), size: 1 }));
  const sealed = (record: unknown, type?: string): Buffer => seal(Buffer.from(JSON.stringify(record)), alice, type);

  test.each(RECORD_TYPES)('are known for %s', (type) => {
    expect(namedLayers(sealed({ layers }, type))).toEqual([sha256('a'), sha256('b')]);
  });

  test('are none where there is no result, or what is there is damaged', () => {
    expect(namedLayers(sealed({}))).toBeUndefined();
    expect(namedLayers(sealed({ layers: [] }))).toEqual([]);
    expect(namedLayers(sealed({ layers: [{ digest: 'sha256:x' }, layers[0]] }))).toEqual([sha256('a')]);
    for (const damaged of [
      Buffer.alloc(0),
      Buffer.from('{'),
      sealed({ layers: 7 }),
      sealed({ layers: [7] }),
      sealed([]),
    ])
      expect(namedLayers(damaged)).toBeUndefined();
    expect(namedLayers(sealed({ layers }, 'text/plain'))).toBeUndefined();
  });
});
