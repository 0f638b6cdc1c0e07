import { csvField } from '../exporter/index.ts';
import { locateImage, pullImage, pushStored, verifyImage } from '../engine/index.ts';
import {
  type Descriptor,
  formatReference,
  hostPlatform,
  type ImageConfig,
  type Manifest,
  parsePlatform,
  parseReference,
} from '../image/index.ts';
import { selectImage } from '../inspect/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import type { Comparison } from '../verify/index.ts';
import { requestOf } from './request.ts';
import { type CommonOptions, openCall } from './session.ts';
import type { BuildSource } from './source.ts';

/** Options of `push`. */
export interface PushOptions extends CommonOptions {
  /** Where it goes, if not where its name says. */
  readonly to?: string;
  /** All tags of the repository that the name is of. */
  readonly allTags?: boolean;
  /** Only this platform of an image with several. */
  readonly platform?: string;
}

/**
 * Pushes images of the local store.
 * @param name a name or an id
 * @returns what was pushed, with the digests that the registry has now
 * @throws TsbuildError
 */
export async function push(
  name: string,
  options: PushOptions = {},
): Promise<readonly { readonly name: string; readonly digest: Digest }[]> {
  const { to, allTags, platform } = options;
  await using call = openCall(options);
  const pushed = await pushStored(call.session, call.task, {
    name,
    ...(to === undefined ? {} : { dest: parseReference(to) }),
    ...(allTags ? { allTags } : {}),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  });
  return pushed.map(({ reference, digest }) => ({ name: formatReference(reference), digest }));
}

/** Options of `pull`. */
export interface PullOptions extends CommonOptions {
  /** Which one of an index. Default: that of this machine. */
  readonly platform?: string;
  /** All of them. */
  readonly allPlatforms?: boolean;
  /** `missing`: nothing is asked where the store has the name. Default `always`. */
  readonly policy?: 'always' | 'missing';
}

/**
 * Brings an image into the local store under its name; its layers are unpacked when something runs on them.
 * @returns the digest that the name stands for, and whether it was there before
 * @throws TsbuildError
 */
export async function pull(
  name: string,
  options: PullOptions = {},
): Promise<{ readonly name: string; readonly digest: Digest; readonly isNew: boolean }> {
  const { platform, allPlatforms = false, policy = 'always' } = options;
  if (platform !== undefined && allPlatforms)
    throw new TsbuildError('TSB_USAGE', 'Cannot pull one platform and all platforms');
  const one = { what: 'part', platform: platform === undefined ? hostPlatform() : parsePlatform(platform) } as const;
  await using call = openCall(options);
  const { reference, digest, isNew } = await pullImage(call.session, call.task, parseReference(name), {
    selection: allPlatforms ? { what: 'all' } : { ...one, ...(platform === undefined ? {} : { strict: true }) },
    policy,
  });
  return { name: formatReference(reference), digest, isNew };
}

/** Options of `inspect`. */
export interface InspectOptions extends CommonOptions {
  /** Which one of an index. Default: that of this machine. */
  readonly platform?: string;
  /** Ask the registry, also where the local store has the name. */
  readonly remote?: boolean;
}

/** What an image is, for one platform. */
export interface InspectedImage {
  /** What the name stands for: an index or a manifest. */
  readonly root: Descriptor;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/**
 * Looks at an image without its layers.
 * @param name a name or id of the local store, a path to an archive or layout, or with `remote` a name that a registry has
 * @throws TsbuildError
 */
export async function inspect(name: string, options: InspectOptions = {}): Promise<InspectedImage> {
  const { platform, remote = false } = options;
  await using call = openCall(options);
  using found = await locateImage(call.session, call.task, name, { cwd: process.cwd(), remote });
  const { image } = await selectImage(found.provider, found.root, {
    platform: platform === undefined ? hostPlatform() : parsePlatform(platform),
    asked: platform !== undefined,
    what: found.what,
  });
  const { descriptor, manifest, config } = image;
  return { root: found.root, descriptor, manifest, config };
}

/** Options of `verify`: how the image was built. */
export interface VerifyOptions extends Omit<BuildSource, 'platforms'>, CommonOptions {
  /** Which one of an index. Default: that of this machine. */
  readonly platform?: string;
  /** As `--annotation` takes them, without types: `NAME=VALUE`. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Builds an image again in an empty store and says what differs.
 * @param image as for `inspect`
 * @throws BuildFailure when it cannot be built, or another TsbuildError
 */
export async function verify(image: string, options: VerifyOptions): Promise<Comparison> {
  const { platform, annotations = {} } = options;
  await using call = openCall(options, options.offline ? { offline: true } : {});
  return await verifyImage(call.session, call.task, {
    image,
    cwd: process.cwd(),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    build: requestOf(options),
    attributes: Object.entries(annotations).map(([name, value]) => csvField(`annotation.${name}=${value}`)),
    stdout: process.stdout,
  });
}
