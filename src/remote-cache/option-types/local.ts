import { cacheForm, directoryImport, FORM_KEYS } from './buildkit.ts';
import type { CacheOptionType } from './types.ts';

/** `type=local`: a directory. */
export const local: CacheOptionType = {
  from: { keys: ['src', 'tag', 'digest'], parse: (attributes) => [directoryImport(attributes)] },
  to: {
    keys: ['dest', 'tag', ...FORM_KEYS],
    parse: (attributes) => [
      {
        type: 'local',
        dest: attributes.requiredPath('dest'),
        tag: attributes.tag('tag') ?? 'latest',
        ...cacheForm(attributes),
      },
    ],
  },
};
