import { resolve } from 'node:path';
import { parseReference } from '../image/index.ts';
import { suggest, TsbuildError } from '../util/index.ts';
import { isAnnotationAttribute, parseAnnotations } from './annotations.ts';
import {
  Attributes,
  type Destination,
  type Fail,
  type OutputCompression,
  parseAttributes,
  STDOUT,
} from './attributes.ts';
import { parseCsvLine } from './csv.ts';
import { parseNames, parseRepositories } from './names.ts';
import type { Annotations } from './types.ts';

/** What outputs with an image have in common. */
export interface ImageOutput {
  /** Normalised. */
  readonly names: readonly string[];
  readonly ociMediaTypes: boolean;
  readonly compression: OutputCompression;
  readonly annotations?: Annotations;
  /** Seconds since the epoch; overrules the build argument. */
  readonly epoch?: number;
  readonly rewriteTimestamp: boolean;
}

/** Where an image goes that does not stay in the store: an archive, or with `tar` false the directory of an OCI layout. */
export interface ImageFile {
  readonly type: 'oci' | 'docker';
  /** Normalised. */
  readonly names: readonly string[];
  readonly dest: Destination;
  readonly tar: boolean;
}

/** How an image goes to the registries that its names are of. */
export interface PushTarget {
  /** Without tags: names have none. */
  readonly byDigest: boolean;
  /** TLS certificates of these registries are not verified, and plain HTTP will do. */
  readonly insecure: boolean;
}

/** An image for the local image store, or for registries, or both. */
export interface StoreOutput {
  readonly type: 'image';
  readonly danglingPrefix?: string;
  readonly nameCanonical: boolean;
  /** Whether the local image store gets it. */
  readonly store: boolean;
  readonly push?: PushTarget;
  /** What was asked for and changes nothing. */
  readonly notices: readonly string[];
}

/** One `--output`. */
export type OutputSpec =
  | (ImageOutput & StoreOutput)
  | (ImageOutput & ImageFile)
  | {
      readonly type: 'local';
      readonly dest: Destination;
      readonly platformSplit?: boolean;
      readonly mode: 'copy' | 'delete';
      readonly epoch?: number;
    }
  | { readonly type: 'tar'; readonly dest: Destination; readonly platformSplit?: boolean; readonly epoch?: number }
  | { readonly type: 'cacheonly' };

/** What else decides what the text of `-o` means. */
export interface ParseOutputOptions {
  /** Relative destinations are below it. */
  readonly cwd: string;
  /** Names of `-t`, for outputs that name none. */
  readonly names: readonly string[];
}

const IMAGE_KEYS = [
  'name', 'oci-mediatypes', 'compression', 'compression-level', 'force-compression', 'source-date-epoch', 'rewrite-timestamp',
]; // oxfmt-ignore
/** Without attestations and foreign layers they change nothing. */
const INERT_KEYS = ['attestation-inline', 'attestation-prefix', 'oci-artifact', 'prefer-nondist-layers'];
/** Known to BuildKit; only "no" can be obeyed. */
const REFUSED_KEYS = ['compatibility-version'];
/** BuildKit's, the typing error included. */
const STORE_KEYS = [
  'store', 'push', 'push-by-digest', 'registry.insecure', 'unpack', 'dangling-name-prefix', 'danging-name-empty-only', 'name-canonical',
]; // oxfmt-ignore

const KEYS: Readonly<Record<OutputSpec['type'], readonly string[]>> = {
  image: [...IMAGE_KEYS, ...STORE_KEYS],
  oci: [...IMAGE_KEYS, 'dest', 'tar'],
  docker: [...IMAGE_KEYS, 'dest', 'tar'],
  local: ['dest', 'platform-split', 'mode', 'source-date-epoch'],
  tar: ['dest', 'platform-split', 'source-date-epoch'],
  cacheonly: [],
};

