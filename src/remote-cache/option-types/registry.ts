import type { CacheAttributes } from './attributes.ts';
import { STEP_FROM_KEYS, STEP_TO_KEYS, stepExport, stepImport } from './steps.ts';
import type { CacheOptionType } from './types.ts';

/** `type=registry`, and plain references: records of steps under tags of a repository. Reading also knows what BuildKit writes. */
export const registry: CacheOptionType = {
  from: {
    keys: ['ref', ...STEP_FROM_KEYS],
    parse: (attributes) => [stepImport(attributes, { type: 'registry', reference: attributes.reference('ref') })],
  },
  to: {
    keys: ['ref', ...STEP_TO_KEYS, 'image-manifest', 'oci-mediatypes'],
    // What a repository takes is known to who has asked for each record, which no build should wait for; and few jobs may delete.
    instead: { 'max-size': 'a job of its own makes it smaller: tsbuild prune --cache REF --max-size SIZE' },
    parse: (attributes) => {
      refuseOtherForms(attributes);
      return [stepExport(attributes, { type: 'registry', reference: attributes.writableReference('ref') })];
    },
  },
};

/** Pipelines that were written for BuildKit ask for what is so anyway. @throws what `fail` makes when they ask for something else */
export function refuseOtherForms(attributes: CacheAttributes): void {
  for (const key of ['image-manifest', 'oci-mediatypes'])
    if (attributes.flag(key) === false)
      throw attributes.fail(`"${key}" is always true`, "type=buildkit writes BuildKit's form, which has a choice");
}
