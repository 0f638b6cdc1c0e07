import { AZBLOB_KEYS, azblobPlace } from './azblob-place.ts';
import { bucketExport, scopesOf, storePlace } from './bucket-attributes.ts';
import { STEP_FROM_KEYS, STEP_TO_KEYS, stepImport } from './steps.ts';
import type { CacheOptionType } from './types.ts';

/** `type=azblob`: records of steps in a container of an Azure storage account. */
export const azblob: CacheOptionType = {
  from: {
    keys: [...AZBLOB_KEYS, ...STEP_FROM_KEYS],
    parse: (attributes) => {
      const place = storePlace(attributes, azblobPlace(attributes));
      return scopesOf(attributes, 'name').map((scope) => stepImport(attributes, place, scope));
    },
  },
  to: {
    keys: [...AZBLOB_KEYS, ...STEP_TO_KEYS, 'max-size'],
    parse: (attributes) => {
      const place = storePlace(attributes, azblobPlace(attributes));
      return scopesOf(attributes, 'name').map((scope) => bucketExport(attributes, place, scope));
    },
  },
};
