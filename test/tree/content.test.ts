import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { sameContent } from '../../src/tree/content.ts';

const folder = mkdtempSync(join(tmpdir(), 'tsbuild-content-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Compares two files, and a file with the bytes of the other. */
function compare(a: Buffer, b: Buffer): readonly [files: boolean, bytes: boolean] {
  const fds = [a, b].map((bytes, index) => {
    writeFileSync(join(folder, String(index)), bytes);
    return openSync(join(folder, String(index)), 'r');
  });
  try {
    const [ours = -1, theirs = -1] = fds;
    return [sameContent(ours, theirs), sameContent(a, theirs)];
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

test('files are the same when all their bytes are, whatever their length', () => {
  // Around the size of the pieces that are compared.
  const sizes = fc.constantFrom(0, 1, 1000, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 1 << 19, 600_000);
  fc.assert(
    fc.property(sizes, sizes, fc.nat(), (size, other, at) => {
      const a = Buffer.alloc(size, 'a');
      expect(compare(a, Buffer.alloc(other, 'a'))).toEqual([size === other, size === other]);
      if (size === 0) return;
      const changed = Buffer.from(a);
      changed[at % size] = 0;
      expect(compare(a, changed)).toEqual([false, false]);
    }),
    { numRuns: 60 },
  );
});
