import { MalformedError } from './errors.ts';
import { Reader } from './reader.ts';

/** Types of packets (RFC 9580, section 5) that have a meaning here. */
export const PACKET = { signature: 2, secretKey: 5, publicKey: 6, userId: 13, publicSubkey: 14, userAttribute: 17 };

/** A packet, not looked into. */
export interface Packet {
  readonly tag: number;
  readonly body: Buffer;
}

/** Packets of one text; more are nobody's. */
const MAX_PACKETS = 10_000;

/** Splits bytes into packets, in either format. Nothing here comes in parts of which nobody knows how many there are. @throws MalformedError */
export function splitPackets(data: Buffer): readonly Packet[] {
  const reader = new Reader(data);
  const packets: Packet[] = [];
  while (reader.left > 0) {
    if (packets.length >= MAX_PACKETS) throw new MalformedError(`it has more than ${MAX_PACKETS} packets`);
    const first = reader.byte();
    if ((first & 0x80) === 0) throw new MalformedError('what should be a packet is none');
    const isNew = (first & 0x40) !== 0;
    const tag = isNew ? first & 0x3f : (first & 0x3c) >> 2;
    const length = isNew ? newLength(reader) : oldLength(reader, first & 3);
    packets.push({ tag, body: reader.take(length) });
  }
  return packets;
}

/** A length of one, two or five bytes, as of packets in the newer format and of subpackets. */
export function newLength(reader: Reader): number {
  const first = reader.byte();
  if (first < 192) return first;
  if (first < 224) return ((first - 192) << 8) + reader.byte() + 192;
  if (first === 255) return reader.uint32();
  throw new MalformedError('a packet comes in parts');
}

function oldLength(reader: Reader, kind: number): number {
  if (kind === 0) return reader.byte();
  if (kind === 1) return reader.uint16();
  if (kind === 2) return reader.uint32();
  throw new MalformedError('a packet does not say how long it is');
}
