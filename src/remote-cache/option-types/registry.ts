import { cacheForm, FORM_KEYS } from './buildkit.ts';
import type { CacheOptionType } from './types.ts';

/** `type=registry`, and plain references. */
export const registry: CacheOptionType = {
  from: { keys: ['ref'], parse: (attributes) => [{ type: 'registry', reference: attributes.reference('ref') }] },
  to: {
    keys: ['ref', ...FORM_KEYS],
    parse: (attributes) => [
      { type: 'registry', reference: attributes.writableReference('ref'), ...cacheForm(attributes) },
    ],
  },
};
