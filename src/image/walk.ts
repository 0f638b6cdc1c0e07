import { type Digest, isTsbuildError, TsbuildError } from '../util/index.ts';
import { isAttestation } from './annotations.ts';
import { type ImageConfig, MAX_CONFIG_BYTES, parseImageConfig } from './config.ts';
import { type ContentProvider, type SyncContentProvider, tooLarge, verifyDocument } from './content.ts';
import { type Descriptor, isConfigType, isIndexType, isManifestType } from './descriptor.ts';
import { type ImageIndex, type Manifest, MAX_MANIFEST_BYTES, parseDocument } from './manifest.ts';
import type { Platform } from './platform.ts';
import { runsOn, selectManifests } from './platform-match.ts';

/** Indexes within indexes; more than this is nobody's image. */
const MAX_DEPTH = 4;
/** Documents of one image. An index of a thousand indexes of a thousand images each is an attack, not an image. */
const MAX_DOCUMENTS = 5000;

/** What is walked for. */
export interface WalkOptions {
  /** How messages name the image, e.g. `image "docker.io/library/alpine:3"`. */
  readonly what: string;
  /**
   * Only the images of an index that can serve this platform, best first. Whoever needs one takes the first and stops:
   * nothing else is read. An image that is not in an index is taken whatever its platform.
   */
  readonly platform?: Platform;
}

/** A manifest of an image, with its config. Layers are named, not read. */
export interface ImageManifestNode {
  readonly kind: 'image';
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly configBytes: Uint8Array;
}

/** A manifest of something else: an attestation, a signature, a build cache. Its config is a blob like its layers, and not read. */
export interface ArtifactNode {
  readonly kind: 'artifact';
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

/** An index, after all that it names. */
export interface IndexNode {
  readonly kind: 'index';
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly index: ImageIndex;
  /** How many of its entries are there; an index that was pulled for one platform names all of them. */
  readonly present: number;
}

/** An entry of an index that is neither manifest nor index. The image-spec wants such ones to be passed over. */
export interface ForeignNode {
  readonly kind: 'foreign';
  readonly descriptor: Descriptor;
}

/** What cannot be used because it is not there, or because it is not what it should be. */
interface Fault {
  readonly descriptor: Descriptor;
  /** The index or manifest that names it; undefined for the root. */
  readonly parent: Descriptor | undefined;
  /** The manifest whose config this is. */
  readonly manifest?: Manifest;
}

/** The provider does not have it. */
export interface AbsentNode extends Fault {
  readonly kind: 'absent';
}

/** The provider has something, and it cannot be used. */
export interface MalformedNode extends Fault {
  readonly kind: 'malformed';
  /** `TSB_IMAGE` or `TSB_DIGEST`. */
  readonly error: TsbuildError;
}

/** What a walk comes across, told apart by `kind`. */
export type ImageNode = ImageManifestNode | ArtifactNode | IndexNode | ForeignNode | AbsentNode | MalformedNode;

/**
 * Follows an index or a manifest to the configs and layers that belong to it: the one way through an image, whoever asks
 * and wherever the bytes are. What an index names comes before it, as content must be stored and pushed, and each document
 * once, however often it is named. Documents are verified against their descriptors and checked; what is wrong with one is a
 * node too, since some readers refuse the image then (`isFault`, `faultError`) and others count what is left of it.
 * @throws what the provider throws
 */
export async function* walk(
  provider: Pick<ContentProvider, 'read'>,
  root: Descriptor,
  options: WalkOptions,
): AsyncGenerator<ImageNode, void, undefined> {
  const search = new Walk(options).visit(root, undefined, 1);
  for (let step = search.next(); step.done !== true;) {
    const { value } = step;
    if (value.kind !== 'want') {
      yield value;
      step = search.next();
    } else step = search.next(await provider.read(value.descriptor));
  }
}

/** The same where the bytes lie on this machine. */
export function* walkSync(
  provider: Pick<SyncContentProvider, 'read'>,
  root: Descriptor,
  options: WalkOptions,
): Generator<ImageNode, void, undefined> {
  const search = new Walk(options).visit(root, undefined, 1);
  for (let step = search.next(); step.done !== true;) {
    const { value } = step;
    if (value.kind !== 'want') {
      yield value;
      step = search.next();
    } else step = search.next(provider.read(value.descriptor));
  }
}

/** Why an image with such a node cannot be used. */
export function faultError(fault: AbsentNode | MalformedNode, what: string): TsbuildError {
  if (fault.kind === 'malformed') return fault.error;
  return new TsbuildError('TSB_NOT_FOUND', `Cannot use ${what}: ${fault.descriptor.digest} is missing`);
}

/** The walk asks for bytes by yielding, so that it need not know whether they are here or on the other side of a network. */
interface Want {
  readonly kind: 'want';
  readonly descriptor: Descriptor;
}
/** Returns whether there was something to be used. */
type Steps = Generator<ImageNode | Want, boolean, Uint8Array | undefined>;

class Walk {
  readonly #options: WalkOptions;
  /** What was met, and whether it could be used. An index that is met within itself counts as being there. */
  readonly #seen = new Map<Digest, boolean>();

  constructor(options: WalkOptions) {
    this.#options = options;
  }

