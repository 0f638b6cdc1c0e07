import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exhausted, makeDirectories, writeBeside } from '../../src/util/index.ts';
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

describe('a file that is written beside another one', () => {
  test('is in the same directory, whole and for its owner alone', () => {
    using dir = new TempDir();
    const target = dir.write('target', 'old');
    const written = writeBeside(target, 'new ünïcode');
    expect(written.startsWith(`${dir.path}/.target.`)).toBe(true);
    expect(fs.readFileSync(written, 'utf8')).toBe('new ünïcode');
    expect(modeOf(written)).toBe(0o600);
    expect(fs.readFileSync(target, 'utf8')).toBe('old');
    fs.renameSync(written, target);
    expect(fs.readdirSync(dir.path)).toEqual(['target']);
  });

  test('has the permissions that it is to have, whatever the umask is', () => {
    using dir = new TempDir();
    const before = process.umask(0o077);
    try {
      expect(modeOf(writeBeside(join(dir.path, 'a'), '', { mode: 0o644 }))).toBe(0o644);
      expect(modeOf(writeBeside(join(dir.path, 'b'), '', { create: 0o666 }))).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test('has a name of its own each time, of a length that every file system takes', () => {
    using dir = new TempDir();
    const target = join(dir.path, 'x'.repeat(255));
    const names = [1, 2, 3].map(() => writeBeside(target, 'text'));
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(fs.existsSync(name)).toBe(true);
  });

  test('leaves nothing where it cannot be whole', () => {
    using dir = new TempDir();
    expect(() => writeBeside(join(dir.path, 'none/target'), 'text')).toThrow(/ENOENT/);
    // Nobody can give a file to an id that there is not.
    expect(() => writeBeside(join(dir.path, 'target'), 'text', { owner: { uid: -5, gid: 0 } })).toThrow();
    expect(fs.readdirSync(dir.path)).toEqual([]);
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
