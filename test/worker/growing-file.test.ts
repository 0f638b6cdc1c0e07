import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readGrowing } from '../../src/worker/growing-file.ts';

let dir: string;
let growing: string;
let complete: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-growing-'));
  [growing, complete] = [join(dir, 'growing'), join(dir, 'complete')];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const CHUNK = 256 << 10;

/** All that is read; `piece` is told of each piece's length. */
async function readAll(
  size: number,
  piece: (length: number) => void = () => undefined,
  signal: AbortSignal = new AbortController().signal,
): Promise<Buffer> {
  const read: Buffer[] = [];
  for await (const bytes of readGrowing([growing, complete], size, signal)) {
    read.push(Buffer.from(bytes));
    piece(bytes.length);
  }
  return Buffer.concat(read);
}

test.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK + 7])('a file of %i bytes that is whole', async (size) => {
  const bytes = Buffer.from(Array.from({ length: size }, (_, at) => (at >> 8) & 255));
  writeFileSync(growing, bytes);
  expect((await readAll(size)).equals(bytes)).toBe(true);
});

test('one that grows is followed to its end, also when it is put in its place meanwhile', async () => {
  writeFileSync(growing, 'one ');
  const rest = ['two ', 'three ', 'four'];
  const read = await readAll(18, () => {
    const next = rest.shift();
    if (next === undefined) return;
    if (rest.length === 1) renameSync(growing, complete);
    appendFileSync(rest.length > 1 ? growing : complete, next);
  });
  expect(read.toString()).toBe('one two three four');
});

test('one that was put in its place before anybody looked', async () => {
  writeFileSync(complete, 'whole');
  expect((await readAll(5)).toString()).toBe('whole');
});

test('no more is read than it is to have, whatever is written behind', async () => {
  writeFileSync(growing, 'layer and more');
  expect((await readAll(5)).toString()).toBe('layer');
});

test('who waits for bytes that do not come ends with the reason of the signal', async () => {
  writeFileSync(growing, 'half');
  const reason = new Error('the transfer failed');
  const stop = new AbortController();
  const reading = readAll(8, () => setImmediate(() => stop.abort(reason)), stop.signal);
  await expect(reading).rejects.toBe(reason);
  await expect(readAll(8, undefined, AbortSignal.abort(reason))).rejects.toBe(reason);
});

test('a link in its place is not followed, and what is nowhere is an error', async () => {
  await expect(readAll(1)).rejects.toThrow(expect.objectContaining({ code: 'ENOENT' }));
  writeFileSync(join(dir, 'secret'), 'secret');
  symlinkSync('secret', growing);
  await expect(readAll(6)).rejects.toThrow(expect.objectContaining({ code: 'ELOOP' }));
  rmSync(growing);
  symlinkSync('secret', complete);
  await expect(readAll(6)).rejects.toThrow(expect.objectContaining({ code: 'ELOOP' }));
  rmSync(complete);
  mkdirSync(growing);
  await expect(readAll(6)).rejects.toThrow(expect.objectContaining({ code: 'EISDIR' }));
});
