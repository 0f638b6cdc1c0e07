import type { ObjectStoreRequest } from '../../object-store/index.ts';
import type { CacheAttributes } from './attributes.ts';
import { countOf, durationOf, keyPrefixes, PREFIX_KEYS, variables } from './bucket-attributes.ts';

/** Attributes of `type=s3` that are about the bucket, by BuildKit's names. */
export const S3_KEYS: readonly string[] = [
  'bucket',
  'region',
  ...PREFIX_KEYS,
  'endpoint_url',
  'use_path_style',
  'access_key_id',
  'secret_access_key',
  'session_token',
  'touch_refresh',
  'upload_parallelism',
  'retry_mode',
  'retry_max_attempts',
  'disable_accept_encoding',
];

/** The bucket that attributes name; what they leave out is in the environment, as for Amazon's own tools. */
export function s3Place(attributes: CacheAttributes): ObjectStoreRequest {
  const env = variables(attributes, 'AWS_');
  const bucket = attributes.text('bucket') || env['AWS_BUCKET'];
  const region = attributes.text('region') || env['AWS_REGION'] || env['AWS_DEFAULT_REGION'];
  if (!bucket) throw attributes.fail('"bucket" is required', 'or set AWS_BUCKET');
  if (!region)
    throw attributes.fail('"region" is required', 'or set AWS_REGION; services that have none take any, as us-east-1');
  attributes.choice('retry_mode', ['standard', 'adaptive']);
  // Nothing is asked for in a compressed form.
  attributes.flag('disable_accept_encoding');
  const endpointUrl = attributes.text('endpoint_url') || env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'];
  const uploadParallelism = countOf(attributes, 'upload_parallelism', 64);
  const touchRefreshMs = durationOf(attributes, 'touch_refresh');
  const attempts = countOf(attributes, 'retry_max_attempts', 20);
  const given = givenKey(attributes);
  return {
    kind: 's3',
    options: {
      bucket,
      region,
      ...(endpointUrl ? { endpointUrl } : {}),
      usePathStyle: attributes.flag('use_path_style') ?? false,
      ...keyPrefixes(attributes),
      keys: { env, home: attributes.surroundings.env['HOME'] ?? '/', ...(given === undefined ? {} : { given }) },
      ...(uploadParallelism === undefined ? {} : { uploadParallelism }),
      ...(touchRefreshMs === undefined ? {} : { touchRefreshMs }),
      ...(attempts === undefined ? {} : { attempts }),
    },
  };
}

function givenKey(
  attributes: CacheAttributes,
): { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string } | undefined {
  const [accessKeyId, secretAccessKey, sessionToken] = ['access_key_id', 'secret_access_key', 'session_token'].map(
    (key) => attributes.text(key),
  );
  if (!accessKeyId && !secretAccessKey) return undefined;
  if (!accessKeyId || !secretAccessKey) throw attributes.fail('"access_key_id" and "secret_access_key" go together');
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}
