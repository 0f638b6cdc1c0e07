import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostIgnore } from '../../../src/engine/compile/host-ignore.ts';
import { readLocalFile } from '../../../src/engine/compile/local-files.ts';
import { ContextTree } from '../../../src/tree/index.ts';
import { TempDir } from '../../tree/support.ts';

describe('a file of a directory of the machine', () => {
  const read = (dir: TempDir, path: string, limit?: number): string | undefined => {
    const bytes = readLocalFile(ContextTree.open(dir.path, { xattrs: false }), path, limit);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString();
  };

  test('is read, also below directories; one that is not there is none', () => {
    using dir = new TempDir();
    dir.write('Dockerfile', 'FROM scratch\n');
    dir.write('sub/Other', 'FROM other\n');
    dir.write('empty');
    expect(read(dir, 'Dockerfile')).toBe('FROM scratch\n');
    expect(read(dir, 'sub/Other')).toBe('FROM other\n');
    expect(read(dir, 'empty')).toBe('');
    for (const path of ['none', 'sub/none', 'none/Dockerfile']) expect(read(dir, path)).toBeUndefined();
  });

  test('links lead nowhere but into the directory, however they are written', () => {
    using dir = new TempDir();
    using outside = new TempDir();
    outside.write('secret', 'of the user');
    dir.write('real/file', 'inside');
    dir.link('real/file', 'short');
    dir.link('/real/file', 'absolute');
    dir.link('../../../real/file', 'climbing');
    dir.link(join(outside.path, 'secret'), 'leading-out');
    dir.link('../'.repeat(20) + join(outside.path, 'secret').slice(1), 'climbing-out');
    dir.link(outside.path, 'directory-out');
    for (const path of ['short', 'absolute', 'climbing', '../../real/file'])
      expect(read(dir, path), path).toBe('inside');
    for (const path of ['leading-out', 'climbing-out', 'directory-out/secret', '../secret'])
      expect(read(dir, path), path).toBeUndefined();
  });

  test('what is no file, and links that go round, are errors that say so', () => {
    using dir = new TempDir();
    mkdirSync(join(dir.path, 'directory'));
    spawnSync('mkfifo', [join(dir.path, 'pipe')]);
    symlinkSync('loop', join(dir.path, 'loop'));
    const refused = (path: string): unknown => {
      try {
        return read(dir, path);
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(refused('directory')).toMatch(/"directory" in ".*": it is not a regular file but a directory/);
    expect(refused('pipe')).toMatch(/it is not a regular file but a fifo/);
    expect(refused('loop')).toMatch(/loop|too many/i);
  });

  test('one that is too large is refused before it is read, and its begin can be had', () => {
    using dir = new TempDir();
    writeFileSync(join(dir.path, 'huge'), 'begin');
    truncateSync(join(dir.path, 'huge'), 17 * 1024 * 1024);
    expect(() => read(dir, 'huge')).toThrow(/17825792 bytes, more than the limit of 16777216/);
    expect(read(dir, 'huge', 5)).toBe('begin');
    expect(read(dir, 'huge', 5)).toHaveLength(5);
    writeFileSync(join(dir.path, 'small'), 'abc');
    expect(read(dir, 'small', 100)).toBe('abc');
  });
});

describe('the patterns of a local source', () => {
  /** Paths of a tree that are seen, walked as contexts are. */
  function seen(paths: readonly string[], excludes: readonly string[], includes: readonly string[]): string[] {
    using dir = new TempDir();
    for (const path of paths) dir.write(path);
    const ignore = hostIgnore(excludes, includes);
    const tree = ContextTree.open(dir.path, { xattrs: false, ...(ignore === undefined ? {} : { ignore }) });
    const found: string[] = [];
    const walk = (node: ReturnType<typeof tree.enter>, prefix: string): void => {
      for (const name of tree.list(node)) {
        const entry = tree.lookup(node, name);
        if (entry?.type === 'directory') walk(tree.enter(node, name), `${prefix}${name}/`);
        else if (entry) found.push(`${prefix}${name}`);
      }
    };
    walk(tree.root, '');
    return found;
  }

  const paths = ['a', 'b', 'd/a', 'd/b', 'd/e/a', 'd/e/c', 'f/a'];
  test.each<[readonly string[], readonly string[], readonly string[]]>([
    [[], [], paths],
    [['a'], [], ['b', 'd/a', 'd/b', 'd/e/a', 'd/e/c', 'f/a']],
    [['**/a'], [], ['b', 'd/b', 'd/e/c']],
    [['d', '!d/e/c'], [], ['a', 'b', 'd/e/c', 'f/a']],
    [[], ['d/e'], ['d/e/a', 'd/e/c']],
    [[], ['a', 'f'], ['a', 'f/a']],
    [[], ['d/*/c'], ['d/e/c']],
    [['**/a'], ['d'], ['d/b', 'd/e/c']],
    [['d/e'], ['d', 'f'], ['d/a', 'd/b', 'f/a']],
    [['*'], ['d'], []],
  ])('without %j and only %j', (excludes, includes, expected) => {
    expect(seen(paths, excludes, includes)).toEqual(expected);
  });

  test('directories are left out whole where nothing in them can be wanted', () => {
    const skips = (excludes: string[], includes: string[], path: string) =>
      hostIgnore(excludes, includes)?.canSkipDir(path);
    expect(skips(['node_modules'], [], 'node_modules')).toBe(true);
    expect(skips(['node_modules', '!node_modules/wanted'], [], 'node_modules')).toBe(false);
    expect(skips([], ['src'], 'docs')).toBe(true);
    expect(skips([], ['src/deep/file'], 'src')).toBe(false);
    expect(skips([], ['**/file'], 'docs')).toBe(false);
    expect(hostIgnore([], [])).toBeUndefined();
  });

  test('what is seen is what excludes leave of what includes name, whatever they are', () => {
    const part = fc.constantFrom('a', 'b', 'd', 'e', '*', '**');
    const pattern = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(
        fc.array(pattern, { maxLength: 2 }),
        fc.array(pattern, { minLength: 1, maxLength: 2 }),
        (excludes, includes) => {
          const both = seen(paths, excludes, includes);
          const included = seen(paths, [], includes);
          const left = seen(paths, excludes, []);
          expect(both).toEqual(paths.filter((path) => included.includes(path) && left.includes(path)));
        },
      ),
      { numRuns: 40 },
    );
  });
});
