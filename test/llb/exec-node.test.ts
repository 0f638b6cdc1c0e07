import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ExecOp,
  image,
  loadGraph,
  local,
  marshal,
  type MountOptions,
  type RunOptions,
  scratch,
  State,
} from '../../src/llb/index.ts';
import { BUSYBOX, digestOf, PATH, platform, ALPINE } from './buildkit.ts';

const shell = (script: string): readonly string[] => ['/bin/sh', '-c', script];
const alpine = image(ALPINE, { platform }).addEnv('PATH', PATH);
const busybox = image(BUSYBOX, { platform }).addEnv('PATH', PATH);
const secret = { uid: 0, gid: 0, mode: 0o400, optional: true };

/** The op that a state ends with, and what a daemon must be able to do for it. */
function lastOf(state: State): { readonly exec: ExecOp; readonly caps: readonly string[]; readonly inputs: number } {
  const definition = marshal(state, { platform });
  const vertex = loadGraph(definition).result?.vertex;
  if (vertex?.op.body?.kind !== 'exec') throw new Error('It does not end with a step');
  const caps = [...(definition.metadata.get(vertex.digest)?.caps.keys() ?? [])];
  return { exec: vertex.op.body, caps: caps.toSorted(), inputs: vertex.inputs.length };
}

describe('a step has the digest that BuildKit gives it', () => {
  const cache = busybox.addEnv('MNT_TYPE', 'cache');
  const withCache = (state: State, script: string): State =>
    state.run({
      args: shell(script),
      mounts: [{ dest: '/mycache2', cache: { id: '//mycache2', sharing: 'shared' } }],
    });
  const permissions = scratch().file(
    [{ kind: 'mkdir', path: '/cache', mode: 0o773, makeParents: false, options: { owner: { user: 0, group: 0 } } }],
    { name: '[internal] setting cache mount permissions' },
  );
  // The digests are those of BuildKit 0.25 for these Dockerfiles.
  test.each<[string, State, string]>([
    [
      'with another user',
      alpine.user('1000:1000').run({ args: shell('cat /proc/$$/status') }),
      '67bd5afc0e5a95d86d16d1a4a841a06bae107653ac49b94409be98cc179a5538',
    ],
    [
      '--add-host',
      alpine.run({
        args: shell('grep "myhostname" /etc/hosts'),
        meta: { extraHosts: [{ host: 'myhostname', ip: '123.45.67.197' }] },
      }),
      'bae875d2446c187b6f8601bf5dfa079713a3c3148451395de0b7cb8be514ddf3',
    ],
    [
      '--shm-size',
      alpine.run({ args: shell('df -h /dev/shm'), mounts: [{ dest: '/dev/shm', tmpfs: { size: 80 << 20 } }] }),
      '32e7fc4de11e4dae89d975ef16648ff15895a850f7acc75bb5c959828be7c8b6',
    ],
    [
      '--ulimit',
      alpine.run({
        args: shell('printf "ulimit=" && ulimit -t'),
        meta: { ulimits: [{ name: 'cpu', soft: 300, hard: 300 }] },
      }),
      '38ca877315327146217d6b24b2750833ec831b4ebe08f4db752b319c9d836c30',
    ],
    [
      '--mount=type=secret',
      alpine.run({
        args: shell('cat /run/secrets/mysecret'),
        secrets: [{ id: 'mysecret', target: '/run/secrets/mysecret', ...secret }],
      }),
      '77a4062baadff946363ee9082ef3f7a3559b3cb4c0e17f72031e5106b531e8c6',
    ],
    [
      '--mount=type=secret,env=',
      busybox.addEnv('SECRET_ENV', 'foo').run({
        args: shell('[ "$SECRET_ENV" == "pw" ] && [ ! -f /run/secrets/mysecret ] || false'),
        secrets: [{ id: 'mysecret', env: 'SECRET_ENV', ...secret }],
      }),
      'b666abd789910d42fb81a62a89bd1bee9edcc4e722bc1c6ba8c18a79150ae694',
    ],
    [
      '--mount=type=cache, twice',
      withCache(withCache(cache, 'touch /mycache2/foo'), '[ -f /mycache2/foo ]'),
      '403fc98c2115356217b2d5f1e3111b475064752ad9d9a87b3d392bac3f035d22',
    ],
    [
      '--mount=type=cache,mode=0773',
      busybox.addEnv('FOO', 'abc').run({
        args: shell('touch /cache/$FOO && ls -l /cache | wc -l > /out'),
        mounts: [
          {
            dest: '/cache',
            source: permissions.output,
            selector: '/cache',
            cache: { id: '//cache', sharing: 'shared' },
          },
        ],
      }),
      'a1d8fe42a1a4c5ec306de14cc096db90bc24e5532ffe09351fea9afc89c347fc',
    ],
  ])('%s', (_, state, digest) => expect(digestOf(state)).toBe(`sha256:${digest}`));
});