/**
 * Parses the value of `--output`: `type=…,key=value,…`, or a directory (type local), or `-` (type tar on stdout).
 * Runs before the build, so that a mistake costs nothing.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseOutput(text: string, options: ParseOutputOptions): OutputSpec {
  const fail = (why: string, hint?: string): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use output ${JSON.stringify(text)}: ${why}`,
      hint === undefined ? {} : { hint },
    );
  const fields = parseCsvLine(text);
  if (text === '') throw fail('it is empty');
  if (fields.length === 1 && fields[0] === text && !/^[a-z-]+=/i.test(text)) {
    if (text === STDOUT) return { type: 'tar', dest: STDOUT };
    if (isWord(text)) throw fail('"type" is required', 'for example: type=oci,dest=image.tar');
    return { type: 'local', dest: resolve(options.cwd, text), mode: 'copy' };
  }

  const attributes = parseAttributes(fields, fail);
  const named = attributes.get('type');
  attributes.delete('type');
  if (named === undefined) throw fail('"type" is required', 'for example: type=oci,dest=image.tar');
  const type = named === 'registry' ? 'image' : named;
  if (!isOutputType(type)) {
    const types = [...Object.keys(KEYS), 'registry'];
    const near = suggest(type, types);
    throw fail(
      `unknown type "${type}"`,
      near === undefined ? `types are ${types.join(', ')}` : `did you mean "${near}"?`,
    );
  }
  checkKeys(type, attributes, fail);
  const get = new Attributes(attributes, fail);
  const epoch = get.epoch('source-date-epoch');
  const withEpoch = epoch === undefined ? {} : { epoch };
  switch (type) {
    case 'cacheonly':
      return { type };
    case 'local':
    case 'tar': {
      const split = get.flag('platform-split');
      const common = { ...(split === undefined ? {} : { platformSplit: split }), ...withEpoch };
      const dest = get.destination(options.cwd);
      if (type === 'tar') return { type, dest: dest ?? STDOUT, ...common };
      if (dest === undefined) throw fail('"dest" is required for local exporter');
      if (dest === STDOUT) throw fail('a directory cannot be written to stdout', 'use type=tar,dest=-');
      return { type, dest, mode: get.choice('mode', ['copy', 'delete']) ?? 'copy', ...common };
    }
    default:
      return imageOutput(type, attributes, get, options, { ...withEpoch, toRegistry: named === 'registry' });
  }
}

function imageOutput(
  type: 'image' | 'oci' | 'docker',
  attributes: ReadonlyMap<string, string>,
  get: Attributes,
  options: ParseOutputOptions,
  { toRegistry, ...withEpoch }: { readonly epoch?: number; readonly toRegistry: boolean },
): OutputSpec {
  const name = attributes.get('name');
  const annotations = parseAnnotations(attributes);
  const named = name === undefined || name === '' ? options.names : name.split(',');
  const byDigest = type === 'image' && get.flag('push-by-digest') === true;
  const common: ImageOutput = {
    names: byDigest ? parseRepositories(named) : parseNames(named),
    ociMediaTypes: get.flag('oci-mediatypes') ?? true,
    compression: get.compression(),
    ...(annotations === undefined ? {} : { annotations }),
    ...withEpoch,
    rewriteTimestamp: get.flag('rewrite-timestamp') ?? false,
  };
  if (type === 'image') return { ...common, ...storeOutput(attributes, get, common.names, { toRegistry, byDigest }) };
  const tar = get.flag('tar') ?? true;
  const dest = get.destination(options.cwd) ?? STDOUT;
  if (!tar && dest === STDOUT) throw get.fail('"dest" is required with "tar=false"');
  return { type, ...common, dest, tar };
}

/** What becomes of an image that goes neither to a file nor a directory. `type=registry` is for the registry alone. */
function storeOutput(
  attributes: ReadonlyMap<string, string>,
  get: Attributes,
  names: readonly string[],
  { toRegistry, byDigest }: { readonly toRegistry: boolean; readonly byDigest: boolean },
): StoreOutput {
  const insecure = get.flag('registry.insecure') ?? false;
  const push = (get.flag('push') ?? toRegistry) || byDigest;
  const store = get.flag('store') ?? !(toRegistry || byDigest);
  if (!push && !store) throw get.fail('with "store=false" and without "push" there is nothing to do');
  if (push && names.length === 0)
    throw get.fail('a name is needed to push an image', 'add -t REGISTRY/NAME:TAG, or name=REGISTRY/NAME:TAG');
  const prefix = attributes.get('dangling-name-prefix');
  const isWanted = names.length === 0 || get.flag('danging-name-empty-only') !== true;
  const unpack = get.flag('unpack') === true;
  return {
    type: 'image',
    nameCanonical: get.flag('name-canonical') ?? false,
    store,
    ...(prefix === undefined || prefix === '' || !isWanted ? {} : { danglingPrefix: prefix }),
    ...(push ? { push: { byDigest, insecure } } : {}),
    notices: unpack ? ['"unpack=true" changes nothing: layers are unpacked when a step needs their files'] : [],
  };
}

function isOutputType(type: string): type is OutputSpec['type'] {
  return Object.hasOwn(KEYS, type);
}

/** `-o oci` is more likely a forgotten `type=` than a directory of that name. */
function isWord(text: string): boolean {
  return isOutputType(text) && text !== 'local' && text !== 'tar';
}

function checkKeys(type: OutputSpec['type'], attributes: ReadonlyMap<string, string>, fail: Fail): void {
  const image = type === 'image' || type === 'oci' || type === 'docker';
  const known = [...KEYS[type], ...(type === 'cacheonly' ? [] : INERT_KEYS)];
  for (const [key, value] of attributes) {
    if (known.includes(key) || (image && isAnnotationAttribute(key))) continue;
    if (REFUSED_KEYS.includes(key)) {
      if (value === 'false') continue;
      throw fail(`"${key}" is not supported`);
    }
    const near = suggest(key, [...known, ...(image ? ['annotation'] : [])]);
    throw fail(
      `type ${type} has no "${key}"`,
      near === undefined ? `it has ${known.join(', ')}` : `did you mean "${near}"?`,
    );
  }
}

/** The registries that outputs call insecure (`registry.insecure=true`). */
export function insecureHosts(specs: readonly OutputSpec[]): ReadonlySet<string> {
  return new Set(
    specs.flatMap((spec) =>
      spec.type === 'image' && spec.push?.insecure ? spec.names.map((name) => parseReference(name).host) : [],
    ),
  );
}
