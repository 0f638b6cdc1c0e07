import { describe, expect, test } from 'vitest';
import { kindOf, partsOf, type RawPart } from '../../src/explain/parts.ts';
import {
  diff,
  git,
  http,
  image,
  type LlbVertex,
  loadGraph,
  local,
  marshal,
  merge,
  type MountOptions,
  ociLayout,
  type PendingAction,
  type RunOptions,
  type State,
} from '../../src/llb/index.ts';

const PLATFORM = { os: 'linux', architecture: 'arm', variant: 'v7' } as const;
const base = image('docker.io/library/base:1');

function vertexOf(state: State): LlbVertex {
  const vertex = loadGraph(marshal(state, { platform: PLATFORM })).result?.vertex;
  if (vertex === undefined) throw new Error('Nothing to look at');
  return vertex;
}

/** Parts as `what name`, with what people are told. */
const told = (state: State): Readonly<Record<string, string>> =>
  Object.fromEntries(partsOf(vertexOf(state)).map((part) => [`${part.what} ${part.name}`, part.text ?? part.value]));

const run = (more: Partial<RunOptions> = {}): State => base.run({ args: ['/bin/sh', '-c', 'make all'], ...more });
const files = (...actions: readonly PendingAction[]): State => base.file(actions);
const copy = (more: Partial<Extract<PendingAction, { kind: 'copy' }>> = {}): PendingAction => ({
  kind: 'copy',
  from: { output: local('context').output, dir: '/' },
  src: '/src/*.c',
  dest: '/app/',
  options: {},
  ...more,
});

describe('what kind a step is of', () => {
  const remote = { url: 'https://h/r.git', host: 'h', path: '/r.git', ssh: false };
  test.each<[string, State]>([
    ['run', run()],
    ['files', files(copy())],
    ['image', base],
    ['image', ociLayout(`x@sha256:${'a'.repeat(64)}`)],
    ['local', local('context')],
    ['git', git(remote)],
    ['http', http('https://h/f')],
    ['other', merge([base, run()])],
    ['other', diff(base, run())],
  ])('%s', (kind, state) => expect(kindOf(vertexOf(state))).toBe(kind));
});

describe('a RUN', () => {
  test('is told as its Dockerfile has it: the command apart from the shell, and only what says something', () => {
    expect(told(run())).toEqual({
      'command command': 'make all',
      'option SHELL': '["/bin/sh","-c"]',
      'option WORKDIR': '/',
      'option --network': 'sandbox',
      'option --security': 'sandbox',
      'option --platform': 'linux/arm/v7',
    });
  });

  test('without a shell has arguments', () => {
    expect(told(run({ args: ['make', 'all', 'now'] }))).toMatchObject({
      'command command': 'now',
      'option arguments': '["make","all"]',
    });
    expect(told(run({ args: ['make'] }))).toMatchObject({ 'command command': 'make', 'option arguments': '[]' });
  });

  test('has each variable by its name, whatever signs of equality are in its value', () => {
    const state = base
      .addEnv('A', 'b=c')
      .addEnv('EMPTY', '')
      .run({ args: ['x'] });
    expect(told(state)).toMatchObject({ 'variable A': 'b=c', 'variable EMPTY': '' });
  });

  const mount = (more: MountOptions): string | undefined =>
    told(run({ mounts: [more] }))[`option --mount of ${more.dest}`];

  test('has each mount with what it is told, and no root', () => {
    expect(mount({ dest: '/c', cache: { id: 'npm', sharing: 'locked' } })).toBe(
      'type=cache,readonly=false,sharing=locked,id=npm',
    );
    expect(mount({ dest: '/t', tmpfs: { size: 4096 } })).toBe('type=tmpfs,readonly=false,size=4096');
    expect(mount({ dest: '/b', source: local('x').output, selector: '/sub', readonly: true })).toBe(
      'type=bind,source=/sub,readonly=true',
    );
    expect(Object.keys(told(run())).filter((name) => name.includes('--mount'))).toEqual([]);
  });

  test('has secrets and agents by id, place, owner and mode, and never by what is in them', () => {
    const owner = { uid: 1, gid: 2, mode: 0o440 };
    const state = run({
      secrets: [
        { id: 'key', target: '/run/k', env: 'KEY', optional: false, ...owner },
        { id: 'other', env: 'OTHER', optional: true, ...owner },
      ],
      ssh: [{ id: 'default', target: '/agent', optional: true, ...owner }],
      devices: [{ name: 'v.com/gpu=0', optional: true }],
    });
    expect(told(state)).toMatchObject({
      'option --mount of /run/k': 'type=secret,readonly=false,id=key,uid=1,gid=2,mode=440,required=true',
      'option --mount of /agent': 'type=ssh,readonly=false,id=default,uid=1,gid=2,mode=440,required=false',
      'option secrets as variables': 'key as KEY other as OTHER',
      'device v.com/gpu=0': 'true',
    });
  });

  test('has what surrounds it', () => {
    const state = base
      .with({
        user: 'me',
        dir: '/w',
        hostname: 'h',
        network: 'none',
        security: 'insecure',
        extraHosts: [{ host: 'a', ip: '1.2.3.4' }, { host: 'b', ip: '::1' }],
        ulimits: [{ name: 'nofile', soft: 1, hard: 2 }],
      })
      .run({ args: ['x'], validExitCodes: [0, 3] }); // oxfmt-ignore
    expect(told(state)).toMatchObject({
      'option USER': 'me',
      'option WORKDIR': '/w',
      'option --hostname': 'h',
      'option --network': 'none',
      'option --security': 'insecure',
      'option --add-host': 'a=1.2.3.4 b=::1',
      'option --ulimit': 'nofile=1:2',
      'option exit codes': '0 3',
    });
  });
});

