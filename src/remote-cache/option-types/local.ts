import { directoryImport } from './buildkit.ts';
import { refuseOtherForms } from './registry.ts';
import { STEP_FROM_KEYS, STEP_TO_KEYS, stepExport, stepImport } from './steps.ts';
import type { CacheOptionType } from './types.ts';

/** `type=local`: records of steps in a directory. Reading also knows what BuildKit writes. */
export const local: CacheOptionType = {
  from: {
    keys: ['src', 'tag', 'digest', ...STEP_FROM_KEYS],
    // Only a manifest has a digest.
    parse: (attributes) =>
      attributes.text('digest') === undefined
        ? [stepImport(attributes, { type: 'local', path: attributes.requiredPath('src') }, attributes.tag('tag'))]
        : [directoryImport(attributes)],
  },
  to: {
    keys: ['dest', 'tag', ...STEP_TO_KEYS, 'max-size', 'image-manifest', 'oci-mediatypes'],
    parse: (attributes) => {
      refuseOtherForms(attributes);
      const place = { type: 'local', path: attributes.requiredPath('dest') } as const;
      return [stepExport(attributes, place, attributes.tag('tag'))];
    },
  },
};
