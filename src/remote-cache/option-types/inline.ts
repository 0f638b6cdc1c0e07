import type { CacheOptionType } from './types.ts';

/** `type=inline`: in the image itself. Read by `type=registry` of the image. */
export const inline: CacheOptionType = {
  to: {
    keys: ['mode', 'ignore-error'],
    parse: (attributes) => {
      attributes.flag('ignore-error');
      return [{ type: 'inline', mode: attributes.choice('mode', ['min', 'max']) ?? 'min' }];
    },
  },
};
