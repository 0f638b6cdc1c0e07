import { posix } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CopyOptions,
  type FileOp,
  git,
  http,
  image,
  loadGraph,
  local,
  marshal,
  parseOwner,
  type PendingAction,
  scratch,
  type State,
} from '../../src/llb/index.ts';
import { ALPINE, BUSYBOX, digestOf, PATH, platform } from './buildkit.ts';

const alpine = image(ALPINE, { platform });
const busybox = image(BUSYBOX, { platform });
const from = (state: State): { readonly output: State['output']; readonly dir: string } => ({
  output: state.output,
  dir: '/',
});
const copy = (source: State, src: string, dest: string, options: CopyOptions = {}): PendingAction => ({ kind: 'copy', from: from(source), src, dest, options }); // oxfmt-ignore
/** As the Dockerfile frontend copies from a stage. */
const ofStage = { followSymlinks: true, copyDirContentsOnly: true, createDestPath: true, allowWildcard: true, allowEmptyWildcard: true }; // oxfmt-ignore

function fileOpOf(state: State): FileOp {
  const body = loadGraph(marshal(state, { platform })).result?.vertex.op.body;
  if (body?.kind !== 'file') throw new Error('It does not end with file actions');
  return body;
}

/** Path of the one action of a state that changes scratch in some directory. */
function pathOf(dir: string, action: PendingAction): string | undefined {
  const [made] = fileOpOf(scratch().dir(dir).file([action])).actions;
  return made === undefined ? undefined : 'path' in made ? made.path : 'dest' in made ? made.dest : made.newPath;
}

describe('file actions have the digest that BuildKit gives them', () => {
  const foo = http('http://127.0.0.1:5081/foo', { filename: 'foo' });
  const checked = http('http://127.0.0.1:5081/foo', {
    filename: 'foo',
    checksum: 'sha256:d0b425e00e15a0d36b9b361f02bab63563aed6cb4665083905386c55d5b679fa',
  });
  const inline = scratch().file([
    { kind: 'mkfile', path: '/EOF', mode: 0o644, data: Buffer.from('hello world!\n'), options: {} },
  ]);
  const repository = git(
    { url: 'http://127.0.0.1:5081/.git', host: '127.0.0.1:5081', path: '/.git', ssh: false },
    { ref: 'v0.0.2', keepGitDir: true, checksum: '1d25c595cf4f2b120837c9149d65f6405c46f4e1' },
  );
  const added = alpine.file([copy(repository, '/', '/repo', { createDestPath: true })]);
  const unique = added
    .addEnv('PATH', PATH)
    .run({ args: ['/bin/sh', '-c', 'head -c 16 /dev/urandom | base64 > /repo/unique.txt'] });
  // The digests are those of BuildKit 0.25 for these instructions.
  test.each<[string, State, string]>([
    [
      'WORKDIR /foo on scratch',
      scratch().file([{ kind: 'mkdir', path: '/foo', mode: 0o755, makeParents: true, options: {} }]),
      '8a47088bc1540aa5d1aaa72967d2a13d8246a1f29434308fb9b488fdf4a0e425',
    ],
    [
      'WORKDIR after USER daemon',
      busybox.file([
        { kind: 'mkdir', path: '/tmp', mode: 0o755, makeParents: true, options: { owner: parseOwner('daemon') } },
      ]),
      'a034deedd21fc566e8a4fa11abe477782dbceb76546830401bab0e137285db74',
    ],
    ['COPY <<EOF /out', scratch().file([copy(inline, '/EOF', '/out', { createDestPath: true })]), '7f8db20421d59fec03a30f27ad4bd2de10bdb06d31364f3143bdb5c886c408f5'],
    ['ADD http://… /dest/', scratch().file([copy(foo, '/foo', '/dest/', { createDestPath: true })]), 'd622bd4f15d73313df61f2fa46a67a7bbd3fc9f209cf452522978bc2e2638d8e'],
    ['ADD --checksum', scratch().file([copy(checked, '/foo', '/tmp/foo', { createDestPath: true })]), '9e9e25051d2e4983ec29457c61829e049ad8d8e64ea78029aa385704c39fd79c'],
    ['ADD of a repository', added, '1800eed965487fbe75b21d7c9b520185291c6dfeac0e769386a5177ab01ccf4e'],
    ['COPY --from', scratch().file([copy(unique, '/repo/unique.txt', '/', ofStage)]), '22c73fa70add5267a12e698510701ca26eb569c34831f47c763758a59ffcb0cf'],
  ])('%s', (_, state, digest) => expect(digestOf(state)).toBe(`sha256:${digest}`)); // oxfmt-ignore
});

