import { formatPlatform, parsePlatform } from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { Annotations, ImageAnnotations } from './types.ts';

const KEY = /^annotation(?:-(?<kind>[a-z-]+))?(?:\[(?<platform>[A-Za-z0-9_./-]+)\])?\.(?<key>\S+)$/;

/** One annotation and where it goes. */
interface AnnotationKey {
  readonly kind: 'manifest' | 'manifest-descriptor' | 'index' | 'index-descriptor';
  readonly platform?: string;
  readonly key: string;
}

/** Whether an attribute of an output is an annotation. */
export function isAnnotationAttribute(name: string): boolean {
  return /^annotation[-.[]/.test(name);
}

/**
 * Collects annotations from attributes `annotation[-<type>][<platform>].<key>`, with type manifest (the default), index,
 * manifest-descriptor or index-descriptor.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseAnnotations(attributes: Iterable<readonly [string, string]>): Annotations | undefined {
  const all = emptyImage();
  const platforms = new Map<string, MutableImage>();
  const index: Record<string, string> = {};
  const indexDescriptor: Record<string, string> = {};
  let found = false;
  for (const [name, value] of attributes) {
    if (!isAnnotationAttribute(name)) continue;
    found = true;
    const { kind, platform, key } = parseKey(name);
    let image = all;
    if (platform !== undefined) {
      image = platforms.get(platform) ?? emptyImage();
      platforms.set(platform, image);
    }
    const target = {
      manifest: image.manifest,
      'manifest-descriptor': image.manifestDescriptor,
      index,
      'index-descriptor': indexDescriptor,
    }[kind];
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return found ? { all, platforms, index, indexDescriptor } : undefined;
}

interface MutableImage extends ImageAnnotations {
  readonly manifest: Record<string, string>;
  readonly manifestDescriptor: Record<string, string>;
}

/** No annotations yet. */
function emptyImage(): MutableImage {
  return { manifest: {}, manifestDescriptor: {} };
}

/**
 * Cuts a name into its parts.
 * @throws TsbuildError `TSB_USAGE`
 */
function parseKey(name: string): AnnotationKey {
  const fail = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use annotation ${JSON.stringify(name)}: ${why}`, {
      hint: 'for example: annotation.org.opencontainers.image.title=app, annotation-index.key=value',
    });
  const groups = KEY.exec(name)?.groups;
  const key = groups?.['key'];
  if (key === undefined) throw fail('expected "annotation[-type][[platform]].key"');
  const kind = groups?.['kind'] ?? 'manifest';
  if (kind !== 'manifest' && kind !== 'manifest-descriptor' && kind !== 'index' && kind !== 'index-descriptor') {
    throw fail(`unknown type "${kind}"`);
  }
  const platform = groups?.['platform'];
  if (platform === undefined) return { kind, key };
  if (kind === 'index' || kind === 'index-descriptor') throw fail('an index is for all platforms');
  return { kind, platform: formatPlatform(parsePlatform(platform)), key };
}
