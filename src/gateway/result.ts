import {
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  normalizePlatform,
  parseImageConfig,
  type Platform,
} from '../image/index.ts';
import type { Definition } from '../llb/index.ts';
import { messageOf, TsbuildError } from '../util/index.ts';
import type { FrontendResult } from './host.ts';

const PLATFORMS_KEY = 'refs.platforms';
const CONFIG_KEY = 'containerimage.config';
const BASE_CONFIG_KEY = 'containerimage.base.config';
/** Images of one result. */
const MAX_PLATFORMS = 256;

/** One image of a result. */
export interface ResultImage {
  readonly platform: Platform;
  /** The key under which the result has it. */
  readonly id: string;
  /** Undefined is scratch. */
  readonly definition: Definition | undefined;
  readonly config?: ImageConfig;
  readonly baseConfig?: ImageConfig;
}

/** The images of a result. */
export interface ResultImages {
  readonly images: readonly ResultImage[];
  /** The frontend means an index, of one image perhaps. */
  readonly multiPlatform: boolean;
}

interface NamedPlatform {
  readonly id: string;
  readonly platform: Platform;
}

/**
 * The images that a frontend's result is to become, by the rules of BuildKit's image exporter: a map of references is an index of the
 * platforms that `refs.platforms` lists; each has the config under its own key, or else under the common one.
 * @throws TsbuildError `TSB_DOCKERFILE` for metadata that is malformed or does not fit
 */
export function imagesOf({ refs, metadata }: FrontendResult): ResultImages {
  const named = platformsOf(metadata);
  if (refs.kind === 'one') {
    const [only, ...others] = named ?? [];
    if (others.length > 0) throw malformed('it names several platforms and returned one reference');
    return { images: [imageOf(metadata, only, refs.definition)], multiPlatform: false };
  }
  if (named === undefined) {
    const [entry, ...others] = refs.definitions;
    if (entry === undefined) throw malformed('its map of references is empty');
    if (others.length > 0) throw malformed(`it returned several references without ${PLATFORMS_KEY}`);
    return { images: [imageOf(metadata, undefined, entry[1])], multiPlatform: true };
  }
  const images = named.map((one) => {
    if (!refs.definitions.has(one.id)) throw malformed(`there is no reference for ${JSON.stringify(one.id)}`);
    return imageOf(metadata, one, refs.definitions.get(one.id));
  });
  return { images, multiPlatform: true };
}

/** The metadata that says the same as `images`, as frontends of BuildKit give it. */
export function metadataOf({ images, multiPlatform }: ResultImages): ReadonlyMap<string, Uint8Array> {
  const metadata = new Map<string, Uint8Array>();
  const put = (key: string, value: unknown): void => void metadata.set(key, Buffer.from(JSON.stringify(value)));
  for (const { id, config, baseConfig } of images) {
    const suffix = multiPlatform ? `/${id}` : '';
    if (config !== undefined) put(`${CONFIG_KEY}${suffix}`, config);
    if (baseConfig !== undefined) put(`${BASE_CONFIG_KEY}${suffix}`, baseConfig);
  }
  put(PLATFORMS_KEY, { Platforms: images.map(({ id, platform }) => ({ ID: id, Platform: platform })) });
  return metadata;
}

function imageOf(
  metadata: FrontendResult['metadata'],
  named: NamedPlatform | undefined,
  definition: Definition | undefined,
): ResultImage {
  const config = configOf(metadata, CONFIG_KEY, named);
  const baseConfig = configOf(metadata, BASE_CONFIG_KEY, named);
  const platform = named?.platform ?? (config === undefined ? hostPlatform() : platformOfConfig(config));
  return {
    platform,
    id: named?.id ?? formatPlatform(platform),
    definition,
    ...(config === undefined ? {} : { config }),
    ...(baseConfig === undefined ? {} : { baseConfig }),
  };
}

/** `refs.platforms`; undefined without any. */
function platformsOf(metadata: FrontendResult['metadata']): readonly NamedPlatform[] | undefined {
  const bytes = metadata.get(PLATFORMS_KEY);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const list = fieldOf(parseJson(bytes, PLATFORMS_KEY), 'Platforms');
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_PLATFORMS)
    throw malformed(`${PLATFORMS_KEY} has no list of 1 to ${MAX_PLATFORMS} platforms`);
  const named = list.map((entry: unknown): NamedPlatform => {
    const id = fieldOf(entry, 'ID');
    const platform = fieldOf(entry, 'Platform');
    const [os, architecture] = [fieldOf(platform, 'os'), fieldOf(platform, 'architecture')];
    const [variant, osVersion] = [fieldOf(platform, 'variant'), fieldOf(platform, 'os.version')];
    if (!isName(id) || !isName(os) || !isName(architecture))
      throw malformed(`${PLATFORMS_KEY} has an entry without id, os or architecture`);
    return {
      id,
      platform: normalizePlatform({
        os,
        architecture,
        ...(isName(variant) ? { variant } : {}),
        ...(isName(osVersion) ? { osVersion } : {}),
      }),
    };
  });
  if (new Set(named.map(({ id }) => id)).size < named.length) throw malformed(`${PLATFORMS_KEY} has an id twice`);
  return named;
}

/** Platforms are parts of names of files and references. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_][A-Za-z0-9_./()-]{0,100}$/.test(value) && !value.includes('..');
}

function configOf(
  metadata: FrontendResult['metadata'],
  key: string,
  named: NamedPlatform | undefined,
): ImageConfig | undefined {
  const own = named === undefined ? undefined : metadata.get(`${key}/${named.id}`);
  const bytes = own ?? metadata.get(key);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const document = parseJson(bytes, key);
  if (typeof document !== 'object' || document === null) throw malformed(`${key} is no object`);
  const { os, architecture } = document as { readonly os?: unknown; readonly architecture?: unknown };
  if (!os !== !architecture) throw malformed('os and architecture of an image config must be specified together');
  // Without either, the image is for the platform that it was made for.
  const platform = named?.platform ?? hostPlatform();
  const full = os ? document : { ...document, os: platform.os, architecture: platform.architecture };
  const config = parseImageConfig(Buffer.from(JSON.stringify(full)), `${key} of the frontend`);
  // What layers there are is the result's to say.
  return { ...config, rootfs: { type: 'layers', diff_ids: [] } };
}

function platformOfConfig({ os, architecture, variant }: ImageConfig): Platform {
  return normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
}

function parseJson(bytes: Uint8Array, key: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw malformed(`${key} is not JSON: ${messageOf(error)}`);
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function malformed(why: string): TsbuildError {
  return new TsbuildError('TSB_DOCKERFILE', `Cannot use the result of the frontend: ${why}`);
}