describe('paths', () => {
  // normalizePath of client/llb/fileop.go.
  test.each([
    ['/w', 'a', '/w/a'],
    ['/w', './a/../b//c', '/w/b/c'],
    ['/w', '../../..', '/'],
    ['/w', '/a/../b', '/b'],
    ['/', '', '/'],
    ['/w', '.', '/w'],
  ])('in %s, %j is %s', (dir, path, result) => {
    expect(pathOf(dir, { kind: 'rm', path, allowNotFound: false, allowWildcard: false })).toBe(result);
    expect(pathOf(dir, { kind: 'mkdir', path, mode: 0, makeParents: false, options: {} })).toBe(result);
    expect(pathOf(dir, { kind: 'mkfile', path, mode: 0, data: Buffer.from(''), options: {} })).toBe(result);
  });

  test.each([
    ['/w', 'a/', '/w/a/'],
    ['/w', 'a/.', '/w/a/.'],
    ['/w', '/', '/'],
    ['/w', '/.', '/.'],
    ['/w', './', '/w/'],
    ['/w', '..', '/'],
    ['/', 'a//', '/a/'],
  ])('of what is copied to keep their end: in %s, %j is %s', (dir, dest, result) => {
    expect(pathOf(dir, copy(local('context'), 'x', dest))).toBe(result);
  });

  test('of links are as they were written: BuildKit leaves them alone', () => {
    const op = fileOpOf(
      scratch()
        .dir('/w')
        .file([{ kind: 'symlink', oldPath: '../a//b', newPath: 'c', options: {} }]),
    );
    expect(op.actions).toMatchObject([{ oldPath: '../a//b', newPath: 'c' }]);
  });

  test('of what is copied begin where their source is, and never lead above it (property)', () => {
    const path = fc.array(fc.constantFrom('a', 'b', '.', '..', ''), { maxLength: 6 }).map((names) => names.join('/'));
    fc.assert(
      fc.property(path, fc.constantFrom('/', '/in', '/in/it'), (src, dir) => {
        const action: PendingAction = {
          kind: 'copy',
          from: { output: local('c').output, dir },
          src,
          dest: '/',
          options: {},
        };
        const [made] = fileOpOf(scratch().dir('/elsewhere').file([action])).actions;
        if (made?.kind !== 'copy') throw new Error('No copy');
        expect(made.src).toMatch(/^\//);
        expect(made.src.split('/')).not.toContain('..');
        expect(made.src).toBe(posix.resolve(dir, src));
      }),
    );
  });
});

describe('actions one after the other', () => {
  test('work on what the one before left, and read inputs that are counted once', () => {
    const [one, two] = [local('one'), local('two')];
    const state = alpine.file([
      copy(one, 'a', '/a'),
      { kind: 'mkdir', path: '/d', mode: 0o755, makeParents: false, options: {} },
      copy(two, 'b', '/b'),
      copy(one, 'c', '/c'),
      copy(scratch(), 'd', '/d'),
      copy(alpine, 'e', '/e'),
    ]);
    const { actions } = fileOpOf(state);
    expect(actions.map(({ input, secondaryInput, output }) => [input, secondaryInput, output])).toEqual([
      [0, 1, -1],
      [3, -1, -1],
      [4, 2, -1],
      [5, 1, -1],
      [6, -1, -1],
      [7, 0, 0],
    ]);
    const { inputs } = loadGraph(marshal(state, { platform })).result?.vertex ?? { inputs: [] };
    expect(inputs.map(({ vertex }) => vertex.digest)).toEqual([alpine, one, two].map(digestOf));
  });

  test('are listed after the base, and their sources last to first, as BuildKit walks them', () => {
    const [one, two] = [local('one'), local('two')];
    const { ops } = marshal(alpine.file([copy(one, 'a', '/'), copy(two, 'b', '/')]), { platform });
    expect(ops.slice(0, 3).map(([digest]) => digest)).toEqual([alpine, two, one].map(digestOf));
  });

  test('on scratch begin with no tree', () => {
    const actions: readonly PendingAction[] = [
      { kind: 'mkdir', path: '/a', mode: 0o755, makeParents: false, options: { owner: parseOwner('me') } },
      { kind: 'rm', path: '/a', allowNotFound: true, allowWildcard: true },
    ];
    expect(fileOpOf(scratch().file(actions)).actions).toMatchObject([
      // Nobody can look a name up there: input -1 says so.
      { input: -1, output: -1, owner: { user: { kind: 'byName', name: 'me', input: -1 } } },
      { input: 0, output: 0, allowNotFound: true, allowWildcard: true },
    ]);
  });
});

describe('what files get', () => {
  const madeWith = (options: CopyOptions): Extract<FileOp['actions'][number], { kind: 'copy' }> => {
    const [made] = fileOpOf(alpine.file([copy(local('c'), '/', '/', options)])).actions;
    if (made?.kind !== 'copy') throw new Error('No copy');
    return made;
  };

  test('is a mode in numbers, one in letters, or that of the source', () => {
    expect(madeWith({})).toMatchObject({ mode: -1, modeStr: '', timestamp: -1n });
    expect(madeWith({ mode: 0 })).toMatchObject({ mode: 0, modeStr: '' });
    expect(madeWith({ mode: 0o4755 })).toMatchObject({ mode: 0o4755 });
    expect(madeWith({ mode: 'u+x' })).toMatchObject({ mode: 0, modeStr: 'u+x' });
  });

  test('has permission bits alone where they are made: 0777 and no more', () => {
    const [dir, file] = fileOpOf(
      scratch().file([
        { kind: 'mkdir', path: '/d', mode: 0o3755, makeParents: false, options: {} },
        { kind: 'mkfile', path: '/f', mode: 0o4711, data: Buffer.from(''), options: {} },
      ]),
    ).actions;
    expect([dir, file]).toMatchObject([{ mode: 0o755 }, { mode: 0o711 }]);
  });

  test('is a time in nanoseconds, the epoch itself too', () => {
    expect(madeWith({ createdTime: 0n }).timestamp).toBe(0n);
    expect(madeWith({ createdTime: 1_700_000_000_123_456_789n }).timestamp).toBe(1_700_000_000_123_456_789n);
  });

  test.each([
    ['7', { user: { kind: 'byId', id: 7 } }],
    ['-1', { user: { kind: 'byId', id: 2 ** 32 - 1 } }],
    ['a:0', { user: { kind: 'byName', name: 'a', input: 0 }, group: { kind: 'byId', id: 0 } }],
    ['a:', { user: { kind: 'byName', name: 'a', input: 0 }, group: { kind: 'byId', id: 0 } }],
    ['2147483648', { user: { kind: 'byName', name: '2147483648', input: 0 } }],
  ])('is the owner %s as BuildKit writes it', (text, owner) => {
    expect(madeWith({ owner: parseOwner(text) }).owner).toEqual(owner);
  });

  test('does not change with what the caller does to it afterwards', () => {
    const data = Buffer.from('before');
    const state = scratch().file([{ kind: 'mkfile', path: '/f', mode: 0o644, data, options: {} }]);
    const definition = marshal(state, { platform });
    const [, made] = definition.ops[0] ?? [];
    data.write('behind');
    expect(made?.body).toMatchObject({ actions: [{ data: new Uint8Array(Buffer.from('before')) }] });
  });
});

test('a daemon must know file actions, and that is all that BuildKit’s client says of them', () => {
  const options = { excludePatterns: ['*'], alwaysReplaceExistingDestPaths: true, mode: 'u+x', requiredPaths: ['a'] };
  const { metadata, ops } = marshal(alpine.file([copy(local('c'), '/', '/', options)]), { platform });
  const [digest] = ops.at(-2) ?? [];
  expect([...(digest === undefined ? [] : (metadata.get(digest)?.caps.keys() ?? []))]).toEqual(['file.base']);
});
