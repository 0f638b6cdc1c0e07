import { chmodSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listChanges, Stubs, writeWhiteoutMask } from '../../src/layer/index.ts';
import { AT_FDCWD, mknodat, S_IFCHR, setXattr, statat } from '../../src/sys/index.ts';
import { LayersTree, toText, walkTree } from '../../src/tree/index.ts';
import { TempDir } from '../tree/support.ts';
import { describeTree } from './support/trees.ts';

let dir: TempDir;
beforeEach(() => {
  dir = new TempDir();
});
afterEach(() => dir[Symbol.dispose]());

const at = (path: string): string => join(dir.path, path);
const whiteout = (path: string): void => {
  dir.mkdir(join(path, '..'));
  mknodat(AT_FDCWD, at(path), S_IFCHR, 0, 0);
};
/** The form where nobody can make such a device, as on an overlay. */
const whiteoutFile = (path: string): void => {
  write(path);
  setXattr(at(path), 'user.overlay.whiteout', 'y');
  setXattr(at(join(path, '..')), 'user.overlay.whiteouts', 'y');
};
const opaque = (path: string): void => setXattr(dir.mkdir(path), 'user.overlay.opaque', 'y');

/** Files with times that do not differ by when the test made them. */
function write(path: string, content = ''): void {
  dir.write(path, content);
  utimesSync(at(path), 1000, 1000);
}

/** Directories get the time of what is written to them: all of them the same one here. */
function settle(...paths: readonly string[]): void {
  for (const path of paths) utimesSync(at(path), 1000, 1000);
}

function changes(lowers: readonly string[] = ['1'], stubs: readonly string[] = []): string[] {
  for (const name of [...lowers, 'up']) dir.mkdir(name);
  const found = listChanges({
    upper: at('up'),
    lowers: lowers.map(at),
    idShift: 0,
    stubs: new Stubs(stubs),
  });
  return found.map(({ kind, path }) => `${kind} ${toText(path)}`);
}

// moby, pkg/archive/changes_test.go: what "docker diff" shows.
describe('what an upper directory changes', () => {
  test('is nothing where it is empty', () => {
    write('1/a');
    expect(changes()).toEqual([]);
  });

  test('is what was added, changed and deleted, in the order of names, and the directories that it is in', () => {
    write('1/etc/old', 'x');
    write('1/etc/gone', 'x');
    write('1/same', 'x');
    settle('1/etc');
    write('up/etc/old', 'y');
    write('up/etc/new', 'z');
    whiteout('up/etc/gone');
    write('up/zz/deep/file');
    settle('up/etc');
    expect(changes()).toEqual(['C etc', 'D etc/gone', 'A etc/new', 'C etc/old', 'A zz', 'A zz/deep', 'A zz/deep/file']);
  });

  test('is not what was only copied up', () => {
    write('1/d/same', 'x');
    settle('1/d');
    write('up/d/same', 'x');
    settle('up/d');
    expect(changes()).toEqual([]);
    chmodSync(at('up/d/same'), 0o600);
    expect(changes()).toEqual(['C d', 'C d/same']);
  });

  test('is a directory whose mode alone is another one', () => {
    write('1/d/same');
    settle('1/d');
    dir.mkdir('up/d');
    settle('up/d');
    chmodSync(at('up/d'), 0o700);
    expect(changes()).toEqual(['C d']);
  });

  test('is a file where a directory was, and the other way round', () => {
    write('1/a/inner');
    write('1/b');
    write('up/a');
    write('up/b/inner');
    expect(changes()).toEqual(['C a', 'C b', 'A b/inner']);
  });

  test('is another target of a link, and nothing where it is the same', () => {
    for (const [layer, to] of [['1', 'x'], ['up', 'y']] as const) {
      dir.mkdir(layer);
      symlinkSync(to, at(`${layer}/link`));
      symlinkSync('same', at(`${layer}/kept`));
    } // oxfmt-ignore
    // Links have times of their own, which nothing here can set: what is unchanged is shown by layers of one directory.
    expect(changes()).toContain('C link');
  });

  test('of an opaque directory is all that was beneath it and is not in it', () => {
    write('1/d/kept', 'x');
    write('1/d/lost', 'x');
    write('1/d/sub/lost', 'x');
    settle('1/d/sub', '1/d');
    opaque('up/d');
    write('up/d/kept', 'x');
    settle('up/d');
    expect(changes()).toEqual(['C d', 'D d/lost', 'D d/sub']);
  });

  test('within an opaque directory is hidden at every depth', () => {
    write('1/d/sub/lost', 'x');
    settle('1/d/sub', '1/d');
    opaque('up/d');
    write('up/d/sub/new');
    settle('up/d/sub', 'up/d');
    expect(changes()).toEqual(['C d', 'C d/sub', 'D d/sub/lost', 'A d/sub/new']);
  });

  test('is no whiteout of what no layer has, or that a layer had deleted already', () => {
    write('1/a');
    whiteout('2/a');
    whiteout('up/a');
    whiteout('up/never');
    expect(changes(['1', '2'])).toEqual([]);
  });

  test('compares with the uppermost layer that has a name', () => {
    write('1/a', 'one');
    write('2/a', 'two');
    write('up/a', 'two');
    expect(changes(['1', '2'])).toEqual([]);
    expect(changes(['2', '1'])).toEqual(['C a']);
  });

  test('is everything where there are no layers', () => {
    write('up/a/b');
    expect(changes([])).toEqual(['A a', 'A a/b']);
  });

  test('is no socket, which nothing can keep', async () => {
    dir.mkdir('up');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('up/socket'), resolve));
    expect(changes()).toEqual([]);
    await new Promise((resolve) => server.close(resolve));
  });

  test('has names of any bytes', () => {
    dir.mkdir('up');
    const name = Buffer.from([0x61, 0xff, 0x0a, 0x62]);
    mknodat(AT_FDCWD, Buffer.concat([Buffer.from(`${at('up')}/`), name]), 0o100644, 0, 0);
    const [found] = listChanges({ upper: at('up'), lowers: [], idShift: 0, stubs: new Stubs() });
    expect(found).toEqual({ kind: 'A', path: name.toString('latin1') });
  });

  test('is not looked for any more when nobody wants it', () => {
    const reason = new Error('enough');
    expect(() =>
      listChanges({ upper: dir.path, lowers: [], idShift: 0, stubs: new Stubs(), signal: AbortSignal.abort(reason) }),
    ).toThrow(reason);
  });
});

