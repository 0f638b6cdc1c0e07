import { posix } from 'node:path';
import type { ExecOp, Mount } from '../../llb/index.ts';
import { type MountSpec, type NetworkMode, resolvConfOfHost, type StepSpec } from '../../sandbox/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { LayerSlot } from '../../snapshots/index.ts';
import type { PrepareUpperParams } from '../../worker/index.ts';
import { type Arrive, CacheMounts } from './cache-mount.ts';
import type { ExecPieces } from './exec-pieces.ts';

/** Host name inside RUN steps, BuildKit's. */
const HOSTNAME = 'buildkitsandbox';

/**
 * All that the worker needs to run the step, as plain data. What is opened for it on the way is `held` until the
 * step has ended.
 */
export async function stepSpec(
  pieces: ExecPieces,
  task: Task,
  held: AsyncDisposableStack,
  { exec, arrive, stays = false }: { readonly exec: ExecOp; readonly arrive: Arrive; readonly stays?: boolean },
  bases: readonly (readonly string[])[],
  slots: ReadonlyMap<Mount, LayerSlot>,
  uppers: PrepareUpperParams[],
): Promise<StepSpec> {
  const { meta } = exec;
  const root = exec.mounts.find((mount) => mount.dest === '/');
  if (!root) throw new TsbuildError('TSB_LLB', 'Cannot run a step without a root mount');
  // The root's own layer, or one that is thrown away: overlay wants a place for changes in any case.
  const rootSlot = slots.get(root) ?? (await scratchSlot(pieces, task, held, root, bases, uppers));
  const caches = await CacheMounts.claim(
    pieces.snapshots,
    task,
    held,
    exec.mounts,
    (mount) => baseOf(bases, mount),
    stays,
  );
  const mounts: MountSpec[] = [];
  let shmSize: number | undefined;
  for (const mount of exec.mounts) {
    if (mount === root) continue;
    // Every step has a /dev/shm; a tmpfs there means another size for it and not a mount upon it.
    if (mount.type === 'tmpfs' && mount.dest === '/dev/shm') {
      shmSize = mount.tmpfs?.size;
      continue;
    }
    const spec = await mountSpec(pieces, task, held, { caches, arrive }, mount, bases, slots);
    // Secrets and agents may be wanted at a path relative to the working directory: graphs leave that to who runs the step.
    if (spec) mounts.push({ ...spec, target: posix.resolve('/', meta.cwd, spec.target) });
  }
  const { moved } = pieces.snapshots.layers;
  for (const mount of exec.mounts) if (mount.type === 'bind') await moved.mask(task, baseOf(bases, mount));
  const network = networkOf(exec);
  // A step with the machine's network asks the machine's resolvers, and one without a network none. What an isolated one asks is known
  // when its network is.
  const resolvConf = network === 'isolated' ? undefined : resolvConfOfHost(network === 'none' ? 'private' : 'host');
  return {
    lowers: rootSlot.lowers,
    upper: rootSlot.fs,
    work: rootSlot.work,
    readonlyRoot: root.readonly,
    mounts,
    args: meta.args,
    env: await environment(pieces, exec),
    cwd: meta.cwd === '' ? '/' : meta.cwd,
    user: meta.user,
    hostname: meta.hostname === '' ? HOSTNAME : meta.hostname,
    network,
    security: exec.security,
    extraHosts: meta.extraHosts.map(({ host, ip }) => ({ host, ip })),
    ...(resolvConf === undefined ? {} : { resolvConf }),
    ulimits: meta.ulimits.map(({ name, soft, hard }) => ({ name, soft, hard })),
    processLimit: pieces.grants.processLimit,
    ...(shmSize === undefined || shmSize === 0 ? {} : { shmSize }),
  };
}

/** The network of a step as the sandbox has it. What is allowed was checked before. */
export function networkOf({ network }: ExecOp): NetworkMode {
  return network === 'sandbox' ? 'isolated' : network;
}

/** The layers beneath a mount, bottom first. */
export function baseOf(bases: readonly (readonly string[])[], { input }: Mount): readonly string[] {
  return input < 0 ? [] : (bases[input] ?? []);
}

/** A root that is read only or whose changes nobody wants still needs a place for them. */
export async function scratchSlot(
  pieces: ExecPieces,
  task: Task,
  held: AsyncDisposableStack,
  mount: Mount,
  bases: readonly (readonly string[])[],
  uppers: PrepareUpperParams[],
): Promise<LayerSlot> {
  const parents = baseOf(bases, mount);
  const lowers = await pieces.snapshots.layers.directories(task, parents);
  const { store, lease } = pieces.snapshots;
  const id = store.layers.create({ parents, type: 'internal', description: 'discarded changes' }, lease);
  const paths = store.layers.prepareDirectory(id);
  held.defer(() => pieces.snapshots.layers.discard(id));
  uppers.push({ dir: paths.dir, lowers });
  return { id, lowers, ...paths };
}

