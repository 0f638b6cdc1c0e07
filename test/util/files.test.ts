import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exhausted, makeDirectories } from '../../src/util/index.ts';
import { TempDir } from '../tree/support.ts';

const modeOf = (path: string): number => fs.statSync(path).mode & 0o7777;

describe('directories', () => {
  test('are made with those above them, and may be there', () => {
    using dir = new TempDir();
    const deep = join(dir.path, 'a/b/c/d');
    makeDirectories(deep);
    makeDirectories(deep);
    expect(fs.statSync(deep).isDirectory()).toBe(true);
    makeDirectories(join(dir.path, 'private/inner'), 0o700);
    expect([modeOf(join(dir.path, 'private')), modeOf(join(dir.path, 'private/inner'))]).toEqual([0o700, 0o700]);
  });

  test('may be links to directories', () => {
    using dir = new TempDir();
    dir.mkdir('real');
    dir.link('real', 'link');
    makeDirectories(join(dir.path, 'link'));
    makeDirectories(join(dir.path, 'link/below'));
    expect(fs.readdirSync(join(dir.path, 'real'))).toEqual(['below']);
  });

  test('are not made of files, nor beneath them', () => {
    using dir = new TempDir();
    const file = dir.write('file');
    expect(() => makeDirectories(file)).toThrow(/EEXIST/);
    expect(() => makeDirectories(join(file, 'below'))).toThrow(/ENOTDIR/);
    dir.link('nowhere', 'dangling');
    expect(() => makeDirectories(join(dir.path, 'dangling'))).toThrow();
  });

  test('end in an error where the kernel has none to make, and do not go on for ever', () => {
    expect(() => makeDirectories('/proc/none/deep/deeper')).toThrow(/ENOENT/);
  });
});

describe('space', () => {
  test('is enough here, also for what does not exist yet', () => {
    using dir = new TempDir();
    expect(exhausted(dir.path)).toBeUndefined();
    expect(exhausted(join(dir.path, 'not/there/yet'))).toBeUndefined();
  });

  test('is never enough for everything', () => {
    using dir = new TempDir();
    expect(exhausted(dir.path, { bytes: Infinity, inodes: 0 })).toBe('bytes');
    expect(exhausted(dir.path, { bytes: 0, inodes: Number.MAX_SAFE_INTEGER })).toBe('inodes');
    expect(exhausted(dir.path, { bytes: 0, inodes: 0 })).toBeUndefined();
  });
});