describe('what something was mounted on is no change', () => {
  test('an empty file, and the directories that were made for it', () => {
    write('up/run/secrets/key');
    dir.mkdir('up/mnt');
    expect(changes(['1'], ['run/secrets/key', 'mnt'])).toEqual([]);
    expect(changes(['1'], ['mnt'])).toEqual(['A run', 'A run/secrets', 'A run/secrets/key']);
  });

  test('but what was written there is', () => {
    write('up/run/secrets/key', 'written');
    write('up/mnt/file');
    expect(changes(['1'], ['run/secrets/key', 'mnt'])).toEqual([
      'A mnt',
      'A mnt/file',
      'A run',
      'A run/secrets',
      'A run/secrets/key',
    ]);
  });

  test('and so is a directory on the way with something else in it', () => {
    write('up/run/secrets/key');
    write('up/run/other');
    expect(changes(['1'], ['run/secrets/key'])).toEqual(['A run', 'A run/other']);
  });

  test('nor is one a link or a device of that name', () => {
    dir.mkdir('up');
    symlinkSync('/etc/passwd', at('up/mnt'));
    expect(changes(['1'], ['mnt'])).toEqual(['A mnt']);
  });

  test('what a layer has is compared, stub or not', () => {
    write('1/mnt', 'x');
    write('up/mnt');
    expect(changes(['1'], ['mnt'])).toEqual(['C mnt']);
  });
});

describe('a mask of a stack', () => {
  /** Paths of the mask, whiteouts marked. */
  function mask(...layers: readonly string[]): string[] {
    dir.mkdir('mask');
    writeWhiteoutMask(layers.map((name) => at(name)), dir.mkdir('mask')); // oxfmt-ignore
    return describeTree(at('mask'), { times: 'none' }).map((line) => {
      const [path = '', type] = line.split(' ');
      return type === '2' ? `- ${path}` : path;
    });
  }

  /** What is seen of layers, bottom first. */
  function seen(...layers: readonly string[]): string[] {
    const tree = new LayersTree(layers.map((name) => at(name)), { idShift: 0 }); // oxfmt-ignore
    const paths: string[] = [];
    walkTree(tree, tree.root, undefined, ({ path }) => void paths.push(toText(path)));
    return paths;
  }

  test('is empty where nothing hides', () => {
    write('2/a/b');
    expect(mask('2')).toEqual([]);
    expect(statat(AT_FDCWD, at('mask')).mode & 0o777).toBe(0o755);
  });

  test('has whiteouts where the stack has them, in as few directories as that takes', () => {
    write('2/d/file');
    whiteout('2/d/gone');
    whiteout('2/top');
    write('2/other/file');
    expect(mask('2')).toEqual(['d', '- d/gone', '- top']);
  });

  test('has them for whiteouts that are marked files as well', () => {
    write('2/d/file');
    write('2/d/empty');
    whiteoutFile('2/d/gone');
    whiteoutFile('2/top');
    write('3/top2');
    whiteoutFile('2/top2');
    expect(mask('2', '3')).toEqual(['d', '- d/gone', '- top']);
  });

  test('has one for an opaque directory, and none for what is in it', () => {
    opaque('2/d');
    write('2/d/file');
    whiteout('2/d/pointless');
    expect(mask('2')).toEqual(['- d']);
  });

  test('has none where a layer above has something again', () => {
    whiteout('2/a');
    write('3/a');
    expect(mask('2', '3')).toEqual([]);
  });

  test('has one where a layer above has a directory on a whiteout or a file: nothing below shows through', () => {
    whiteout('2/a');
    write('3/a/new');
    write('2/b');
    write('3/b/new');
    expect(mask('2', '3')).toEqual(['- a', '- b']);
  });

  test('under its stack hides what the stack hides, whatever is below', () => {
    write('1/a/b/c');
    write('1/a/gone');
    write('1/opaque/old');
    write('1/kept');
    write('2/a/b/new');
    whiteout('2/a/gone');
    opaque('2/opaque');
    write('2/opaque/new');
    mask('2');
    // The stack as an overlay shows it: without the marks.
    rmSync(at('2/a/gone'));
    write('plain/a/b/new');
    write('plain/opaque/new');
    whiteout('2/a/gone');
    expect(seen('1', 'mask', 'plain')).toEqual(seen('1', '2'));
  });
});
