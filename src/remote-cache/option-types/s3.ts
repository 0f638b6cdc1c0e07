import { s3Place, S3_KEYS } from './s3-place.ts';
import { bucketExport, scopesOf, storePlace } from './bucket-attributes.ts';
import { STEP_FROM_KEYS, STEP_TO_KEYS, stepImport } from './steps.ts';
import type { CacheOptionType } from './types.ts';

/** `type=s3`: records of steps in a bucket. Each of BuildKit's names (`name=a;b`) is a scope. */
export const s3: CacheOptionType = {
  from: {
    keys: [...S3_KEYS, ...STEP_FROM_KEYS],
    parse: (attributes) => {
      const place = storePlace(attributes, s3Place(attributes));
      return scopesOf(attributes, 'name').map((scope) => stepImport(attributes, place, scope));
    },
  },
  to: {
    keys: [...S3_KEYS, ...STEP_TO_KEYS, 'max-size'],
    parse: (attributes) => {
      const place = storePlace(attributes, s3Place(attributes));
      return scopesOf(attributes, 'name').map((scope) => bucketExport(attributes, place, scope));
    },
  },
};
