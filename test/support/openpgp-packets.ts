import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

interface SignOptions {
  readonly created?: number;
  readonly hash?: string;
  readonly hashNumber?: number;
  readonly saltLength?: number;
}

/** Makes packets that no program makes: of version 6, or with bindings that are not right. Ed25519 only. */
export class OpenpgpKey {
  readonly #private: KeyObject;
  readonly #version: 4 | 6;
  readonly body: Buffer;
  readonly fingerprint: Buffer;

  constructor(version: 4 | 6, created = 1_600_000_000) {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    this.#version = version;
    this.#private = privateKey;
    const point = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    const head = Buffer.concat([Buffer.of(version), uint32(created), Buffer.of(27)]);
    this.body = Buffer.concat([head, ...(version === 6 ? [uint32(point.length)] : []), point]);
    this.fingerprint = createHash(version === 6 ? 'sha256' : 'sha1')
      .update(this.hashed)
      .digest();
  }

  /** As signatures on the key have it. */
  get hashed(): Buffer {
    const head =
      this.#version === 6 ? [Buffer.of(0x9b), uint32(this.body.length)] : [Buffer.of(0x99), uint16(this.body.length)];
    return Buffer.concat([...head, this.body]);
  }

  /** The body of a signature. @param more subpackets that are signed: types with their content */
  sign(
    type: number,
    data: Uint8Array,
    more: readonly (readonly [number, Uint8Array])[] = [],
    { created = 1_650_000_000, hash = 'sha512', hashNumber = 10, saltLength = 32 }: SignOptions = {},
  ): Buffer {
    const subpackets = [
      [2, uint32(created)] as const,
      [33, Buffer.concat([Buffer.of(this.#version), this.fingerprint])] as const,
      ...more,
    ].map(([kind, content]) => Buffer.concat([lengthOf(content.length + 1), Buffer.of(kind), content]));
    const hashed = Buffer.concat(subpackets);
    const size = (length: number): Buffer => (this.#version === 6 ? uint32(length) : uint16(length));
    const fields = Buffer.concat([Buffer.of(this.#version, type, 27, hashNumber), size(hashed.length), hashed]);
    const salt = Buffer.alloc(this.#version === 6 ? saltLength : 0, 7);
    const digest = createHash(hash)
      .update(Buffer.concat([salt, data, fields, Buffer.of(this.#version, 0xff), uint32(fields.length)]))
      .digest();
    const value = sign(null, digest, this.#private);
    const ofSalt = this.#version === 6 ? [Buffer.of(salt.length), salt] : [];
    return Buffer.concat([fields, size(0), digest.subarray(0, 2), ...ofSalt, value]);
  }
}

/** A packet of a type. */
export function packet(tag: number, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(0xc0 | tag, 0xff), uint32(body.length), body]);
}

function lengthOf(length: number): Buffer {
  return Buffer.concat([Buffer.of(0xff), uint32(length)]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
