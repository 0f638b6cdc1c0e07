import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ReaderGone, readRing, ringMemory, RingWriter } from '../../src/worker/byte-ring.ts';
import { raise, sharedSignal, signalFlag } from '../../src/worker/shared-signal.ts';

const SLOT = 256 << 10;
const SLOTS = 8;

const never = new AbortController().signal;

/** Bytes that tell where they come from. */
function patterned(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >> 8)) & 255;
  return bytes;
}

/** Whether a promise has come to an end after all that could go on without waiting went on. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  for (let turns = 0; turns < 5; turns++) await turn();
  return settled;
}

describe('a stream of bytes between two threads', () => {
  test('gives what was written, in order, whatever the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3000), { maxLength: SLOTS }), async (sizes) => {
        const memory = ringMemory();
        const writer = new RingWriter(memory);
        const pieces = sizes.map((size) => patterned(size));
        for (const piece of pieces) await writer.write(piece);
        writer.end(true);
        const read = [...readRing(memory, never)].map((piece) => Buffer.from(piece));
        expect(Buffer.concat(read).equals(Buffer.concat(pieces))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test.each([
    ['a byte less than a slot', SLOT - 1, 1],
    ['a slot', SLOT, 1],
    ['a byte more', SLOT + 1, 2],
    ['all slots', SLOT * SLOTS, SLOTS],
  ])('a piece of %s takes as many as it needs', async (_what, size, slots) => {
    const memory = ringMemory();
    const writer = new RingWriter(memory);
    const bytes = patterned(size);
    await writer.write(bytes);
    writer.end(true);
    const read = [...readRing(memory, never)].map((piece) => Buffer.from(piece));
    expect(read).toHaveLength(slots);
    expect(Buffer.concat(read).equals(bytes)).toBe(true);
  });

  test('holds the writer up while all slots are full, and lets it go on for each that is read', async () => {
    const memory = ringMemory();
    const writer = new RingWriter(memory);
    const bytes = patterned(SLOT * (SLOTS + 2));
    const writing = writer.write(bytes);
    expect(await isSettled(writing)).toBe(false);
    const reader = readRing(memory, never);
    const read: Buffer[] = [];
    const take = (): void => {
      const { value } = reader.next();
      if (value !== undefined) read.push(Buffer.from(value));
    };
    take();
    // A piece is still in use until the next one is asked for.
    expect(await isSettled(writing)).toBe(false);
    take();
    take();
    await writing;
    writer.end(true);
    for (const piece of reader) read.push(Buffer.from(piece));
    expect(Buffer.concat(read).equals(bytes)).toBe(true);
  });

  test('that is empty ends at once', () => {
    const memory = ringMemory();
    new RingWriter(memory).end(true);
    expect([...readRing(memory, never)]).toEqual([]);
  });

  test('that is broken off gives no more, also of what is there', async () => {
    const memory = ringMemory();
    const writer = new RingWriter(memory);
    await writer.write(patterned(10));
    writer.end(false);
    expect(() => [...readRing(memory, never)]).toThrow(
      expect.objectContaining({ code: 'TSB_CANCELED', message: 'Canceled: what was to be read does not come' }),
    );
  });

  test('ends for a writer whose reader is gone, whether it waits or comes later', async () => {
    const memory = ringMemory();
    const writer = new RingWriter(memory);
    const waiting = writer.write(patterned(SLOT * (SLOTS + 1)));
    const refused = expect(waiting).rejects.toThrow(ReaderGone);
    expect(await isSettled(waiting)).toBe(false);
    writer.readerIsGone();
    await refused;
    await expect(writer.write(Buffer.of(1))).rejects.toThrow(ReaderGone);
    // Nothing is nothing to anybody.
    await writer.write(Buffer.alloc(0));
  });

  test('that is canceled ends with the reason, before a byte of what is there', async () => {
    const memory = ringMemory();
    await new RingWriter(memory).write(patterned(10));
    const reason = new Error('Ctrl-C');
    expect(() => readRing(memory, AbortSignal.abort(reason)).next()).toThrow(reason);
  });

  test('that is canceled in the middle, by memory that both threads have', async () => {
    const memory = ringMemory();
    const writer = new RingWriter(memory);
    await writer.write(patterned(10));
    await writer.write(patterned(20));
    const flag = signalFlag();
    const reader = readRing(memory, sharedSignal(flag));
    expect(reader.next().value).toHaveLength(10);
    raise(flag);
    expect(() => reader.next()).toThrow(expect.objectContaining({ name: 'AbortError' }));
  });
});

describe('a signal in memory that two threads have', () => {
  test('is seen by who looks, without an event', () => {
    const flag = signalFlag();
    const signal = sharedSignal(flag);
    expect(signal.aborted).toBe(false);
    signal.throwIfAborted();
    raise(flag);
    expect(signal.aborted).toBe(true);
    expect(() => signal.throwIfAborted()).toThrow(expect.objectContaining({ name: 'AbortError' }));
    expect(signal.aborted, 'and stays').toBe(true);
  });

  test('tells who listens, once, when somebody looks', () => {
    const flag = signalFlag();
    const signal = sharedSignal(flag);
    let told = 0;
    signal.addEventListener('abort', () => told++);
    raise(flag);
    expect(told).toBe(0);
    for (let times = 0; times < 3; times++) expect(signal.aborted).toBe(true);
    expect(told).toBe(1);
  });

  test('of one flag is another one than of another', () => {
    const [one, other] = [signalFlag(), signalFlag()];
    raise(one);
    expect([sharedSignal(one).aborted, sharedSignal(other).aborted]).toEqual([true, false]);
  });
});