/** What stands at one mount point; undefined where an optional secret or agent was not given. */
async function mountSpec(
  pieces: ExecPieces,
  task: Task,
  held: AsyncDisposableStack,
  { caches, arrive }: { readonly caches: CacheMounts; readonly arrive: Arrive },
  mount: Mount,
  bases: readonly (readonly string[])[],
  slots: ReadonlyMap<Mount, LayerSlot>,
): Promise<MountSpec | undefined> {
  const target = mount.dest;
  switch (mount.type) {
    case 'bind': {
      const slot = slots.get(mount);
      const subpath = mount.selector === '' || mount.selector === '/' ? {} : { subpath: mount.selector };
      if (slot)
        // It has an output: what is written becomes a layer of its own.
        return {
          type: 'layers',
          lowers: slot.lowers,
          upper: slot.fs,
          work: slot.work,
          ...subpath,
          target,
          readonly: mount.readonly,
        };
      // What is written stays in memory, and is gone with the step.
      const lowers = await pieces.snapshots.layers.directories(task, baseOf(bases, mount));
      return { type: 'layers', lowers, ...subpath, target, readonly: mount.readonly };
    }
    case 'tmpfs':
      return { type: 'tmpfs', target, ...(mount.tmpfs?.size ? { size: mount.tmpfs.size } : {}) };
    case 'cache':
      return caches.spec(task, mount, baseOf(bases, mount), arrive);
    case 'secret': {
      const secret = mount.secret;
      if (!secret) throw new TsbuildError('TSB_LLB', 'Cannot mount a secret without an id');
      const data = pieces.credentials.secrets.get(secret.id);
      // By its bytes: a secret is never a file of the machine, not even for the time of the step.
      if (data) return { type: 'file', target, data, mode: secret.mode, uid: secret.uid, gid: secret.gid };
      if (secret.optional) return undefined;
      throw missingSecret(secret.id);
    }
    case 'ssh': {
      const ssh = mount.ssh;
      if (!ssh) throw new TsbuildError('TSB_LLB', 'Cannot mount an SSH agent without an id');
      const id = agentId(mount);
      const socket = await pieces.credentials.ssh.serve(id);
      if (socket) {
        const { path } = held.use(socket);
        return { type: 'socket', source: path, target, mode: ssh.mode & 0o777, uid: ssh.uid, gid: ssh.gid };
      }
      if (ssh.optional) return undefined;
      throw new TsbuildError('TSB_STEP', `unset ssh forward key ${id}`, { hint: `build with --ssh ${id}` });
    }
  }
}

/** In graphs, no id stands for the usual one. */
function agentId(mount: Mount): string {
  return mount.ssh?.id || 'default';
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** BuildKit's text, with what to type. */
function missingSecret(id: string): TsbuildError {
  return new TsbuildError('TSB_STEP', `secret ${id}: not found`, {
    hint: `build with --secret id=${id},src=PATH or --secret id=${id},env=NAME`,
  });
}

/** The op's environment, with proxy settings and secrets that are asked for as variables. */
export async function environment(pieces: Pick<ExecPieces, 'credentials'>, exec: ExecOp): Promise<readonly string[]> {
  let env = [...exec.meta.env];
  const has = (name: string): boolean => env.some((entry) => entry.startsWith(`${name}=`));
  // Graphs of other programs leave it to who runs them, as BuildKit's capability `exec.meta.setsdefaultpath` has it.
  if (!has('PATH')) env.push(`PATH=${DEFAULT_PATH}`);
  const proxy = exec.meta.proxyEnv;
  if (proxy) {
    // Programs disagree on the case of these names, so both are set, as BuildKit does. None of them is part of the
    // key.
    const settings = {
      http_proxy: proxy.httpProxy,
      https_proxy: proxy.httpsProxy,
      ftp_proxy: proxy.ftpProxy,
      no_proxy: proxy.noProxy,
      all_proxy: proxy.allProxy,
    };
    for (const [name, value] of Object.entries(settings)) {
      if (value === '') continue;
      for (const spelled of [name.toUpperCase(), name]) if (!has(spelled)) env.push(`${spelled}=${value}`);
    }
  }
  for (const secret of exec.secretEnv) {
    const data = pieces.credentials.secrets.get(secret.id);
    // One variable per name: of two, programs in C would see the image's and shells the secret.
    if (data?.includes(0))
      throw new TsbuildError(
        'TSB_STEP',
        `Cannot give secret "${secret.id}" to the step as variable ${secret.name}: it contains a NUL byte`,
        { hint: 'mount it as a file: without env=' },
      );
    if (data) env = [...env.filter((entry) => !entry.startsWith(`${secret.name}=`)), `${secret.name}=${text(data)}`];
    else if (!secret.optional) throw missingSecret(secret.id);
  }
  if (exec.mounts.some((mount) => mount.type === 'ssh') && !has('SSH_AUTH_SOCK')) {
    // One variable for all agents: it names the first that was given.
    const first = exec.mounts.find((mount) => mount.type === 'ssh' && pieces.credentials.ssh.has(agentId(mount)));
    if (first) env.push(`SSH_AUTH_SOCK=${first.dest}`);
  }
  return env;
}

/** The environment is text: bytes that are not UTF-8 cannot come through. */
function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
