import type { ObjectStoreRequest } from '../../object-store/index.ts';
import type { CacheAttributes } from './attributes.ts';
import { durationOf } from './bucket-attributes.ts';

/** Attributes of `type=gha` that are about the service, by BuildKit's names. Those after `token` are for what version 2 does without. */
export const GHA_KEYS: readonly string[] = [
  'scope',
  'url',
  'url_v2',
  'token',
  'version',
  'timeout',
  'ghtoken',
  'repository',
];

/** The cache of the job, or the one that attributes name. */
export function ghaPlace(attributes: CacheAttributes): ObjectStoreRequest {
  const { env } = attributes.surroundings;
  const version = attributes.choice('version', ['1', '2']);
  if (version === '1') throw attributes.fail('"version" 1 is not supported', 'GitHub has ended it: leave it out');
  durationOf(attributes, 'timeout');
  const url = attributes.text('url_v2') || attributes.text('url') || env['ACTIONS_RESULTS_URL'];
  const token = attributes.text('token') || env['ACTIONS_RUNTIME_TOKEN'];
  if (!url || !token)
    throw attributes.fail(
      `there is no ${url ? 'token' : 'address'} of the cache of GitHub Actions`,
      `${url ? 'ACTIONS_RUNTIME_TOKEN' : 'ACTIONS_RESULTS_URL'} is not set: steps with "run:" get it from an action that exports it, as crazy-max/ghaction-github-runtime does`,
    );
  if (!URL.canParse(url)) throw attributes.fail('"url_v2" is not a URL');
  return { kind: 'gha', options: { url, token }, scope: attributes.text('scope') || 'buildkit' };
}
