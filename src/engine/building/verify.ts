import fs from 'node:fs';
import { join } from 'node:path';
import { type OutputSpec, parseOutput } from '../../exporter/index.ts';
import {
  compressionOf,
  formatPlatform,
  hostPlatform,
  INLINE_CACHE_KEY,
  mediaTypes,
  normalizePlatform,
  type Platform,
} from '../../image/index.ts';
import type { ResolvedImage } from '../../source/index.ts';
import { type ComparedImage, compareImages, type Comparison } from '../../verify/index.ts';
import type { Task } from '../../events/index.ts';
import { type Digest, errnoOf } from '../../util/index.ts';
import { runBuild } from './build.ts';
import { storedReference, toReference } from '../images/image-name.ts';
import type { BuildRequest } from '../request.ts';
import { openSession, type Session } from '../session.ts';

/** Name of what is built again, in a store of its own. */
const NAME = 'localhost/rebuilt:verify';

/** What is to be verified, besides how it is built. */
export interface VerifyRequest {
  /** As typed: a name or id of the local image store, a path to an archive or layout, a name that a registry has. */
  readonly image: string;
  readonly cwd: string;
  /** Which one of an index. Default: that of this machine. */
  readonly platform?: Platform;
  /** How it was built. Without a time of its own it is built as of when the image says that it was made. */
  readonly build: BuildRequest;
  /** Attributes of the output, as `--output` has them: annotations. */
  readonly attributes: readonly string[];
  readonly stdout: Parameters<typeof runBuild>[3]['stdout'];
}

/**
 * Builds an image again, in an empty store beside the images of this one, and compares the two.
 * @throws BuildFailure when it cannot be built; TsbuildError when there is no such image
 */
export async function verifyImage(session: Session, task: Task, request: VerifyRequest): Promise<Comparison> {
  await using scratch = emptyStore(session, `verification of ${request.image}`);
  const options = withoutStore(session);
  await using outside = openSession({ ...options, root: join(scratch.dir, 'given') });
  await using again = openSession({ ...options, root: join(scratch.dir, 'again') });
  // What comes from outside is read to its last byte: the store may have blobs of the same digests, which would be taken for those.
  const given = storedReference(session, request.image) === undefined ? outside : session;
  const image = await resolveImage(given, task, request);
  await Promise.all(image.layers.map(({ descriptor }) => image.fetchLayer(task, descriptor)));
  linkImages(session, again);
  const platform = platformOf(image);
  await runBuild(again, task, buildRequest(request, image, platform), {
    specs: [outputLike(image, request)],
    stdout: request.stdout,
  });
  const rebuilt = await again.images.resolve(task, NAME, platform);
  return await compareImages(
    formatPlatform(platform),
    compared(given, image),
    compared(again, rebuilt),
    again.remote.temporary(),
    task.signal,
  );
}

async function resolveImage(
  session: Session,
  task: Task,
  { image, cwd, platform = hostPlatform() }: VerifyRequest,
): Promise<ResolvedImage> {
  const { reference, release } = await toReference(session, task, image, cwd);
  try {
    return await session.images.resolve(task, reference, platform);
  } finally {
    // The lease holds the blobs from here on.
    release();
  }
}

/** The session's options for a session of its own. */
function withoutStore({ options }: Session): Session['options'] {
  const { store: _store, ...rest } = options;
  return rest;
}

/** A directory for stores that goes with them, also when this process is killed: it is one of the unfinished layers of the session's store. */
function emptyStore(session: Session, description: string): { readonly dir: string } & AsyncDisposable {
  const layer = session.store.layers.create({ parents: [], type: 'internal', description }, session.lease);
  const { dir } = session.store.layers.prepareDirectory(layer);
  return {
    dir,
    [Symbol.asyncDispose]: () => session.layers.discard(layer),
  };
}

/**
 * The images of a store, in another one: base images that no registry has. Blobs are shared, for they name their own bytes; layers, records
 * and everything else that is remembered are not.
 */
function linkImages(from: Session, to: Session): void {
  copyFiles(from.store.layout.blobs, to.store.layout.blobs);
  copyFiles(from.store.layout.images, to.store.layout.images);
}

/** The platform that an image says it is for. */
function platformOf({ config }: ResolvedImage): Platform {
  const { os, architecture, variant, 'os.version': osVersion } = config;
  return normalizePlatform({
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { osVersion }),
  });
}

/** By hard link where that is possible. */
function copyFiles(from: string, to: string): void {
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      fs.mkdirSync(target, { recursive: true, mode: 0o700 });
      copyFiles(source, target);
    } else if (entry.isFile()) linkOrCopy(source, target);
  }
}

function linkOrCopy(source: string, target: string): void {
  try {
    fs.linkSync(source, target);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EXDEV' || errno === 'EMLINK' || errno === 'EPERM')
      fs.copyFileSync(source, target, fs.constants.COPYFILE_FICLONE);
    // Another command has removed it.
    else if (errno !== 'ENOENT' && errno !== 'EEXIST') throw error;
  }
}

/** The request as it must have been: reproducible, and as of the image's own time unless another one is given. */
function buildRequest({ build }: VerifyRequest, { config }: ResolvedImage, platform: Platform): BuildRequest {
  const ms = Date.parse(config.created ?? '');
  const given = build.sourceDateEpoch !== undefined || build.buildArgs.has('SOURCE_DATE_EPOCH');
  return {
    ...build,
    reproducible: true,
    platforms: [platform],
    // What an image carries for others is a part of it that can be built again like the rest.
    cacheTo: config[INLINE_CACHE_KEY] === undefined ? [] : [{ type: 'inline', mode: 'min' }],
    ...(given || Number.isNaN(ms) || ms < 0 ? {} : { sourceDateEpoch: Math.floor(ms / 1000) }),
  };
}

/** An output in the form of the image: its media types, and the compression of its topmost layer. */
function outputLike(image: ResolvedImage, { cwd, attributes }: VerifyRequest): OutputSpec {
  const { manifest } = image;
  const top = manifest.layers.at(-1)?.mediaType;
  const compression = top === undefined ? undefined : compressionOf(top);
  const oci = manifest.mediaType !== mediaTypes.dockerManifest;
  const form = ['type=image', `name=${NAME}`, `oci-mediatypes=${oci}`, ...attributes];
  if (compression !== undefined) form.push(`compression=${compression === 'none' ? 'uncompressed' : compression}`);
  return parseOutput(form.join(','), { cwd, names: [] });
}

function compared({ store }: Session, { manifestDigest, manifest, config, configBytes }: ResolvedImage): ComparedImage {
  return { manifestDigest, manifest, config, configBytes, file: (digest: Digest) => store.blobs.path(digest) };
}
