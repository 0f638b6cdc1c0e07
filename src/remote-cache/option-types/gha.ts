import { bucketExport, storePlace } from './bucket-attributes.ts';
import { GHA_KEYS, ghaPlace } from './gha-place.ts';
import { STEP_FROM_KEYS, STEP_TO_KEYS, stepImport } from './steps.ts';
import type { CacheOptionType } from './types.ts';

/** `type=gha`: records of steps in the cache of GitHub Actions, which deletes by rules of its own. */
export const gha: CacheOptionType = {
  from: {
    keys: [...GHA_KEYS, ...STEP_FROM_KEYS],
    parse: (attributes) => [stepImport(attributes, storePlace(attributes, ghaPlace(attributes)))],
  },
  to: {
    keys: [...GHA_KEYS, ...STEP_TO_KEYS],
    instead: { 'max-size': 'GitHub deletes what was used longest ago, where a repository has more than its share' },
    parse: (attributes) => [bucketExport(attributes, storePlace(attributes, ghaPlace(attributes)))],
  },
};
