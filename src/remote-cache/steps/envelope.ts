import { guardFor } from '../../image/index.ts';
import { parseStrictJson } from '../../util/index.ts';
import type { SigningKey, VerifyKey } from './keys.ts';
import { MAX_RECORD_BYTES, RECORD_TYPE } from './record.ts';

/** Largest envelope that is read, in bytes: a record in base64, and signatures. */
export const MAX_ENVELOPE_BYTES: number = MAX_RECORD_BYTES * 1.5;
const MAX_SIGNATURES = 16;

/** The bytes of a record with who signed them. */
export interface Envelope {
  /** What the payload is; part of what is signed. */
  readonly type: string;
  readonly payload: Buffer;
  readonly signatures: readonly { readonly keyid: string; readonly sig: Buffer }[];
}

/** Puts a record into an envelope (DSSE, https://github.com/secure-systems-lab/dsse), signed where there is a key. */
export function seal(payload: Uint8Array, key: SigningKey | undefined, type: string = RECORD_TYPE): Buffer {
  const signatures =
    key === undefined
      ? []
      : [{ keyid: key.id, sig: Buffer.from(key.sign(preAuthentication(type, payload))).toString('base64') }];
  const text = Buffer.from(payload).toString('base64');
  return Buffer.from(JSON.stringify({ payloadType: type, payload: text, signatures }));
}

/**
 * Reads an envelope. What it says is nobody's word until `isSignedBy` says whose.
 * @param types what may be in it
 * @throws TsbuildError `TSB_IMAGE`
 */
export function openEnvelope(bytes: Uint8Array, what: string, types: readonly string[] = [RECORD_TYPE]): Envelope {
  const guard = guardFor(what);
  const { payloadType, payload, signatures } = guard.object(
    parseStrictJson(bytes, { what, maxBytes: MAX_ENVELOPE_BYTES }),
    '',
  );
  if (typeof payloadType !== 'string' || !types.includes(payloadType))
    throw guard.fail('payloadType', `is not ${types.join(' or ')}`);
  return {
    type: payloadType,
    payload: decodeBase64(guard.string(payload, 'payload')),
    signatures: guard.list(signatures, 'signatures', MAX_SIGNATURES).map((value, at) => {
      const { keyid, sig } = guard.object(value, `signatures[${at}]`);
      return {
        keyid: guard.string(keyid ?? '', `signatures[${at}].keyid`),
        sig: decodeBase64(guard.string(sig, `signatures[${at}].sig`)),
      };
    }),
  };
}

/** Whether one of the keys has signed it. Ids of keys are only hints (DSSE): all keys are tried. */
export function isSignedBy({ type, payload, signatures }: Envelope, keys: readonly VerifyKey[]): boolean {
  const signed = preAuthentication(type, payload);
  return signatures.some(({ sig }) => sig.length === 64 && keys.some((key) => key.verify(signed, sig)));
}

/** DSSE's PAE: the type and the bytes with their lengths, so that no signature can be taken for one of something else. */
function preAuthentication(type: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]);
}

/** Whatever is wrong with it shows when what it gives is looked at. */
function decodeBase64(text: string): Buffer {
  return Buffer.from(text, 'base64');
}
