import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stripXattrs } from '../../src/layer/index.ts';
import { getXattr, listXattrs, setXattr } from '../../src/sys/index.ts';

let work: string;
let upper: string;
let lower: string;

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'tsbuild-strip-'));
  [upper, lower] = [join(work, 'upper'), join(work, 'lower')];
  for (const dir of [upper, lower]) mkdirSync(join(dir, 'd'), { recursive: true });
});
afterEach(() => rmSync(work, { recursive: true }));

function write(path: string, content: string, xattrs: Readonly<Record<string, string>>): void {
  writeFileSync(path, content);
  utimesSync(path, 1, 1);
  for (const [name, value] of Object.entries(xattrs)) setXattr(path, name, value);
}

const attributes = (path: string): Record<string, string | undefined> =>
  Object.fromEntries(
    listXattrs(join(upper, path)).map((name) => [name, getXattr(join(upper, path), name)?.toString('latin1')]),
  );

test('new files and directories lose theirs; capabilities and those of overlayfs stay', () => {
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  write(join(upper, 'f'), 'x', { 'user.a': '1', 'user.overlay.origin': 'o', 'user.overlay.overlay.x': 'y' });
  setXattr(join(upper, 'f'), 'security.capability', capability);
  mkdirSync(join(upper, 'd/e'));
  setXattr(join(upper, 'd/e'), 'user.overlay.opaque', 'y');
  for (const path of ['', 'd', 'd/e']) setXattr(join(upper, path), 'user.ü', 'b');
  write(join(upper, 'd/e/g'), '', { 'user.a': '' });
  stripXattrs({ upper, lowers: [lower] });
  expect(attributes('f')).toEqual({
    'security.capability': capability.toString('latin1'),
    'user.overlay.origin': 'o',
    'user.overlay.overlay.x': 'y',
  });
  expect(attributes('d/e')).toEqual({ 'user.overlay.opaque': 'y' });
  for (const path of ['', 'd', 'd/e/g']) expect(attributes(path)).toEqual({});
});

test('what the image shows all the same stays: that of directories below, and of files that were only copied up', () => {
  for (const [dir, more] of [
    [lower, {}],
    [upper, { 'user.mine': 'n' }],
  ] as const) {
    const changed = dir === upper ? { 'user.base': 'changed' } : { 'user.base': 'b' };
    for (const [name, value] of Object.entries({ ...changed, ...more })) setXattr(join(dir, 'd'), name, value);
    write(join(dir, 'd/same'), 'same', { 'user.base': 'b', ...more });
    write(join(dir, 'd/other'), dir, { 'user.base': 'b', ...more });
    write(join(dir, 'd/linked'), 'same', { 'user.base': 'b', ...more });
  }
  linkSync(join(upper, 'd/linked'), join(upper, 'd/linked2'));
  stripXattrs({ upper, lowers: [lower] });
  expect(attributes('d')).toEqual({ 'user.base': 'b' });
  expect(attributes('d/same')).toEqual({ 'user.base': 'b' });
  expect(attributes('d/other')).toEqual({});
  expect(attributes('d/linked')).toEqual({});
});

test('a directory that hides the one below has nothing of it', () => {
  setXattr(join(lower, 'd'), 'user.base', 'b');
  write(join(lower, 'd/f'), 'x', { 'user.base': 'b' });
  setXattr(join(upper, 'd'), 'user.overlay.opaque', 'y');
  setXattr(join(upper, 'd'), 'user.base', 'b');
  write(join(upper, 'd/f'), 'x', { 'user.base': 'b' });
  stripXattrs({ upper, lowers: [lower] });
  expect(attributes('d')).toEqual({ 'user.overlay.opaque': 'y' });
  expect(attributes('d/f')).toEqual({});
});

test('symlinks are not followed, and depth is no problem', () => {
  write(join(work, 'victim'), 'x', { 'user.a': '1' });
  symlinkSync('../victim', join(upper, 'l'));
  symlinkSync('../..', join(upper, 'd/up'));
  let deep = join(upper, 'd');
  for (let level = 0; level < 900; level++) mkdirSync((deep = join(deep, 'x')));
  write(join(deep, 'f'), 'x', { 'user.a': '1' });
  stripXattrs({ upper, lowers: [lower] });
  expect(getXattr(join(work, 'victim'), 'user.a')?.toString()).toBe('1');
  expect(listXattrs(join(deep, 'f'))).toEqual([]);
});
