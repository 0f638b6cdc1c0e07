import { dirname } from 'node:path';
import {
  type Container,
  type ContainerRecord,
  Containers,
  isSupervised,
  joinNamespaces,
  joinNetworks,
  type NetworkMaker,
  readState,
  startSupervisor,
  type SupervisorOptions,
  type StartedSupervisor,
  Volumes,
} from '../../containers/index.ts';
import type { Task } from '../../events/index.ts';
import type { Platform } from '../../image/index.ts';
import { containerSpec, type RunContainerOptions } from '../../runtime/index.ts';
import { Emulation, findHelper, findSeccompFilter, type MountSpec, type NamespacePlan } from '../../sandbox/index.ts';
import { randomHostId, TsbuildError } from '../../util/index.ts';
import { unpackImage } from '../images/open-image.ts';
import type { Session } from '../session.ts';

/** What a container is made from, beside its image. */
export interface NewContainer {
  readonly platform: Platform;
  readonly cwd: string;
  readonly name?: string;
  /** Mounts that the image asks for. */
  readonly imageMounts?: (config: RunContainerOptions['config']) => Promise<readonly MountSpec[]>;
  /** What runs in it, as for a container in the foreground. */
  readonly process: Omit<
    RunContainerOptions,
    'layers' | 'config' | 'scratchDir' | 'helperPath' | 'seccompPath' | 'plan' | 'emulation' | 'cwd'
  >;
  /** What follows from the image where the user says nothing. */
  readonly life: (
    config: RunContainerOptions['config'],
  ) => Pick<
    ContainerRecord,
    | 'autoRemove'
    | 'detached'
    | 'attach'
    | 'restart'
    | 'stopSignal'
    | 'stopTimeout'
    | 'labels'
    | 'health'
    | 'log'
    | 'scope'
    | 'ports'
    | 'exposed'
    | 'networks'
    | 'networkOf'
    | 'processesOf'
    | 'ipcOf'
  >;
}

/** A container whose layers have directories that this command holds. */
export interface ReadyContainer {
  readonly container: Container;
  readonly layers: readonly string[];
}

/**
 * Makes a container of an image, and starts nothing.
 * @param name of the image, as for `openImage`
 * @throws TsbuildError
 */
export async function createContainer(
  session: Session,
  task: Task,
  name: string,
  wanted: NewContainer,
): Promise<ReadyContainer> {
  const plan = requireOverlays(await session.plan());
  const { image, ids, layers } = await unpackImage(session, task, name, wanted.platform, wanted.cwd);
  const id = randomHostId(32);
  const process = {
    ...wanted.process,
    mounts: [...(wanted.process.mounts ?? []), ...((await wanted.imageMounts?.(image.config)) ?? [])],
  };
  const spec = containerSpec({
    ...process,
    hostname: process.hostname === '' ? id.slice(0, 12) : process.hostname,
    cwd: wanted.cwd,
    layers,
    config: image.config,
    emulation: new Emulation({ scratchDir: () => session.store.layout.containers }),
  });
  const { lowers: _lowers, prepareUpper: _prepare, resolvConf, ...rest } = spec;
  // The machine's own is looked up anew at each start.
  const step = process.resolvConf === undefined || resolvConf === undefined ? rest : { ...rest, resolvConf };
  const record: ContainerRecord = {
    format: 1,
    id,
    created: new Date(session.now()).toISOString(),
    image: { name, id: image.manifest.config.digest, manifest: image.manifestDigest },
    imageConfig: image.config,
    step,
    ...(process.resources === undefined ? {} : { resources: process.resources }),
    ...wanted.life(image.config),
  };
  const holds = { layers: ids, blobs: [image.digest, image.manifestDigest, image.manifest.config.digest] };
  const container = new Containers(session.store).create(record, wanted.name, holds, plan.idShift);
  return { container, layers };
}

/**
 * Makes a container that was stopped, or never started, ready to start.
 * @throws TsbuildError when layers that it stands on cannot be had any more
 */
export async function readyContainer(session: Session, task: Task, container: Container): Promise<ReadyContainer> {
  const ids = session.store.containers.layersOf(container.id);
  session.lease.hold({ layers: ids });
  return { container, layers: await session.layers.directoriesToRun(task, ids) };
}

/**
 * Starts a container's supervisor. Resolves when that listens.
 * @returns undefined when the container runs already
 * @throws TsbuildError `TSB_SANDBOX`
 */
export async function startContainer(
  session: Session,
  { container, layers }: ReadyContainer,
  options: Pick<SupervisorOptions, 'waitForClient' | 'onPort' | 'onLeadsNowhere'> = {},
): Promise<StartedSupervisor | undefined> {
  const containers = new Containers(session.store);
  await using _lock = await containers.lock(container, session.options.signal);
  if (await isSupervised(container)) return undefined;
  const maker = await networkMaker(session);
  const shared = await joinNamespaces(containers, container);
  using joined = await joinNetworks(maker, container, options.onLeadsNowhere);
  const supervisor = startSupervisor({
    container,
    layers,
    helperPath: maker.helperPath,
    seccompPath: findSeccompFilter(),
    plan: maker.plan,
    ...(joined === undefined ? {} : { joined }),
    ...(shared === undefined ? {} : { shared }),
    garbage: session.store.layout.garbage,
    names: containers.names,
    first: readState(container.directory).started === '',
    volumes: container.record.autoRemove ? anonymousVolumesOf(session, container) : [],
    onBoundProc: () => session.boundProc(),
    limiter: session.limiter,
    ...options,
  });
  // With the lock held until then, nobody takes it for a container without a supervisor.
  await supervisor.listening;
  return supervisor;
}

/** What starts processes of networks. */
export async function networkMaker(session: Session): Promise<NetworkMaker> {
  const { store, options } = session;
  return { store, helperPath: findHelper(options.helper), plan: requireOverlays(await session.plan()) };
}

function anonymousVolumesOf(session: Session, { record }: Container): readonly string[] {
  const volumes = new Volumes(session.store);
  return (record.step.mounts ?? []).flatMap((mount) => {
    const volume = mount.type === 'bind' && mount.volume !== undefined ? volumes.lookUp(mount.volume) : undefined;
    return volume?.anonymous && !volume.shared ? [dirname(volume.directory)] : [];
  });
}

/**
 * A container that outlives its command needs a pid namespace, so that it ends as a whole, and an overlay, so that what it has written is
 * apart from its image.
 * @throws TsbuildError `TSB_SANDBOX` on rungs that lack one of them
 */
function requireOverlays(plan: NamespacePlan): NamespacePlan {
  if (plan.how !== 'none' && !plan.copies) return plan;
  const why =
    plan.how === 'none' ? 'this machine allows no namespaces' : 'the file system of the store takes no overlays';
  throw new TsbuildError('TSB_SANDBOX', `Cannot make a container that outlives the command: ${why}`, {
    hint: '"tsbuild run" without -d and --name works; "tsbuild doctor" says what would lift the limit',
  });
}
