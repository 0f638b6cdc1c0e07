import { type Container, Containers, readState, request } from '../../containers/index.ts';
import type { Task } from '../../events/index.ts';
import { assembleImage, type ExportLayer, storeImage } from '../../exporter/index.ts';
import { type ContainerConfig, normalizePlatform } from '../../image/index.ts';
import { type Digest, TsbuildError } from '../../util/index.ts';
import { changedConfig } from './config-changes.ts';
import { layersOf, stubsOf } from './container-changes.ts';
import type { Session } from '../session.ts';

/** What an image of a container is to be. */
export interface CommitRequest {
  /** Normalised names; none: it goes with the next prune. */
  readonly names: readonly string[];
  readonly message?: string;
  readonly author?: string;
  /** Instructions of a Dockerfile that change the config. */
  readonly changes: readonly string[];
  /** Whether a container that runs is halted while its files are read. */
  readonly pause: boolean;
  /** Seconds since the epoch that later times become (SOURCE_DATE_EPOCH). */
  readonly epoch?: number;
}

/**
 * Makes an image of what a container has written: its image's layers and one more, and its image's config with what was said when it was made.
 * @returns the id, which is the digest of the config
 * @throws TsbuildError
 */
export async function commitContainer(
  session: Session,
  task: Task,
  container: Container,
  wanted: CommitRequest,
): Promise<Digest> {
  const { record } = container;
  const { os, architecture, variant } = record.imageConfig;
  const platform = normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
  // Before anything is read: a change that cannot be made is told at once.
  const config = await changedConfig(configOf(container), platform, wanted.changes);
  const { ids, lowers, upper } = await layersOf(session, task, container);
  const { epoch } = wanted;
  const worker = await session.worker();
  const own = await halted(session, task, container, wanted.pause, () =>
    worker.call(
      'diffLayer',
      {
        upper,
        lowers,
        compression: { kind: 'gzip' },
        windows: false,
        stubs: stubsOf(container),
        ...(epoch === undefined ? {} : { clampTime: epoch }),
      },
      { signal: task.signal },
    ),
  );
  const layer = session.layers.createPacked(
    { parents: ids, description: `commit of ${container.name}` },
    { ...own, compression: 'gzip' },
  );
  const packed: ExportLayer[] = [];
  for (const id of [...ids, layer]) {
    const { diffId, descriptor } = await session.layers.pack(task, id, { kind: 'gzip' });
    packed.push({ diffId, descriptor });
  }
  const created = new Date(epoch === undefined ? session.now() : epoch * 1000).toISOString();
  const image = assembleImage(
    [
      {
        platform,
        config: {
          ...record.imageConfig,
          created,
          ...(wanted.author === undefined ? {} : { author: wanted.author }),
          config,
          history: [
            ...record.imageConfig.history,
            {
              created,
              created_by: record.step.args.join(' '),
              ...(wanted.author === undefined ? {} : { author: wanted.author }),
              ...(wanted.message === undefined ? {} : { comment: wanted.message }),
            },
          ],
        },
        layers: packed,
      },
    ],
    {},
  );
  storeImage(image, wanted.names, session);
  const [only] = image.platforms;
  if (only === undefined) throw new TsbuildError('TSB_INTERNAL', 'An image without a platform');
  return only.config.digest;
}

/** Does something while nothing in the container runs, or as it is. Of one that does not run, nobody starts it meanwhile. */
async function halted<T>(
  session: Session,
  task: Task,
  container: Container,
  pause: boolean,
  body: () => Promise<T>,
): Promise<T> {
  const containers = new Containers(session.store);
  await using _lock = await containers.lock(container, task.signal);
  const { status } = readState(container.directory);
  if (status !== 'running' || !pause) return await body();
  const answer = await request(container, 'P', '', task.signal);
  // It has ended, or somebody else has halted it, who lets it go on.
  if (answer === undefined || answer.error !== undefined) return await body();
  try {
    return await body();
  } finally {
    await request(container, 'U');
  }
}

/** The config of the image with what the container was made with: docker's `Config` of a container. */
function configOf({ record }: Container): ContainerConfig {
  const { step, imageConfig, stopSignal, labels, ports = [] } = record;
  const image = imageConfig.config;
  const entrypoint = image.Entrypoint ?? [];
  const keeps = entrypoint.every((word, at) => step.args[at] === word);
  const own = new Set(image.Env?.map((entry) => entry.split('=')[0]));
  // What every container is given is no part of an image.
  const given = (entry: string): boolean =>
    (entry === `HOSTNAME=${step.hostname}` && !own.has('HOSTNAME')) ||
    (entry === 'TERM=xterm' && step.tty === true && !own.has('TERM'));
  const { Entrypoint: _entrypoint, Cmd: _cmd, User: _user, WorkingDir: _workdir, ...rest } = image;
  return {
    ...rest,
    ...(step.user === '' ? {} : { User: step.user }),
    ...(image.WorkingDir === undefined && step.cwd === '/' ? {} : { WorkingDir: step.cwd }),
    Env: step.env.filter((entry) => !given(entry)),
    ...(keeps && entrypoint.length > 0 ? { Entrypoint: entrypoint } : {}),
    Cmd: [...(keeps ? step.args.slice(entrypoint.length) : step.args)],
    Labels: { ...labels },
    ...(image.StopSignal === undefined && stopSignal === 'SIGTERM' ? {} : { StopSignal: stopSignal }),
    ...(ports.length === 0
      ? {}
      : {
          ExposedPorts: {
            ...image.ExposedPorts,
            ...Object.fromEntries(ports.map(({ containerPort, protocol }) => [`${containerPort}/${protocol}`, {}])),
          },
        }),
  };
}
