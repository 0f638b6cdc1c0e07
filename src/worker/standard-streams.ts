import { readSync, writeSync } from 'node:fs';
import { errnoOf } from '../util/index.ts';

/** ms between two looks at a pipe whose other end is slow: it may have been made not to block by whoever shares it. */
const PATIENCE = 2;
const cell = new Int32Array(new SharedArrayBuffer(4));

function patiently(act: () => number): number {
  for (;;) {
    try {
      return act();
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') throw error;
      Atomics.wait(cell, 0, 0, PATIENCE);
    }
  }
}

/** Writes all of it. */
export function writeStandardOutput(bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) done += patiently(() => writeSync(1, bytes, done, bytes.length - done));
}

/** What comes, to its end. */
export function* standardInput(): Generator<Buffer> {
  for (;;) {
    // A decompressor may still read the one before.
    const buffer = Buffer.allocUnsafeSlow(1 << 18);
    const count = patiently(() => {
      try {
        return readSync(0, buffer, 0, buffer.length, null);
      } catch (error) {
        // The end of a terminal's input.
        if (errnoOf(error) === 'EOF') return 0;
        throw error;
      }
    });
    if (count === 0) return;
    yield buffer.subarray(0, count);
  }
}
