import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ChownOptions, CopyAction, FileAction, FileOp } from '../../../src/llb/index.ts';
import { fileInputUse, fileKey } from '../../../src/ops/file/file-key.ts';
import { allSelectorsOf, selectorsOf } from '../../../src/ops/file/selectors.ts';

const owner: ChownOptions = { user: { kind: 'byId', id: 5 }, group: { kind: 'byName', name: 'staff', input: 1 } };
const place = { input: 0, secondaryInput: 1, output: 0 };

// Every field of every action, so that a field that is added to a type has to be added here, and stands in the key or does not.
const copy: Required<Extract<FileAction, { kind: 'copy' }>> = {
  ...place,
  kind: 'copy',
  src: '/some/dir/file',
  dest: '/to/',
  owner,
  mode: 0o640,
  modeStr: '',
  followSymlink: false,
  dirCopyContents: false,
  attemptUnpack: false,
  createDestPath: false,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: 7n,
  includePatterns: ['*.ts'],
  excludePatterns: ['*.js'],
  alwaysReplaceExistingDestPaths: false,
  requiredPaths: [],
};
const mkfile: Required<Extract<FileAction, { kind: 'mkfile' }>> = {
  ...place,
  kind: 'mkfile',
  path: '/f',
  mode: 0o644,
  data: Buffer.from('data'),
  owner,
  timestamp: 7n,
};
const mkdir: Required<Extract<FileAction, { kind: 'mkdir' }>> = {
  ...place,
  kind: 'mkdir',
  path: '/d',
  mode: 0o755,
  makeParents: false,
  owner,
  timestamp: 7n,
};
const rm: Required<Extract<FileAction, { kind: 'rm' }>> = {
  ...place,
  kind: 'rm',
  path: '/r',
  allowNotFound: false,
  allowWildcard: false,
};
const symlink: Required<Extract<FileAction, { kind: 'symlink' }>> = {
  ...place,
  kind: 'symlink',
  oldPath: 'a',
  newPath: '/b',
  owner,
  timestamp: 7n,
};

const key = (...actions: readonly FileAction[]): string => fileKey({ kind: 'file', actions });

/** Another value of the same type. */
function other(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      return value + 1;
    case 'bigint':
      return value + 1n;
    case 'boolean':
      return !value;
    case 'string':
      return `${value}x`;
    default:
      if (value instanceof Uint8Array) return Buffer.from('other');
      return Array.isArray(value) ? [...(value as readonly unknown[]), 'more'] : { user: { kind: 'byId', id: 6 } };
  }
}

describe('the key of a step that makes files', () => {
  test.each([copy, mkfile, mkdir, rm, symlink])('$kind: every field counts', (action) => {
    const seen = new Map([[key(action), 'nothing']]);
    for (const [field, value] of Object.entries(action)) {
      if (field === 'kind') continue;
      const changed = key({ ...action, [field]: other(value) });
      expect(seen.get(changed), `${field} makes no difference`).toBeUndefined();
      seen.set(changed, field);
    }
  });

  test('what is done, how often and in which order counts', () => {
    const keys = [
      key(mkdir),
      key(mkfile),
      key(mkdir, mkfile),
      key(mkfile, mkdir),
      key(mkdir, mkdir),
      key({ ...symlink, oldPath: '/b', newPath: 'a' }),
      key(symlink),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  test('of a source of a copy only the last name counts: what it reads is known by its content', () => {
    expect(key({ ...copy, src: '/elsewhere/file' })).toBe(key(copy));
    expect(key({ ...copy, src: '/some/dir/*.ts' })).toBe(key({ ...copy, src: '/*.ts' }));
    expect(key({ ...copy, src: '/some/dir/file2' })).not.toBe(key(copy));
  });

  test('names and numbers of owners are told apart, and so are no owner and one without a user', () => {
    const owners: readonly (ChownOptions | undefined)[] = [
      undefined,
      {},
      { user: { kind: 'byId', id: 0 } },
      { group: { kind: 'byId', id: 0 } },
      { user: { kind: 'byName', name: '0', input: 0 } },
      { user: { kind: 'byName', name: '0', input: 1 } },
    ];
    const { owner: _, ...plain } = mkdir;
    const keys = owners.map((one) => key(one === undefined ? plain : { ...plain, owner: one }));
    expect(new Set(keys).size).toBe(owners.length);
  });

  test('texts do not run into each other', () => {
    const list = fc.array(fc.constantFrom('a', 'b', 'ab', '', ','), { maxLength: 3 });
    const lists = fc.record({ includePatterns: list, excludePatterns: list, requiredPaths: list });
    fc.assert(
      fc.property(lists, lists, (one, two) => {
        const same = JSON.stringify(one) === JSON.stringify(two);
        expect(key({ ...copy, ...one }) === key({ ...copy, ...two })).toBe(same);
      }),
    );
  });
});

describe('what a step that makes files reads', () => {
  const named = (name: string, input: number): ChownOptions => ({ user: { kind: 'byName', name, input } });
  const op = (...actions: readonly FileAction[]): FileOp => ({ kind: 'file', actions });
  const { owner: _, ...plainCopy } = copy;
  const from = (input: number, more: Partial<CopyAction> = {}): FileAction => ({
    ...plainCopy,
    secondaryInput: input,
    ...more,
  });

  test('of an input are the sources of the copies from there, in their order', () => {
    const file = op(from(1, { src: '/a' }), from(2, { src: '/b' }), from(1, { src: '/c*', allowWildcard: true }));
    expect(selectorsOf(file, 1).map(({ path, wildcard }) => [path, wildcard])).toEqual([
      ['/a', false],
      ['/c*', true],
    ]);
    expect(selectorsOf(file, 3)).toEqual([]);
  });

  test('is what the copy says of it', () => {
    const more = { followSymlink: true, dirCopyContents: true, requiredPaths: ['x'] };
    expect(selectorsOf(op(from(1, more)), 1)).toEqual([
      {
        path: '/some/dir/file',
        followLinks: true,
        wildcard: false,
        include: ['*.ts'],
        exclude: ['*.js'],
        contents: true,
        required: ['x'],
      },
    ]);
  });

  test('are the databases of users, too, where an owner has a name, and they may be missing', () => {
    for (const action of [from(1, { owner: named('www', 2) }), { ...mkdir, owner: named('www', 2) }]) {
      const file = op(action);
      expect(fileInputUse(file, 2).databases).toBe(true);
      const databases = allSelectorsOf(file, 2).filter(({ path }) => path.startsWith('/etc/'));
      expect(databases.map(({ path, wildcard }) => [path, wildcard])).toEqual([
        ['/etc/passw[d]', true],
        ['/etc/grou[p]', true],
      ]);
      expect(fileInputUse(file, 1).databases).toBe(false);
    }
    expect(allSelectorsOf(op({ ...mkdir, owner: { user: { kind: 'byId', id: 5 } } }), 1)).toEqual([]);
  });

  test('is all of what is written to: only its own key stands for that', () => {
    expect(fileInputUse(op(from(1)), 0).base).toBe(true);
    expect(fileInputUse(op(from(1)), 1).base).toBe(false);
    // The same tree may be written to and read.
    expect(fileInputUse(op({ ...from(0), input: 0 }), 0)).toMatchObject({ base: true, copies: [{ kind: 'copy' }] });
  });
});
