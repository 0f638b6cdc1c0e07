import { TsbuildError } from '../util/index.ts';

/** Where the objects of a bucket are. */
export interface BucketAddress {
  readonly bucket: string;
  readonly region: string;
  /** A service of its own instead of Amazon's, e.g. `https://minio.example.com`. */
  readonly endpointUrl?: string;
  /** `https://host/bucket/key` instead of `https://bucket.host/key`. */
  readonly usePathStyle: boolean;
}

/** Bucket names that can be part of a host name covered by a certificate of `*.host`. */
const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]$/;

/**
 * The URL of a bucket, with a slash at its end. As Amazon's own clients do, hosts that are addresses and buckets that cannot be a label of
 * a host name have the bucket in the path.
 * @throws TsbuildError `TSB_USAGE`
 */
export function bucketUrl({ bucket, region, endpointUrl, usePathStyle }: BucketAddress): URL {
  const fail = (why: string, hint?: string): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use bucket ${JSON.stringify(bucket)}: ${why}`,
      hint === undefined ? {} : { hint },
    );
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(bucket) || bucket.includes('..'))
    throw fail('it is no name of a bucket');
  if (!/^[a-z0-9-]{1,40}$/i.test(region)) throw fail(`${JSON.stringify(region)} is no region`);
  const china = region.startsWith('cn-') ? '.cn' : '';
  const given = endpointUrl ?? `https://s3.${region}.amazonaws.com${china}`;
  const base = URL.canParse(given) ? new URL(given) : undefined;
  if (base === undefined || (base.protocol !== 'https:' && base.protocol !== 'http:'))
    throw fail('"endpoint_url" is not an http or https URL', 'for example: endpoint_url=https://minio.example.com');
  if (base.username !== '' || base.password !== '' || base.search !== '' || base.hash !== '')
    throw fail(
      '"endpoint_url" has more than scheme, host, port and path',
      'keys are given as access_key_id and secret_access_key',
    );
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  // URLs have one spelling of each: numbers with dots, or something in brackets.
  const isAddress = /^(?:\d+(?:\.\d+){3}|\[.*\]|localhost)$/.test(base.hostname);
  if (usePathStyle || isAddress || !HOST_LABEL.test(bucket)) base.pathname += `${bucket}/`;
  else base.hostname = `${bucket}.${base.hostname}`;
  return base;
}

/** A path of a URL as signatures want it: everything but RFC 3986's unreserved characters is encoded, slashes stay. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodeStrictly).join('/');
}

/** A query, each value encoded as in a key; `encodeURIComponent` alone leaves five characters that signatures encode. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${encodeStrictly(name)}=${encodeStrictly(value)}`)
    .join('&');
}

function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** What messages call a bucket. */
export function bucketId({ bucket, prefix }: { readonly bucket: string; readonly prefix: string }): string {
  return `s3://${bucket}/${prefix}`.replace(/\/$/, '');
}