describe('what a step leaves', () => {
  const mount = (dest: string, more: Partial<MountOptions> = {}): MountOptions => ({
    dest,
    source: local('context').output,
    ...more,
  });

  test('are outputs numbered by the order of places, which is that of their bytes', () => {
    const mounts = [mount('/z'), mount('/Z'), mount('/é'), mount('/a/b'), mount('/a')];
    const node = alpine.exec({ args: ['true'], mounts });
    const numbers = mounts.map((one) => loadGraph(marshal(State.of(node.mountOutput(one)))).result?.output);
    expect(numbers).toEqual([4, 1, 5, 3, 2]);
    expect(loadGraph(marshal(State.of(node.rootOutput()))).result?.output).toBe(0);
    const { exec } = lastOf(State.of(node.rootOutput()));
    expect(exec.mounts.map(({ dest, output }) => [dest, output])).toEqual([
      ['/', 0],
      ['/Z', 1],
      ['/a', 2],
      ['/a/b', 3],
      ['/z', 4],
      ['/é', 5],
    ]);
  });

  test('of a root or mount that it cannot write to is what was there', () => {
    const readonly = mount('/m', { readonly: true });
    const node = alpine.exec({ args: ['true'], mounts: [readonly, mount('/w')], readonlyRoot: true });
    expect(node.rootOutput()).toBe(alpine.output);
    expect(node.mountOutput(readonly)).toBe(readonly.source);
  });

  // As BuildKit's client: "can't be used as a parent".
  test.each<[string, Partial<MountOptions>]>([
    ['a tmpfs', { source: undefined, tmpfs: { size: 0 } }],
    ['a cache', { cache: { id: 'c', sharing: 'private' } }],
    ['a mount whose writes are thrown away', { noOutput: true }],
  ])('of %s is nothing that can be built upon', (_, more) => {
    const one = mount('/m', more);
    const node = alpine.exec({ args: ['true'], mounts: [one] });
    expect(() => marshal(State.of(node.mountOutput(one)))).toThrow(/"\/m".*nothing is kept/);
  });

  test('counts the same input once, whatever it is mounted as', () => {
    const { exec, inputs } = lastOf(
      alpine.run({ args: ['true'], mounts: [mount('/a'), mount('/b', { readonly: true })] }),
    );
    expect(inputs).toBe(2);
    expect(exec.mounts.map(({ input }) => input)).toEqual([0, 1, 1]);
    const same = alpine.run({ args: ['true'], mounts: [{ dest: '/self', source: alpine.output }] });
    expect(lastOf(same).exec.mounts.map(({ input }) => input)).toEqual([0, 0]);
  });
});

