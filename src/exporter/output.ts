import { resolve } from 'node:path';
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
import { parseNames } from './names.ts';
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

/** One `--output`. */
export type OutputSpec =
  | (ImageOutput & { readonly type: 'image'; readonly danglingPrefix?: string; readonly nameCanonical: boolean })
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
const REFUSED_KEYS = [
  'push',
  'push-by-digest',
  'registry.insecure',
  'unpack',
  'danging-name-empty-only',
  'compatibility-version',
];

const KEYS: Readonly<Record<OutputSpec['type'], readonly string[]>> = {
  image: [...IMAGE_KEYS, 'store', 'dangling-name-prefix', 'name-canonical'],
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
  const type = attributes.get('type');
  attributes.delete('type');
  if (type === undefined) throw fail('"type" is required', 'for example: type=oci,dest=image.tar');
  if (type === 'registry')
    throw fail('pushing to a registry is not supported', 'write type=oci and push with another tool');
  if (!isOutputType(type)) {
    const near = suggest(type, Object.keys(KEYS));
    throw fail(
      `unknown type "${type}"`,
      near === undefined ? `types are ${Object.keys(KEYS).join(', ')}` : `did you mean "${near}"?`,
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
      return imageOutput(type, attributes, get, options, withEpoch);
  }
}

function imageOutput(
  type: 'image' | 'oci' | 'docker',
  attributes: ReadonlyMap<string, string>,
  get: Attributes,
  options: ParseOutputOptions,
  withEpoch: { readonly epoch?: number },
): OutputSpec {
  const name = attributes.get('name');
  const annotations = parseAnnotations(attributes);
  const common: ImageOutput = {
    names: name === undefined || name === '' ? parseNames(options.names) : parseNames(name.split(',')),
    ociMediaTypes: get.flag('oci-mediatypes') ?? true,
    compression: get.compression(),
    ...(annotations === undefined ? {} : { annotations }),
    ...withEpoch,
    rewriteTimestamp: get.flag('rewrite-timestamp') ?? false,
  };
  if (type === 'image') {
    if (get.flag('store') === false) throw get.fail('"store=false" leaves nothing to do');
    const danglingPrefix = attributes.get('dangling-name-prefix');
    return {
      type,
      ...common,
      nameCanonical: get.flag('name-canonical') ?? false,
      ...(danglingPrefix === undefined ? {} : { danglingPrefix }),
    };
  }
  const tar = get.flag('tar') ?? true;
  const dest = get.destination(options.cwd) ?? STDOUT;
  if (!tar && dest === STDOUT) throw get.fail('"dest" is required with "tar=false"');
  return { type, ...common, dest, tar };
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
