import { MalformedError, UnsupportedError } from './errors.ts';
import { Reader } from './reader.ts';

/** What a signature says beside what it is over (RFC 9580, section 5.2.3.7). Times are in seconds. */
export interface SignatureFacts {
  /** Since the epoch. */
  created?: number;
  /** After its creation; 0 for ever. */
  lifetime?: number;
  /** Of the key, after the key's creation; 0 for ever. */
  keyLifetime?: number;
  /** Whose it is, 16 capital hexadecimal digits. */
  issuer?: string;
  /** Undefined where nothing is said of what the key is for. */
  flags?: number;
  isPrimaryId?: boolean;
  revocationReason?: number;
  revocationText?: string;
  /** A signature within: of a subkey on its primary key. */
  embedded?: Buffer;
  /** A notation that has to be understood, and is not. */
  criticalNotation?: string;
}

const TYPE = {
  created: 2,
  lifetime: 3,
  keyLifetime: 9,
  issuer: 16,
  notation: 20,
  primaryId: 25,
  flags: 27,
  revocationReason: 29,
  embedded: 32,
  issuerFingerprint: 33,
};

/** Known, and of no consequence here. */
const HARMLESS = new Set([4, 5, 6, 7, 10, 11, 12, 21, 22, 23, 24, 26, 28, 30, 31, 34, 35, 37, 38, 39]);
const CRITICAL = 0x80;

/** Reads subpackets into facts. Of those that nobody signed only what proves itself counts. @throws MalformedError, UnsupportedError */
export function readSubpackets(bytes: Buffer, isHashed: boolean, facts: SignatureFacts): void {
  const reader = new Reader(bytes);
  while (reader.left > 0) {
    const length = subpacketLength(reader);
    if (length === 0) throw new MalformedError('a subpacket is empty');
    const head = reader.byte();
    readOne(head & ~CRITICAL, (head & CRITICAL) !== 0, new Reader(reader.take(length - 1)), isHashed, facts);
  }
}

/** As of packets, but that lengths of two bytes go further: nothing comes in parts. */
function subpacketLength(reader: Reader): number {
  const first = reader.byte();
  if (first < 192) return first;
  if (first < 255) return ((first - 192) << 8) + reader.byte() + 192;
  return reader.uint32();
}

function readOne(type: number, isCritical: boolean, body: Reader, isHashed: boolean, facts: SignatureFacts): void {
  switch (type) {
    case TYPE.issuer: {
      const id = body.take(8).toString('hex').toUpperCase();
      // A fingerprint says the same, and more.
      facts.issuer ??= id;
      return body.end();
    }
    case TYPE.issuerFingerprint: {
      const version = body.byte();
      const fingerprint = body.rest().toString('hex').toUpperCase();
      if (fingerprint.length !== (version === 4 ? 40 : 64))
        throw new MalformedError('a fingerprint has another length');
      facts.issuer = version === 4 ? fingerprint.slice(-16) : fingerprint.slice(0, 16);
      return;
    }
    case TYPE.embedded:
      if (facts.embedded) throw new MalformedError('it holds two signatures');
      facts.embedded = body.rest();
      return;
  }
  if (!isHashed) return;
  switch (type) {
    case TYPE.created:
      facts.created = body.uint32();
      return body.end();
    case TYPE.lifetime:
      facts.lifetime = body.uint32();
      return body.end();
    case TYPE.keyLifetime:
      facts.keyLifetime = body.uint32();
      return body.end();
    case TYPE.flags:
      facts.flags = body.left === 0 ? 0 : body.byte();
      return;
    case TYPE.primaryId:
      facts.isPrimaryId = body.byte() > 0;
      return body.end();
    case TYPE.revocationReason:
      facts.revocationReason = body.byte();
      facts.revocationText = body.rest().toString('utf8');
      return;
    case TYPE.notation: {
      body.take(4);
      const [nameLength, valueLength] = [body.uint16(), body.uint16()];
      const name = body.take(nameLength).toString('utf8');
      body.take(valueLength);
      if (isCritical) facts.criticalNotation ??= name;
      return body.end();
    }
    default:
      if (isCritical && !HARMLESS.has(type))
        throw new UnsupportedError(`it says something of type ${type} that has to be understood, and is not`);
  }
}
