import type { CachePlace, PolicySource, StepCacheExport, StepCacheImport } from '../request.ts';
import type { Author } from '../steps/record.ts';
import type { CacheAttributes } from './attributes.ts';
import { mountsOf } from './mounts.ts';

/** What every place of a cache of steps takes for reading. */
export const STEP_FROM_KEYS: readonly string[] = [
  'scope',
  'verify-key',
  'policy',
  'mounts',
  'mounts-max-size',
  'mounts-timeout',
];

/** What every place of a cache of steps takes for writing. */
export const STEP_TO_KEYS: readonly string[] = [
  'scope',
  'mode',
  'compression',
  'compression-level',
  'force-compression',
  'ignore-error',
  'key',
  'who',
  'git-ref',
  'commit',
  'touch-refresh',
  'mounts',
  'mounts-max-size',
];

/** Characters of a scope: it stands in every record. */
const MAX_SCOPE = 200;

/** A `--cache-from` of steps. @param scope where `scope=` is not given */
export function stepImport(attributes: CacheAttributes, place: CachePlace, scope?: string): StepCacheImport {
  const chosen = scopeOf(attributes) ?? scope;
  const policy = policyOf(attributes);
  const mounts = mountsOf(attributes);
  return {
    type: 'steps',
    place,
    ...(chosen === undefined ? {} : { scope: chosen }),
    ...(policy === undefined ? {} : { policy }),
    ...(mounts === undefined ? {} : { mounts }),
  };
}

/** A `--cache-to` of steps. @param scope where `scope=` is not given */
export function stepExport(attributes: CacheAttributes, place: CachePlace, scope?: string): StepCacheExport {
  const chosen = scopeOf(attributes) ?? scope;
  const keyFile = attributes.path('key');
  const maxBytes = attributes.size('max-size');
  const touchMs = attributes.duration('touch-refresh');
  const mounts = mountsOf(attributes);
  return {
    type: 'steps',
    place,
    ...(chosen === undefined ? {} : { scope: chosen }),
    mode: attributes.choice('mode', ['min', 'max']) ?? 'min',
    compression: attributes.compression(),
    ignoreError: attributes.flag('ignore-error') ?? true,
    ...(keyFile === undefined ? {} : { keyFile }),
    author: authorOf(attributes),
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(touchMs === undefined ? {} : { touchMs }),
    ...(mounts === undefined ? {} : { mounts }),
  };
}

function scopeOf(attributes: CacheAttributes): string | undefined {
  const scope = attributes.text('scope');
  if (scope === undefined) return undefined;
  // One line, so that messages can name it.
  if (scope === '' || scope.length > MAX_SCOPE || !/^[\x21-\x7e]+$/.test(scope))
    throw attributes.fail(`"scope" is ${JSON.stringify(scope)}, expected 1 to ${MAX_SCOPE} printable characters`);
  return scope;
}

function policyOf(attributes: CacheAttributes): PolicySource | undefined {
  const verifyKeys = attributes.paths('verify-key');
  const policyFile = attributes.path('policy');
  if (verifyKeys !== undefined && policyFile !== undefined)
    throw attributes.fail('"verify-key" and "policy" exclude each other', 'a policy says which keys for which scope');
  if (verifyKeys !== undefined) return { verifyKeys };
  return policyFile === undefined ? undefined : { policyFile };
}

/** Whose build it is: as the option says, or the CI system in whose environment it runs (GitHub, GitLab). */
function authorOf(attributes: CacheAttributes): Author {
  const { env } = attributes.surroundings;
  const who = attributes.text('who') ?? env['GITHUB_ACTOR'] ?? env['GITLAB_USER_LOGIN'];
  const ref = attributes.text('git-ref') ?? env['GITHUB_REF'] ?? env['CI_COMMIT_REF_NAME'];
  const commit = attributes.text('commit') ?? env['GITHUB_SHA'] ?? env['CI_COMMIT_SHA'];
  return {
    ...(who === undefined ? {} : { who: who.slice(0, MAX_SCOPE) }),
    ...(ref === undefined ? {} : { ref: ref.slice(0, MAX_SCOPE) }),
    ...(commit === undefined ? {} : { commit: commit.slice(0, MAX_SCOPE) }),
  };
}
