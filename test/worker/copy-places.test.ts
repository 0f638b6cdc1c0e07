import fs from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FsTree, toText } from '../../src/tree/index.ts';
import { findDestination, findSource } from '../../src/worker/copy-places.ts';

type Place = Parameters<typeof findSource>[1];

let dir: string;
let tree: FsTree;

beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-places-'));
  for (const root of ['host', 'container']) {
    const at = (...names: readonly string[]): string => join(dir, root, ...names);
    fs.mkdirSync(at('dir', 'sub'), { recursive: true });
    fs.writeFileSync(at('file'), 'x');
    fs.writeFileSync(at('dir', 'inner'), 'y');
    fs.symlinkSync('file', at('to-file'));
    fs.symlinkSync('dir', at('to-dir'));
    fs.symlinkSync('nowhere', at('to-nowhere'));
    fs.symlinkSync('loop', at('loop'));
  }
  // What leads out of a container leads to its own root.
  fs.symlinkSync('/file', join(dir, 'container', 'absolute'));
  fs.symlinkSync('../../../../file', join(dir, 'container', 'dir', 'above'));
  tree = FsTree.open(join(dir, 'container'), { idShift: 0 });
});
afterEach(() => {
  tree[Symbol.dispose]();
  fs.rmSync(dir, { recursive: true, force: true });
});

/** A place as it is typed: a slash at the end and `/.` mean something. */
function placeOf(kind: Place['kind'], typed: string): Place {
  const contents = /(^|\/)\.$/.test(typed);
  const directory = typed.endsWith('/');
  const inside = typed.replace(/\/\.?$/, '').replace(/^\//, '');
  const path = kind === 'host' ? join(dir, 'host', inside) : `/${inside}`;
  return { kind, path, directory, contents, typed };
}

describe.each(['host', 'container'] as const)('what is copied from a %s', (kind) => {
  const found = (typed: string, follow = false): string => {
    try {
      using source = findSource(tree, placeOf(kind, typed), follow);
      return `${source.node.type} ${toText(source.called)}`;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const absent = kind === 'host' ? 'there is no such file' : 'there is no such file in the container';

  const cases: readonly (readonly [string, string])[] = [
    ['/file', 'file file'],
    ['/dir', 'directory dir'],
    ['/dir/', 'directory dir'],
    ['/dir/.', 'directory .'],
    ['/dir/inner', 'file inner'],
    ['/to-file', 'symlink to-file'],
    ['/to-dir', 'symlink to-dir'],
    ['/to-dir/', 'directory to-dir'],
    ['/to-dir/.', 'directory .'],
    ['/to-dir/inner', 'file inner'],
    ['/to-nowhere', 'symlink to-nowhere'],
    ['/file/', 'Cannot copy "/file/": it is not a directory'],
    ['/file/.', 'Cannot copy "/file/.": it is not a directory'],
    ['/to-file/', 'Cannot copy "/to-file/": it is not a directory'],
    ['/none', `Cannot copy "/none": ${absent}`],
    ['/dir/none', `Cannot copy "/dir/none": ${absent}`],
    ['/to-nowhere/', `Cannot copy "/to-nowhere/": ${absent}`],
  ];
  test.each(cases)('%s', (typed, wanted) => {
    expect(found(typed)).toBe(wanted);
  });

  test('with -L of a link what it leads to, under the name of the link', () => {
    expect(found('/to-file', true)).toBe('file to-file');
    expect(found('/to-dir', true)).toBe('directory to-dir');
    expect(found('/to-nowhere', true)).toBe(`Cannot copy "/to-nowhere": ${absent}`);
  });

  test('links in a circle end with an error', () => {
    expect(found('/loop')).toBe('symlink loop');
    expect(found('/loop', true)).toMatch(/^Cannot /);
    expect(found('/file/x')).toMatch(/^Cannot copy "\/file\/x": /);
  });
});

describe('what is copied from a container', () => {
  test('is never outside of it, wherever links lead', () => {
    for (const typed of ['/absolute', '/dir/above', '/dir/../../file']) {
      using source = findSource(tree, placeOf('container', typed), true);
      expect([typed, source.node.type]).toEqual([typed, 'file']);
    }
  });

  test('its root, whole or what is in it', () => {
    for (const typed of ['/', '/.']) {
      using source = findSource(tree, { ...placeOf('container', typed), path: '/' }, false);
      expect([typed, source.isDirectory, toText(source.called)]).toEqual([typed, true, '.']);
    }
  });

  test('is no socket', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(dir, 'container', 'socket'), resolve));
    try {
      expect(() => findSource(tree, placeOf('container', '/socket'), false)).toThrow(
        'Cannot copy "/socket": it is a socket',
      );
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe.each(['host', 'container'] as const)('where a copy goes in a %s', (kind) => {
  /** Directory and name that the copy gets; `*` for its own. @param directory whether a directory is copied */
  const found = (typed: string, directory = false, must = false): string => {
    try {
      using place = findDestination(tree, placeOf(kind, typed), directory, must);
      const at = basename(fs.readlinkSync(`/proc/self/fd/${place.fd}`));
      return `${at} ${place.name === undefined ? '*' : toText(place.name)}`;
    } catch (error) {
      return (error as Error).message;
    }
  };

  const files: readonly (readonly [string, string])[] = [
    ['/dir', 'dir *'],
    ['/dir/', 'dir *'],
    ['/dir/.', 'dir *'],
    ['/to-dir', 'dir *'],
    ['/file', `${kind} file`],
    ['/to-file', `${kind} file`],
    ['/new', `${kind} new`],
    ['/dir/sub/new', 'sub new'],
    ['/to-dir/new', 'dir new'],
    ['/new/', 'Cannot copy to "/new/": there is no such directory'],
    ['/file/', 'Cannot copy to "/file/": a file is there, and no directory'],
    ['/none/new', 'Cannot copy to "/none/new": its directory is not there'],
  ];
  test.each(files)('a file: %s', (typed, wanted) => {
    expect(found(typed)).toBe(wanted);
  });

  const directories: readonly (readonly [string, string])[] = [
    ['/dir', 'dir *'],
    ['/new', `${kind} new`],
    ['/new/', `${kind} new`],
    ['/file', 'Cannot copy to "/file": a file is there, and no directory'],
    ['/to-file', 'Cannot copy to "/to-file": a file is there, and no directory'],
    ['/none/new', 'Cannot copy to "/none/new": its directory is not there'],
  ];
  test.each(directories)('a directory: %s', (typed, wanted) => {
    expect(found(typed, true)).toBe(wanted);
  });

  test('an archive: only a directory that is there will do', () => {
    expect(found('/dir', true, true)).toBe('dir *');
    expect(found('/new', true, true)).toBe('Cannot copy to "/new": there is no such directory');
    expect(found('/file', true, true)).toBe('Cannot copy to "/file": a file is there, and no directory');
  });

  test('below a file there is nothing', () => {
    expect(found('/file/new')).toMatch(/^Cannot copy to "\/file\/new": .*not a directory/);
  });
});
