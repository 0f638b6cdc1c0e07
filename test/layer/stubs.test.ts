import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Stubs } from '../../src/layer/index.ts';
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openat, statat } from '../../src/sys/index.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
beforeEach(() => {
  dir = new TempDir();
});
afterEach(() => dir[Symbol.dispose]());

/** Whether a path of the directory is one that was made for these mounts. */
function isStub(path: string, ...mounts: readonly string[]): boolean {
  const parent = openat(AT_FDCWD, join(dir.path, path, '..'), O_RDONLY | O_DIRECTORY);
  try {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return new Stubs(mounts).has(parent, name, path, statat(parent, name));
  } finally {
    close(parent);
  }
}

describe('what was made to be mounted on', () => {
  test('is an empty file or directory of that path', () => {
    dir.write('etc/resolv.conf');
    dir.mkdir('cache');
    expect(isStub('etc/resolv.conf', 'etc/resolv.conf')).toBe(true);
    expect(isStub('cache', 'etc/resolv.conf', 'cache')).toBe(true);
    expect(isStub('cache', 'etc/resolv.conf')).toBe(false);
    expect(isStub('cache')).toBe(false);
  });

  test('and the directories on the way to it, where they have nothing else', () => {
    dir.mkdir('root/.cache/pip');
    for (const path of ['root', 'root/.cache', 'root/.cache/pip']) expect(isStub(path, 'root/.cache/pip')).toBe(true);
    dir.write('root/.profile');
    expect(isStub('root', 'root/.cache/pip')).toBe(false);
    expect(isStub('root/.cache', 'root/.cache/pip')).toBe(true);
  });

  test('two mounts may share the way', () => {
    dir.mkdir('run/secrets');
    dir.write('run/secrets/a');
    dir.write('run/secrets/b');
    expect(isStub('run', 'run/secrets/a', 'run/secrets/b')).toBe(true);
    expect(isStub('run', 'run/secrets/a')).toBe(false);
  });

  test('is not what a step has put there', () => {
    dir.write('f', 'x');
    dir.write('d/x');
    dir.link('elsewhere', 'l');
    for (const path of ['f', 'd', 'l']) expect(isStub(path, path)).toBe(false);
    // Nor what is named alike: the path counts, and not how it begins.
    dir.mkdir('cache2');
    dir.mkdir('a/cache');
    expect(isStub('cache2', 'cache')).toBe(false);
    expect(isStub('a/cache', 'cache')).toBe(false);
  });

  test('is looked for through no link', () => {
    dir.mkdir('real/inner');
    dir.link('real', 'd');
    expect(isStub('d', 'd/inner')).toBe(false);
    fs.rmSync(join(dir.path, 'real/inner'), { recursive: true });
    fs.symlinkSync('/', join(dir.path, 'real/inner'));
    expect(isStub('real', 'real/inner')).toBe(false);
  });
});
