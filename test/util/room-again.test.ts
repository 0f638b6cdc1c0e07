import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { onRoom, roomAgain } from '../../src/util/index.ts';

/** A stream that is full after a byte, and takes it when it is told to. */
function slow(): { readonly stream: Writable; readonly take: () => void } {
  let taken: (() => void) | undefined;
  const stream = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void (taken = done) });
  stream.on('error', () => undefined);
  return { stream, take: () => taken?.() };
}
const listeners = (stream: Writable): readonly number[] =>
  ['drain', 'close'].map((event) => stream.listenerCount(event));

test('a stream that was full is waited for until it takes more', async () => {
  const { stream, take } = slow();
  const before = listeners(stream);
  expect(stream.write('ab')).toBe(false);
  let has = false;
  const waiting = roomAgain(stream).then(() => (has = true));
  await Promise.resolve();
  expect(has).toBe(false);
  take();
  await waiting;
  expect(listeners(stream)).toEqual(before);
});

test.each([
  ['ends', (stream: Writable) => stream.destroy()],
  ['fails', (stream: Writable) => stream.destroy(new Error('EPIPE'))],
])('one that %s has no room any more, and is not waited for', async (_how, end) => {
  const { stream } = slow();
  const before = listeners(stream);
  stream.write('ab');
  const waiting = roomAgain(stream);
  end(stream);
  await waiting;
  expect(listeners(stream)).toEqual(before);
});

test('it is told once', async () => {
  const { stream, take } = slow();
  let told = 0;
  stream.write('ab');
  onRoom(stream, () => told++);
  take();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toBe(1);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.destroy();
  await closed;
  expect(told).toBe(1);
});
