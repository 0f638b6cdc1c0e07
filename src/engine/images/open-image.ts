import type { ImageConfig, Platform } from '../../image/index.ts';
import { Emulation, findHelper, findSeccompFilter, type NamespacePlan } from '../../sandbox/index.ts';
import type { ResolvedImage } from '../../source/index.ts';
import type { Task } from '../../events/index.ts';
import { withImageHint } from './image-hint.ts';
import { toReference } from './image-name.ts';
import { sha256 } from '../../util/index.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import type { Session } from '../session.ts';

/** An image that is ready to run. Dispose it when the container is gone. */
export interface OpenImage extends AsyncDisposable {
  readonly runtime: {
    /** Layer directories, bottom first. */
    readonly layers: readonly string[];
    readonly config: ImageConfig;
    readonly scratchDir: string;
    /** Who executes its programs where they are for another platform. */
    readonly emulation: Emulation;
    readonly helperPath: string;
    readonly seccompPath: string;
    readonly plan: NamespacePlan;
    readonly onBoundProc: () => void;
  };
}

/**
 * Finds an image and unpacks what is not unpacked.
 * @param name as typed: a name or id of the local image store, a path to an archive or layout, or a name that a registry has
 * @throws TsbuildError
 */
export async function openImage(
  session: Session,
  task: Task,
  name: string,
  platform: Platform,
  cwd: string,
): Promise<OpenImage> {
  return containerOf(session, await unpackImage(session, task, name, platform, cwd));
}

/** What running an image takes, with a place for what its container writes. */
export async function containerOf(session: Session, { image, ids, layers }: UnpackedImage): Promise<OpenImage> {
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
      emulation: new Emulation({ scratchDir: () => dir }),
      helperPath: findHelper(options.helper),
      seccompPath: findSeccompFilter(),
      plan: await session.plan(),
      onBoundProc: () => session.boundProc(),
    },
    async [Symbol.asyncDispose]() {
      await session.layers.discard(scratch);
    },
  };
}

/** An image with directories for all of its layers, which the session's lease holds. */
export interface UnpackedImage {
  readonly image: ResolvedImage;
  /** Ids of layers, bottom first. */
  readonly ids: readonly string[];
  /** Their directories. */
  readonly layers: readonly string[];
}

/** Finds an image as {@link openImage} does. @throws TsbuildError */
export async function unpackImage(
  session: Session,
  task: Task,
  name: string,
  platform: Platform,
  cwd: string,
): Promise<UnpackedImage> {
  const { reference, release } = await toReference(session, task, name, cwd);
  let image: ResolvedImage;
  try {
    image = await withInternalVertex(task, session.now, `looking for ${reference}`, (_vertex, _status, inner) =>
      session.images.resolve(inner, reference, platform),
    );
  } catch (error) {
    throw withImageHint(error, session.store, reference);
  } finally {
    // The lease holds the blobs from here on.
    release();
  }
  const ids = session.layers.adopt(image, {
    vertex: sha256(`tsbuild.pull:${image.ref}`),
    name: `pulling ${image.ref}`,
  });
  return { image, ids, layers: await session.layers.directoriesToRun(task, ids) };
}