  *visit(descriptor: Descriptor, parent: Descriptor | undefined, depth: number): Steps {
    const known = this.#seen.get(descriptor.digest);
    if (known !== undefined) return known;
    this.#seen.set(descriptor.digest, true);
    const usable = yield* this.#document(descriptor, parent, depth);
    this.#seen.set(descriptor.digest, usable);
    return usable;
  }

  *#document(descriptor: Descriptor, parent: Descriptor | undefined, depth: number): Steps {
    const { what } = this.#options;
    if (this.#seen.size > MAX_DOCUMENTS) {
      const error = new TsbuildError('TSB_IMAGE', `Cannot use ${what}: it has more than ${MAX_DOCUMENTS} documents`);
      yield { kind: 'malformed', descriptor, parent, error };
      return false;
    }
    const bytes = yield* this.#read(descriptor, MAX_MANIFEST_BYTES, { parent });
    if (bytes === undefined) return false;
    const kind = isIndexType(descriptor.mediaType) ? 'index' : 'manifest';
    const document = attempt(() =>
      parseDocument(bytes, descriptor.mediaType, `${kind} ${descriptor.digest} of ${what}`),
    );
    if (document instanceof TsbuildError) {
      yield { kind: 'malformed', descriptor, parent, error: document };
      return false;
    }
    if (document.kind === 'index') return yield* this.#index(document.index, bytes, descriptor, parent, depth);
    return yield* this.#manifest(document.manifest, bytes, descriptor, parent);
  }

  *#index(
    index: ImageIndex,
    bytes: Uint8Array,
    descriptor: Descriptor,
    parent: Descriptor | undefined,
    depth: number,
  ): Steps {
    const { what, platform } = this.#options;
    if (depth > MAX_DEPTH) {
      const error = new TsbuildError('TSB_IMAGE', `Cannot use ${what}: indexes are nested too deeply`);
      yield { kind: 'malformed', descriptor, parent, error };
      return false;
    }
    let present = 0;
    for (const entry of platform === undefined ? index.manifests : selectManifests(index, platform)) {
      if (isIndexType(entry.mediaType) || isManifestType(entry.mediaType)) {
        if (yield* this.visit(entry, descriptor, depth + 1)) present++;
      } else {
        yield { kind: 'foreign', descriptor: entry };
        present++;
      }
    }
    yield { kind: 'index', descriptor, bytes, index, present };
    return true;
  }

  *#manifest(manifest: Manifest, bytes: Uint8Array, descriptor: Descriptor, parent: Descriptor | undefined): Steps {
    const { what, platform } = this.#options;
    if (!isConfigType(manifest.config.mediaType) || isAttestation(descriptor)) {
      yield { kind: 'artifact', descriptor, bytes, manifest };
      return true;
    }
    const configBytes = yield* this.#read(manifest.config, MAX_CONFIG_BYTES, { parent: descriptor, manifest });
    if (configBytes === undefined) return true;
    const name = `config ${manifest.config.digest} of ${what}`;
    const config = attempt(() => imageConfig(configBytes, manifest, name));
    if (config instanceof TsbuildError) {
      yield { kind: 'malformed', descriptor: manifest.config, parent: descriptor, manifest, error: config };
      return true;
    }
    // An entry that does not say what it is for is judged by its config.
    const isUnsaid = parent !== undefined && descriptor.platform === undefined;
    if (platform !== undefined && isUnsaid && !runsOn(config, platform)) return true;
    yield { kind: 'image', descriptor, bytes, manifest, config, configBytes };
    return true;
  }

  /** The verified bytes of a document; undefined after yielding what is wrong. */
  *#read(
    descriptor: Descriptor,
    maxBytes: number,
    place: Omit<Fault, 'descriptor'>,
  ): Generator<ImageNode | Want, Uint8Array | undefined, Uint8Array | undefined> {
    const { what } = this.#options;
    if (descriptor.size > maxBytes) {
      yield { kind: 'malformed', descriptor, ...place, error: tooLarge(descriptor, maxBytes, what) };
      return undefined;
    }
    const bytes = yield { kind: 'want', descriptor };
    if (bytes === undefined) {
      yield { kind: 'absent', descriptor, ...place };
      return undefined;
    }
    const error = attempt(() => verifyDocument(bytes, descriptor, what));
    if (!(error instanceof TsbuildError)) return bytes;
    yield { kind: 'malformed', descriptor, ...place, error };
    return undefined;
  }
}

/** Images without any diff ids exist, and can be copied; one with some must have one for each layer. */
function imageConfig(bytes: Uint8Array, manifest: Manifest, name: string): ImageConfig {
  const config = parseImageConfig(bytes, name);
  const { length } = config.rootfs.diff_ids;
  if (length === 0 || length === manifest.layers.length) return config;
  throw new TsbuildError(
    'TSB_IMAGE',
    `Cannot use ${name}: it has ${length} diff ids for the ${manifest.layers.length} layers of its manifest`,
  );
}

/** What a check returns, or the error that it throws. */
function attempt<T>(check: () => T): T | TsbuildError {
  try {
    return check();
  } catch (error) {
    if (isTsbuildError(error)) return error;
    throw error;
  }
}
