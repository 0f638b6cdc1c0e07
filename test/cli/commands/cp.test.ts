import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

let dir: TempDir;
const { run } = commandIn(() => dir.path);
beforeEach(() => {
  dir = new TempDir();
  writeFileSync(join(dir.path, 'file'), '');
});
afterEach(() => dir[Symbol.dispose]());

// Docker: what begins with a slash or a dot is a path of this machine, whatever else is in it; else what stands before the first
// colon is a container.
test.each<[from: string, to: string, why: string]>([
  ['file', 'other', 'neither of the two is in a container\nhint: a path in a container is NAME:PATH'],
  ['/a:b', './c:d', 'neither of the two'],
  ['../x:y', '.:z', 'neither of the two'],
  [':file', 'other', 'neither of the two'],
  ['file', '-', 'neither of the two'],
  ['one:/x', 'two:/y', 'from container to container\nhint: by way of an archive: tsbuild cp one:/x - | tsbuild cp - two:/y'],
  ['one:/x', 'one:/y', 'from container to container'],
  ['web:', 'file', 'Cannot copy "web:": the path in the container is missing'],
  ['', 'web:/x', 'a path is empty'],
  ['web:/x', '', 'a path is empty'],
])('cp %j %j is refused', async (from, to, why) => {
  const { code, out, err } = await run('cp', from, to);
  expect([code, out]).toEqual([2, '']);
  expect(err).toMatch(/^error: Cannot copy/);
  expect(err).toContain(why);
}); // oxfmt-ignore

test.each([
  ['none:/etc', '.', 'none'],
  ['/etc/hostname', 'none:/etc', 'none'],
  // The first colon alone divides.
  ['none:/a:b', 'x', 'none'],
  ['-', 'none:/', 'none'],
  ['./a:b', 'none:c', 'none'],
])('cp %j %j asks for the container %s', async (from, to, name) => {
  const { code, err } = await run('cp', from, to);
  expect(code).toBe(1);
  expect(err).toContain(`No such container: ${name}`);
});
