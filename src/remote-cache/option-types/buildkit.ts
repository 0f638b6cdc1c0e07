import type { CacheExport, CacheExportOptions, CacheImport } from '../request.ts';
import type { CacheAttributes } from './attributes.ts';
import type { CacheOptionType } from './types.ts';

/** What decides about the form of a BuildKit cache. */
export const FORM_KEYS: readonly string[] = [
  'mode',
  'compression',
  'compression-level',
  'force-compression',
  'image-manifest',
  'oci-mediatypes',
  'ignore-error',
];

/** The attributes of `FORM_KEYS`. */
export function cacheForm(attributes: CacheAttributes): CacheExportOptions {
  const ociMediaTypes = attributes.flag('oci-mediatypes') ?? true;
  const imageManifest = attributes.flag('image-manifest') ?? ociMediaTypes;
  if (imageManifest && !ociMediaTypes) throw attributes.fail('"image-manifest" needs "oci-mediatypes"');
  return {
    mode: attributes.choice('mode', ['min', 'max']) ?? 'min',
    compression: attributes.compression(),
    imageManifest,
    ociMediaTypes,
    ignoreError: attributes.flag('ignore-error') ?? true,
  };
}

/** A BuildKit cache in a directory. */
export function directoryImport(attributes: CacheAttributes): CacheImport {
  const digest = attributes.digest('digest');
  const tag = attributes.tag('tag');
  return {
    type: 'local',
    src: attributes.requiredPath('src'),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** `type=buildkit`: BuildKit's own form, all of it in one manifest, in a registry (`ref=`) or a directory (`src=`, `dest=`). */
export const buildkit: CacheOptionType = {
  from: {
    keys: ['ref', 'src', 'tag', 'digest'],
    parse: (attributes) => {
      oneOf(attributes, 'ref', 'src');
      return attributes.text('src') === undefined
        ? [{ type: 'registry', reference: attributes.reference('ref') }]
        : [directoryImport(attributes)];
    },
  },
  to: {
    keys: ['ref', 'dest', 'tag', ...FORM_KEYS],
    parse: (attributes): readonly CacheExport[] => {
      oneOf(attributes, 'ref', 'dest');
      const form = cacheForm(attributes);
      if (attributes.text('dest') === undefined)
        return [{ type: 'registry', reference: attributes.writableReference('ref'), ...form }];
      return [
        { type: 'local', dest: attributes.requiredPath('dest'), tag: attributes.tag('tag') ?? 'latest', ...form },
      ];
    },
  },
};

/** A cache is in one place. */
function oneOf(attributes: CacheAttributes, registry: string, directory: string): void {
  const both = attributes.text(registry) !== undefined && attributes.text(directory) !== undefined;
  const none = attributes.text(registry) === undefined && attributes.text(directory) === undefined;
  if (both || none) throw attributes.fail(`one of "${registry}" and "${directory}" is required`);
}