describe('sockets of agents', () => {
  const agent = { id: 'default', target: '', uid: 0, gid: 0, mode: 0o600, optional: false };

  test('without a place are numbered, and the first one is what programs find', () => {
    const { exec } = lastOf(alpine.run({ args: ['true'], ssh: [agent, { ...agent, id: 'b', target: '/b' }, agent] }));
    expect(exec.mounts.slice(1).map(({ dest }) => dest)).toEqual([
      '/run/buildkit/ssh_agent.0',
      '/b',
      '/run/buildkit/ssh_agent.2',
    ]);
    expect(exec.meta.env.at(-1)).toBe('SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0');
  });

  test('leave a variable alone that the step has', () => {
    const { exec } = lastOf(alpine.addEnv('SSH_AUTH_SOCK', '/own').run({ args: ['true'], ssh: [agent] }));
    expect(exec.meta.env.filter((one) => one.startsWith('SSH_AUTH_SOCK'))).toEqual(['SSH_AUTH_SOCK=/own']);
  });
});

describe('what a daemon must be able to do', () => {
  const base = ['exec.meta.base', 'exec.meta.setsdefaultpath', 'exec.mount.bind'];
  const source = local('context').output;
  // Of client/llb/exec.go.
  test.each<[string, Partial<RunOptions>, readonly string[]]>([
    ['nothing else', {}, []],
    ['a part of a mount', { mounts: [{ dest: '/a', source, selector: '/b' }] }, ['exec.mount.selector']],
    ['a cache', { mounts: [{ dest: '/a', cache: { id: 'c', sharing: 'locked' } }] }, ['exec.mount.cache', 'exec.mount.cache.sharing']],
    ['memory', { mounts: [{ dest: '/a', tmpfs: { size: 0 } }] }, ['exec.mount.tmpfs']],
    ['so much memory', { mounts: [{ dest: '/a', tmpfs: { size: 1 } }] }, ['exec.mount.tmpfs', 'exec.mount.tmpfs.size']],
    ['a mount that is known by its content', { mounts: [{ dest: '/a', source, contentCache: 'on' }] }, ['exec.mount.cache.content']],
    ['a secret', { secrets: [{ id: 's', target: '/s', ...secret }] }, ['exec.mount.secret']],
    ['a secret variable', { secrets: [{ id: 's', env: 'S', ...secret }] }, ['exec.mount.secret', 'exec.secretenv']],
    ['an agent', { ssh: [{ id: 'a', target: '', ...secret }] }, ['exec.mount.ssh']],
    ['a device', { devices: [{ name: 'vendor.com/gpu=0', optional: true }] }, ['exec.meta.cdi']],
    ['a limit', { meta: { ulimits: [{ name: 'cpu', soft: 1, hard: 1 }] } }, ['exec.meta.ulimit']],
    ['another exit code', { validExitCodes: [0, 3] }, ['exec.validexitcode']],
    ['no network', { meta: { network: 'none' } }, ['exec.meta.network']],
    ['all rights', { meta: { security: 'insecure' } }, ['exec.meta.security']],
    ['a proxy', { proxyEnv: { httpProxy: 'a', httpsProxy: '', ftpProxy: '', noProxy: '', allProxy: '' } }, ['exec.meta.proxyenv']],
  ])('for a step with %s is listed', (_, options, more) => {
    const { caps } = lastOf(alpine.run({ args: ['true'], ...options }));
    expect(caps).toEqual([...base, ...more].toSorted());
  }); // oxfmt-ignore
});

test('whatever the order in which mounts are named, the step is the same (property)', () => {
  const places = fc.uniqueArray(fc.stringMatching(/^\/[a-zA-Zä]{1,3}(\/[a-z])?$/), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(places, fc.infiniteStream(fc.nat(1000)), (dests, order) => {
      const mounts = dests.map((dest): MountOptions => ({ dest, source: local(dest).output }));
      const other = mounts
        .map((one) => ({ one, at: order.next().value ?? 0 }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ one }) => one);
      const stepOf = (list: readonly MountOptions[]): string | undefined =>
        digestOf(alpine.run({ args: ['x'], mounts: list }));
      expect(stepOf(other)).toBe(stepOf(mounts));
    }),
    { numRuns: 50 },
  );
});
