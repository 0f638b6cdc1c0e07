import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dropCopiedUp, LayerRoots } from '../../src/worker/drop-copied-up.ts';

describe('what was copied up for mount points', () => {
  let dir = '';
  const make = (...names: readonly string[]): void => {
    for (const name of names) mkdirSync(join(dir, name), { recursive: true });
    for (const name of [...names, 'upper/etc', 'lower/etc', 'upper', 'lower']) utimesSync(join(dir, name), 1e9, 1e9);
  };
  const isThere = (name: string): boolean => existsSync(join(dir, 'upper', name));
  const dropFor = (...targets: readonly string[]): void =>
    dropCopiedUp(join(dir, 'upper'), [join(dir, 'lower')], targets, 0);
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-drop-'));
    make('lower/etc', 'lower/a/b', 'upper/etc');
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test('goes when it is empty and as below, and the time of what it was in stays', () => {
    make('lower/a', 'upper/a/b', 'upper/a');
    dropFor('/etc/hosts', '/a/b/file', '/none/x', '/top');
    expect([isThere('etc'), isThere('a'), isThere('')]).toEqual([false, false, true]);
    expect(statSync(join(dir, 'upper')).mtimeMs).toBe(1e12);
  });

  test('stays where the step has changed it, or made it', () => {
    make('upper/new');
    chmodSync(join(dir, 'upper/etc'), 0o700);
    dropFor('/etc/hosts', '/new/file');
    expect([isThere('etc'), isThere('new')]).toEqual([true, true]);
  });

  test('is compared with the topmost layer that shows it, whatever lies on that', () => {
    make('upper/a/b', 'upper/a', 'lower/a', 'changed/a/b', 'changed/a', 'empty');
    chmodSync(join(dir, 'changed/a'), 0o700);
    const drop = (...lowers: readonly string[]): void =>
      dropCopiedUp(
        join(dir, 'upper'),
        lowers.map((name) => join(dir, name)),
        ['/a/b/file'],
        0,
      );
    drop('lower', 'changed', 'empty');
    expect([isThere('a'), isThere('a/b')]).toEqual([true, false]);
    make('upper/a/b', 'upper/a');
    drop('changed', 'lower', 'empty');
    expect(isThere('a')).toBe(false);
    // A file hides what lies below.
    make('upper/a/b', 'upper/a');
    writeFileSync(join(dir, 'empty/a'), '');
    drop('lower', 'empty');
    expect(isThere('a/b')).toBe(true);
  });

  test('is found the same for the next step of a chain, on more layers', () => {
    const roots = new LayerRoots();
    const drop = (...lowers: readonly string[]): void =>
      dropCopiedUp(
        join(dir, 'upper'),
        lowers.map((name) => join(dir, name)),
        ['/etc/hosts'],
        0,
        roots,
      );
    make('second');
    drop('lower');
    expect(isThere('etc')).toBe(false);
    make('upper/etc');
    drop('lower', 'second');
    expect(isThere('etc')).toBe(false);
    make('upper/etc', 'third/etc');
    chmodSync(join(dir, 'third/etc'), 0o700);
    drop('lower', 'second', 'third');
    expect(isThere('etc')).toBe(true);
  });

  test('stays with what is in it', () => {
    writeFileSync(join(dir, 'upper/etc/f'), '');
    make('upper/a/b');
    writeFileSync(join(dir, 'upper/a/f'), '');
    dropFor('/etc/hosts', '/a/b/file');
    expect([isThere('etc/f'), isThere('a/f')]).toEqual([true, true]);
  });
});
