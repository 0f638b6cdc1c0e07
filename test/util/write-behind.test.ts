import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { WriteBehind } from '../../src/util/index.ts';

const base = mkdtempSync(join(tmpdir(), 'behind-'));
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** How many descriptors of this process are open on a path. */
function openOn(path: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  }).length;
}

test('holds a descriptor of its own while it writes, and none in the end', async () => {
  const path = join(base, 'file');
  const fd = openSync(path, 'wx');
  const chunk = Buffer.alloc(1 << 20);
  const behind = new WriteBehind(fd);
  for (let written = 0; written < 20; written++) {
    writeSync(fd, chunk);
    behind.wrote(chunk.length);
    expect(openOn(path)).toBe(written < 3 ? 1 : 2);
  }
  behind[Symbol.dispose]();
  closeSync(fd);
  await expect.poll(() => openOn(path)).toBe(0);
});

test('a file that cannot be opened is no failure', () => {
  const behind = new WriteBehind(1_000_000);
  behind.wrote(1 << 30);
  behind[Symbol.dispose]();
});