describe('a COPY', () => {
  test('of several sources tells each part once', () => {
    const options = {
      owner: { user: 'app', group: 7 },
      mode: 0o640,
      excludePatterns: ['*.o'],
      createdTime: 5_000_000_001n,
    };
    expect(told(files(copy({ options }), copy({ src: '/other', options })))).toEqual({
      'option source': '/src/*.c /other',
      'option destination': '/app/',
      'option --chmod': '640',
      'option --exclude': '*.o',
      'option --chown': 'app:7',
      'option times of files': '5',
      'option how it copies': 'plainly',
    }); // oxfmt-ignore
  });

  test('says how it copies, in words', () => {
    const options = {
      followSymlinks: true,
      copyDirContentsOnly: true,
      attemptUnpack: true,
      allowWildcard: true,
      alwaysReplaceExistingDestPaths: true,
    };
    expect(told(files(copy({ options })))['option how it copies']).toBe(
      'follows links, contents of directories, unpacks, wildcards, replaces paths',
    );
  });

  test('has a symbolic mode as it was given, an owner without a group, and mode 0', () => {
    expect(told(files(copy({ options: { mode: 'u+x', owner: { user: 0 } } })))).toMatchObject({
      'option --chmod': 'u+x',
      'option --chown': '0:',
    });
    expect(told(files(copy({ options: { mode: 0 } })))['option --chmod']).toBe('0');
  });
});

test('what else a file step does has a part each', () => {
  const state = files(
    { kind: 'mkdir', path: '/d', mode: 0o711, makeParents: true, options: { owner: { user: 3, group: 4 } } },
    { kind: 'rm', path: '/gone', allowNotFound: true, allowWildcard: false },
    { kind: 'symlink', oldPath: '/to', newPath: '/from', options: {} },
  );
  expect(told(state)).toEqual({
    'option --chown': '3:4',
    'option directory': '/d 711',
    'option removed path': '/gone',
    'option link /from': '/to',
  });
});

test('the text of a file that a heredoc makes is compared, and not told', () => {
  const written = (data: string, mode = 0o644): RawPart | undefined =>
    partsOf(
      vertexOf(files({ kind: 'mkfile', path: '/etc/app.conf', mode, data: Buffer.from(data), options: {} })),
    ).find(({ name }) => name === 'text of app.conf');
  expect(written('secret')).toMatchObject({ what: 'command', text: '' });
  expect(written('a')?.value).not.toBe(written('b')?.value);
  expect(written('a')?.value).not.toBe(written('a', 0o600)?.value);
  expect(written('a')?.value).toBe(written('a')?.value);
});

describe('a source', () => {
  test('of an image is its name, without what the name stands for', () => {
    const pinned = image(`docker.io/library/base:1@sha256:${'a'.repeat(64)}`, { resolveMode: 'pull' });
    expect(told(pinned)).toEqual({
      'option image': 'docker.io/library/base:1',
      'option --platform': 'linux/arm/v7',
    });
    expect(partsOf(vertexOf(pinned))[0]?.value).toBe(partsOf(vertexOf(base))[0]?.value);
  });

  test('tells no credentials, and nothing of who asks', () => {
    const remote = { url: 'https://user:pass@h/r.git', host: 'user:pass@h', path: '/r.git', ssh: false };
    const parts = partsOf(vertexOf(git(remote, { ref: 'main', keepGitDir: true })));
    expect(parts.map(({ name }) => name).toSorted()).toEqual(['address', 'git.authtokensecret', 'git.keepgitdir']);
    const address = vertexOf(http('https://user:pass@h/f', { checksum: `sha256:${'b'.repeat(64)}` }));
    const [first] = partsOf(address);
    expect(first?.text).not.toContain('pass');
  });

  test('of the context has no parts of its own', () => {
    expect(partsOf(vertexOf(local('context', { includePatterns: ['a'] })))).toEqual([]);
  });
});
