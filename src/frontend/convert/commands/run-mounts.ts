import {
  basePath,
  joinPath,
  type MountOptions,
  scratch,
  type SecretMount,
  type SshMount,
  type State,
} from '../../../llb/index.ts';
import { cleanPath } from '../../../patterns/index.ts';
import type { Mount, RunCommand } from '../../dockerfile/types.ts';
import { dockerfileError } from '../../dockerfile/failure.ts';
import { goQuote } from '../../dockerfile/text.ts';
import { rootedPath } from '../context-paths.ts';
import type { Lowering } from '../lowering.ts';
import type { StageState } from '../stage-state.ts';

/** The mounts of a RUN by what they need of the build. */
export interface LoweredMounts {
  readonly mounts: readonly MountOptions[];
  readonly secrets: readonly SecretMount[];
  readonly ssh: readonly SshMount[];
}

/** The `--mount` flags of a RUN. */
export function lowerMounts(
  lowering: Lowering,
  state: StageState,
  command: RunCommand,
  sources: readonly StageState[],
): LoweredMounts {
  const mounts: MountOptions[] = [];
  const secrets: SecretMount[] = [];
  const ssh: SshMount[] = [];
  for (const [index, mount] of command.mounts.entries()) {
    const source = sources[index];
    if (readsStage(mount) && source !== undefined && !source.dispatched) {
      throw dockerfileError(
        `cannot mount from stage ${goQuote(mount.from)} to ${goQuote(mount.target)}, stage needs to be defined before current command`,
      );
    }
    if (mount.type === 'secret') secrets.push(lowerSecret(lowering, state, mount, command));
    else if (mount.type === 'ssh') ssh.push(lowerSsh(lowering, state, mount, command));
    else mounts.push(lowerMount(lowering, state, command, mount, source));
  }
  return { mounts, secrets, ssh };
}

/** Whether the mount has a source other than the build context: `from`, or for a cache the empty stage. */
function readsStage(mount: Mount): boolean {
  return mount.from !== '' || mount.type === 'cache';
}

/** A mount with files: bind, cache or tmpfs. */
function lowerMount(
  lowering: Lowering,
  state: StageState,
  command: RunCommand,
  mount: Mount,
  source: StageState | undefined,
): MountOptions {
  const target = cleanPath(mount.target).startsWith('/')
    ? mount.target
    : joinPath('/', state.state.meta.dir, mount.target);
  if (target === '/') throw dockerfileError(`invalid mount target ${goQuote(target)}`);
  const fromStage = readsStage(mount) ? source : undefined;
  let tree = fromStage?.state ?? lowering.contextState;
  if (mount.type === 'tmpfs') tree = scratch();
  let selector = rootedPath(mount.source);
  if (selector === '/') {
    selector = '';
    if (mount.uid !== undefined || mount.gid !== undefined || mount.mode !== undefined) {
      tree = withOwnedRoot(tree, mount);
      selector = '/cache';
    }
  }
  const needed = fromStage === undefined ? state.contextPaths : fromStage.paths;
  needed.add(rootedPath(mount.source));
  return {
    dest: target,
    source: tree.output,
    selector,
    readonly: mount.readOnly,
    noOutput: mount.type === 'bind' && !mount.readOnly,
    ...(mount.type === 'tmpfs' ? { tmpfs: { size: mount.size } } : {}),
    ...(mount.type === 'cache' ? { cache: lowerCache(lowering, state, mount, command) } : {}),
  };
}

/** The cache's id is its target where none was given, within the namespace of BUILDKIT_CACHE_MOUNT_NS. */
function lowerCache(
  lowering: Lowering,
  state: StageState,
  mount: Mount,
  command: RunCommand,
): NonNullable<MountOptions['cache']> {
  const namespace = lowering.buildArgs.get('BUILDKIT_CACHE_MOUNT_NS') ?? '';
  const id = `${namespace}/${mount.id === '' ? cleanPath(mount.target) : mount.id}`;
  lowering.usage.caches.add(id);
  if (!state.outline.caches.has(id)) state.outline.caches.set(id, command.ranges);
  return { id, sharing: mount.sharing ?? 'shared' };
}

/** The mode and owner of a new cache are those of a directory that it starts from. */
function withOwnedRoot(tree: State, mount: Mount): State {
  return tree.file(
    [
      {
        kind: 'mkdir',
        path: '/cache',
        mode: mount.mode ?? 0o755,
        makeParents: false,
        options: { owner: { user: mount.uid ?? 0, group: mount.gid ?? 0 } },
      },
    ],
    { name: '[internal] setting cache mount permissions' },
  );
}

/** Without a target a secret is a file of its name in /run/secrets, or only the variable where one was named. */
function lowerSecret(lowering: Lowering, state: StageState, mount: Mount, command: RunCommand): SecretMount {
  let id = mount.source === '' ? mount.id : mount.source;
  if (id === '') {
    if (mount.target === '') throw dockerfileError('one of source, target required');
    id = basePath(mount.target);
  }
  const { env, required } = mount;
  const target = mount.target !== '' ? mount.target : env === undefined ? `/run/secrets/${basePath(id)}` : undefined;
  const used = { required, ranges: command.ranges };
  if (!state.outline.secrets.has(id)) state.outline.secrets.set(id, used);
  lowering.usage.addSecret({ id, ...used });
  return { id, target, env, uid: mount.uid ?? 0, gid: mount.gid ?? 0, mode: mount.mode ?? 0o400, optional: !required };
}

/** Without a target the agents of a step are numbered in their order. */
function lowerSsh(lowering: Lowering, state: StageState, mount: Mount, command: RunCommand): SshMount {
  if (mount.source !== '') throw dockerfileError('ssh does not support source');
  const id = mount.id === '' ? 'default' : mount.id;
  const used = { required: mount.required, ranges: command.ranges };
  if (!state.outline.ssh.has(id)) state.outline.ssh.set(id, used);
  lowering.usage.addSsh({ id, ...used });
  return {
    id: mount.id,
    target: mount.target,
    uid: mount.uid ?? 0,
    gid: mount.gid ?? 0,
    mode: mount.mode ?? 0o600,
    optional: !mount.required,
  };
}
