import { resolve } from 'node:path';
import { importArchive } from '../exporter/index.ts';
import { normalizeReference, hostPlatform, type ImageConfig, type Platform } from '../image/index.ts';
import { findHelper, findSeccompFilter, type NamespacePlan } from '../sandbox/index.ts';
import type { ResolvedImage } from '../source/index.ts';
import { randomHex } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { ownPlan } from './own-plan.ts';
import type { Session } from './session.ts';

/** An image that is ready to run. Dispose it when the container is gone. */
export interface OpenImage extends AsyncDisposable {
  readonly runtime: {
    /** Layer directories, bottom first. */
    readonly layers: readonly string[];
    readonly config: ImageConfig;
    readonly scratchDir: string;
    readonly helperPath: string;
    readonly seccompPath: string;
    readonly plan: NamespacePlan;
  };
}

/**
 * Finds an image and unpacks what is not unpacked: `oci-archive:FILE`, `oci-layout:DIR[:TAG]`, or a name of the local image store or
 * a registry.
 * @throws TsbuildError
 */
export async function openImage(
  session: Session,
  task: Task,
  name: string,
  platform: Platform,
  cwd: string,
): Promise<OpenImage> {
  const { reference, release } = await toReference(session, task, name, cwd);
  let image: ResolvedImage;
  try {
    image = await session.images.resolve(task, reference, platform);
  } finally {
    // The lease holds the blobs from here on.
    release();
  }
  const ids = session.layers.adopt(image);
  const layers = await session.layers.directories(task, ids);
  const scratch = session.store.layers.create(
    { parents: ids, type: 'internal', description: `container of ${image.ref}` },
    session.lease,
  );
  const { dir } = session.store.layers.prepareDirectory(scratch);
  const { options } = session;
  return {
    runtime: {
      layers,
      config: image.config,
      scratchDir: dir,
      helperPath: findHelper(options.helper),
      seccompPath: findSeccompFilter(),
      plan: ownPlan(),
    },
    async [Symbol.asyncDispose]() {
      await session.layers.discard(scratch);
    },
  };
}

/** The reference to resolve, and how to give back a name that was made for the purpose. */
async function toReference(
  session: Session,
  task: Task,
  name: string,
  cwd: string,
): Promise<{ readonly reference: string; readonly release: () => void }> {
  const release = (): void => undefined;
  const archive = /^oci-archive:(.+)$/.exec(name)?.[1];
  if (archive !== undefined) {
    const temporary = `localhost/tsbuild-run:${randomHex(16)}`;
    const { store, lease } = session;
    await importArchive(
      task,
      { path: resolve(cwd, archive) },
      { store, lease, format: 'image', platform: hostPlatform(), names: [temporary] },
    );
    return { reference: temporary, release: () => void store.images.remove(temporary) };
  }
  const layout = /^oci-layout:(?!\/\/)(.+)$/.exec(name)?.[1];
  if (layout !== undefined) return { reference: `oci-layout://${resolve(cwd, layout)}`, release };
  return { reference: name.startsWith('oci-layout://') ? name : normalizeReference(name), release };
}
