import { describe, expect, test } from 'vitest';
import {
  basePath,
  diff,
  EnvList,
  git,
  http,
  image,
  joinPath,
  LateOutput,
  loadGraph,
  local,
  marshal,
  merge,
  ociLayout,
  type Op,
  opToJson,
  parseOwner,
  scratch,
  State,
} from '../../src/llb/index.ts';

const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const alpine = image('docker.io/library/alpine:latest', { platform });

function last(state: State): Op {
  const op = loadGraph(marshal(state, { platform: { os: 'linux', architecture: 'amd64' } })).result?.vertex.op;
  if (op === undefined) throw new Error('scratch');
  return op;
}

test('a step gets what its state has, and secrets and sockets come after sorted mounts', () => {
  const state = alpine.addEnv('A', '1').addEnv('B', '2').addEnv('A', '3').dir('/w').dir('x').user('me');
  const op = last(
    state.run({
      args: ['true'],
      mounts: [
        { dest: '/tmp/z', tmpfs: { size: 5 } },
        { dest: '/b', source: scratch().output, selector: '/s', readonly: true },
        { dest: '/c', cache: { id: 'c', sharing: 'locked' } },
      ],
      secrets: [{ id: 's', target: '/a', env: 'S', uid: 1, gid: 2, mode: 0o400, optional: true }],
      ssh: [{ id: 'default', target: '', uid: 0, gid: 0, mode: 0o600, optional: false }],
      meta: { network: 'none' },
    }),
  );
  expect(opToJson(op)).toMatchObject({
    platform: { Architecture: 'arm64' },
    exec: {
      network: 'NONE',
      meta: {
        env: ['B=2', 'A=3', 'SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0'],
        cwd: '/w/x',
        user: 'me',
        removeMountStubsRecursive: true,
      },
      secretenv: [{ ID: 's', name: 'S', optional: true }],
      mounts: [
        { dest: '/' },
        { dest: '/b', input: '-1', output: '-1', readonly: true, selector: '/s' },
        { dest: '/c', mountType: 'CACHE', cacheOpt: { ID: 'c', sharing: 'LOCKED' } },
        { dest: '/tmp/z', mountType: 'TMPFS', TmpfsOpt: { size: '5' } },
        { dest: '/a', mountType: 'SECRET', secretOpt: { ID: 's', uid: 1, gid: 2, mode: 256, optional: true } },
        { dest: '/run/buildkit/ssh_agent.0', mountType: 'SSH', SSHOpt: { ID: 'default', mode: 384 } },
      ],
    },
  });
});

test('a writable mount is an output of its own', () => {
  const mount = { dest: '/out', source: scratch().output };
  const node = alpine.exec({ args: ['true'], mounts: [mount] });
  const state = State.of(node.mountOutput(mount));
  expect(loadGraph(marshal(state)).result?.output).toBe(1);
});

test('file actions work on each other and on the state, and share inputs', () => {
  const context = { output: local('context').output, dir: '/' };
  const op = last(
    alpine.dir('/w').file([
      { kind: 'copy', from: context, src: 'a', dest: 'd/', options: { owner: parseOwner('bin:7') } },
      { kind: 'copy', from: context, src: '/b', dest: '/e/.', options: { mode: 'u+x' } },
      { kind: 'symlink', oldPath: '/x', newPath: '/y', options: {} },
    ]),
  );
  expect(op.inputs).toHaveLength(2);
  expect(op.platform).toBeUndefined();
  expect(opToJson(op)).toMatchObject({
    file: {
      actions: [
        {
          secondaryInput: '1',
          output: '-1',
          copy: { src: '/a', dest: '/w/d/', owner: { user: { byName: { name: 'bin' } }, group: { byID: 7 } } },
        },
        { input: '2', secondaryInput: '1', output: '-1', copy: { dest: '/e/.', modeStr: 'u+x' } },
        { input: '3', secondaryInput: '-1', symlink: { oldpath: '/x', newpath: '/y' } },
      ],
    },
  });
});

test('merge drops scratch, diff knows it', () => {
  expect(merge([scratch(), scratch()]).output).toBeUndefined();
  expect(merge([scratch(), alpine])).toBe(alpine);
  expect(diff(scratch(), alpine)).toBe(alpine);
  expect(opToJson(last(diff(alpine, scratch())))).toMatchObject({ diff: { lower: {}, upper: { input: '-1' } } });
});

test('an output that is decided late counts as what it was decided to be', () => {
  const late = new LateOutput();
  const state = scratch().file([{ kind: 'copy', from: { output: late, dir: '/' }, src: 'a', dest: '/', options: {} }]);
  expect(() => marshal(state)).toThrow('not decided');
  late.decide(undefined);
  expect(last(state).inputs).toEqual([]);
  late.decide(local('context', { followPaths: ['<a>'] }).output);
  expect(loadGraph(marshal(state)).vertices[0]?.op.body).toEqual({
    kind: 'source',
    identifier: 'local://context',
    attrs: new Map([['local.followpaths', '["\\u003ca\\u003e"]']]),
  });
});

test('sources have the attributes that BuildKit gives them', () => {
  const remote = { url: 'git@host:a/b.git', host: 'host', path: 'a/b.git', ssh: true };
  const states = [
    http('https://x/y', { checksum: `sha256:${'0'.repeat(64)}`, filename: 'y', mode: 0o600, uid: 3 }),
    git(remote, { ref: 'main', subdir: 'd', keepGitDir: true }),
    ociLayout(`s@sha256:${'1'.repeat(64)}`, { storeId: 's' }),
    image('docker.io/library/a:b', { resolveMode: 'pull' }),
  ];
  const bodies = states.map((state) => last(state).body);
  expect(bodies.map((body) => body?.kind === 'source' && [body.identifier, Object.fromEntries(body.attrs)])).toEqual([
    [
      'https://x/y',
      { 'http.checksum': `sha256:${'0'.repeat(64)}`, 'http.filename': 'y', 'http.perm': '0600', 'http.uid': '3' },
    ],
    [
      'git://host/a/b.git#main:d',
      {
        'git.authheadersecret': 'GIT_AUTH_HEADER',
        'git.authtokensecret': 'GIT_AUTH_TOKEN',
        'git.fullurl': 'git@host:a/b.git',
        'git.keepgitdir': 'true',
        'git.mountsshsock': 'default',
      },
    ],
    [`oci-layout://s@sha256:${'1'.repeat(64)}`, { 'oci.store': 's' }],
    ['docker-image://docker.io/library/a:b', { 'image.resolvemode': 'pull' }],
  ]);
});

test('an environment variable that is set again moves to the end', () => {
  const env = EnvList.from([
    ['a', '1'],
    ['b', '2'],
    ['a', '3'],
  ]);
  expect(env.toArray()).toEqual(['b=2', 'a=3']);
  expect([...env.delete('b').keys()]).toEqual(['a']);
});

describe('paths are those of Go', () => {
  test('join and base', () => {
    expect(joinPath('', 'a', '', '../b')).toBe('b');
    expect(joinPath('', '')).toBe('');
    expect([basePath(''), basePath('/'), basePath('/a/b/')]).toEqual(['.', '/', 'b']);
  });
});

test.each([
  ['root', { user: 0 }],
  ['1000:100', { user: 1000, group: 100 }],
  ['a:root', { user: 'a', group: 0 }],
  [':5', { user: '', group: 5 }],
  ['4294967296', { user: '4294967296' }],
])('owner %s', (text, owner) => expect(parseOwner(text)).toEqual(owner));
