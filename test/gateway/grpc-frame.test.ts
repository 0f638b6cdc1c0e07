import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeFrame, FrameReader, MessageReader } from '../../src/gateway/grpc-frame.ts';
import { CallError, statusCodes } from '../../src/gateway/status.ts';

/** The status of a call that is answered with one. */
function statusOf(run: () => unknown): number {
  try {
    run();
  } catch (error) {
    if (error instanceof CallError) return error.status;
    throw error;
  }
  return 0;
}

/** A frame whose prefix may say what it likes (grpc.io, "gRPC over HTTP/2": Length-Prefixed-Message). */
function frame(flag: number, length: number, body: Uint8Array = new Uint8Array()): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag, 0);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, body]);
}

/** The bytes in pieces of these lengths, again and again. */
function pieces(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1;
    out.push(bytes.subarray(at, at + length));
    at += length;
  }
  return out;
}

const body = fc.uint8Array({ maxLength: 40 });
const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 });

test('a message is written behind five bytes: not compressed, and its length', () => {
  expect(encodeFrame(Buffer.from('abc')).toString('hex')).toBe('0000000003616263');
  expect(encodeFrame(new Uint8Array()).toString('hex')).toBe('0000000000');
  expect(encodeFrame(new Uint8Array(0x01_02_03)).subarray(0, 5).toString('hex')).toBe('0000010203');
});

describe('the messages of a stream', () => {
  test('come as they were sent, however they are cut, and hold nothing afterwards', () => {
    fc.assert(
      fc.property(fc.array(body, { maxLength: 6 }), lengths, (bodies, cuts) => {
        const budget = { used: 0, max: 10_000 };
        using reader = new MessageReader(64, budget);
        const bytes = Buffer.concat(bodies.map(encodeFrame));
        const got = pieces(bytes, cuts).flatMap((piece) => Array.from(reader.take(piece), (one) => Buffer.from(one)));
        expect(got).toEqual(bodies.map((one) => Buffer.from(one)));
        reader.finish();
        expect(budget.used).toBe(0);
      }),
    );
  });

  test('that end within a message are cut off, and what was read of it is given back', () => {
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 44 }), (one, cut) => {
        const bytes = encodeFrame(one);
        fc.pre(cut < bytes.length);
        const budget = { used: 7, max: 10_000 };
        {
          using reader = new MessageReader(64, budget);
          expect([...reader.take(bytes.subarray(0, cut))]).toEqual([]);
          expect(budget.used).toBe(7 + cut);
          expect(statusOf(() => reader.finish())).toBe(statusCodes.invalidArgument);
        }
        expect(budget.used).toBe(7);
      }),
    );
  });

  test.each<[string, Buffer, number]>([
    ['as large as allowed', frame(0, 64, new Uint8Array(64)), 0],
    ['larger than allowed, by its prefix alone', frame(0, 65), statusCodes.resourceExhausted],
    ['as large as a prefix can say', frame(0, 0xffff_ffff), statusCodes.resourceExhausted],
    ['compressed', frame(1, 1, new Uint8Array(1)), statusCodes.unimplemented],
    ['with a flag that nobody has', frame(0x80, 1, new Uint8Array(1)), statusCodes.unimplemented],
  ])('%s', (_name, bytes, status) => {
    const budget = { used: 0, max: 10_000 };
    {
      using reader = new MessageReader(64, budget);
      expect(statusOf(() => [...reader.take(bytes)])).toBe(status);
    }
    expect(budget.used).toBe(0);
  });

  test('of several streams hold together what one of them may', () => {
    const budget = { used: 0, max: 100 };
    {
      using one = new MessageReader(90, budget);
      using other = new MessageReader(90, budget);
      expect([...one.take(frame(0, 80, new Uint8Array(60)))]).toEqual([]);
      expect(statusOf(() => [...other.take(new Uint8Array(36))])).toBe(statusCodes.resourceExhausted);
      // What was refused is not held.
      expect(budget.used).toBe(65);
      expect([...one.take(new Uint8Array(20))]).toHaveLength(1);
      expect(budget.used).toBe(0);
      expect([...other.take(frame(0, 3, Buffer.from('abc')))]).toEqual([Buffer.from('abc')]);
    }
    expect(budget.used).toBe(0);
  });

  test('that stand in one piece are each given once', () => {
    using reader = new MessageReader(10, { used: 0, max: 1000 });
    const taken = reader.take(
      Buffer.concat([frame(0, 1, Buffer.from('a')), frame(0, 0), frame(0, 1, Buffer.from('b'))]),
    );
    expect(Array.from(taken, (one) => Buffer.from(one).toString())).toEqual(['a', '', 'b']);
  });
});

describe('the message of a unary call', () => {
  const read = (max: number, ...chunks: readonly Uint8Array[]): Uint8Array => {
    const reader = new FrameReader(max, { used: 0, max: 1000 });
    for (const chunk of chunks) reader.push(chunk);
    return reader.finish();
  };

  test('comes as it was sent, however it is cut', () => {
    fc.assert(
      fc.property(body, lengths, (one, cuts) => {
        expect(Buffer.from(read(64, ...pieces(encodeFrame(one), cuts)))).toEqual(Buffer.from(one));
      }),
    );
  });

  test.each<[string, readonly Uint8Array[], number]>([
    ['nothing', [], statusCodes.invalidArgument],
    ['half a prefix', [new Uint8Array(4)], statusCodes.invalidArgument],
    ['less than its prefix says', [frame(0, 3, new Uint8Array(2))], statusCodes.invalidArgument],
    ['two messages', [frame(0, 0), frame(0, 0)], statusCodes.invalidArgument],
    ['a compressed message', [frame(1, 0)], statusCodes.unimplemented],
    ['more than allowed', [frame(0, 64, new Uint8Array(64)), new Uint8Array(1)], statusCodes.resourceExhausted],
  ])('%s is refused', (_name, chunks, status) => {
    expect(statusOf(() => read(64, ...chunks))).toBe(status);
  });

  test('is given back whole when it is released, once', () => {
    const budget = { used: 3, max: 100 };
    const reader = new FrameReader(64, budget);
    reader.push(frame(0, 2, new Uint8Array(2)));
    expect(budget.used).toBe(10);
    reader.release();
    reader.release();
    expect(budget.used).toBe(3);
  });
});
