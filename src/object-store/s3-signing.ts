import type { Task } from '../events/index.ts';
import { sha256, hexOf } from '../util/index.ts';
import type { AwsKeys } from './aws-credentials.ts';
import { encodeKey, encodeQuery } from './s3-address.ts';
import type { ServiceRequest } from './service.ts';

/** A request to a bucket, before it is signed. */
export interface S3Request {
  readonly method: ServiceRequest['method'];
  /** Below the bucket; empty for the bucket itself. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** What a request is signed for and with. */
export interface S3Signing {
  /** Of the bucket, with a slash at its end. */
  readonly url: URL;
  readonly region: string;
  readonly keys: AwsKeys;
  readonly now: () => number;
  /** Keys of signing by day, which cost four hashes. */
  readonly cache: Map<string, ArrayBuffer>;
}

/**
 * Signs a request (AWS Signature Version 4) with the digest of its body, which the service compares with what arrives. Every header that is
 * sent by us is signed but `Range`, which only says how much to answer.
 */
export async function signed(task: Task, signing: S3Signing, request: S3Request): Promise<ServiceRequest> {
  const { AwsV4Signer } = await import('aws4fetch');
  const key = await signing.keys.get(task);
  const url = new URL(signing.url);
  url.pathname += encodeKey(request.key);
  url.search = encodeQuery(request.query ?? {});
  const body = request.body ?? new Uint8Array();
  const signer = new AwsV4Signer({
    method: request.method,
    url: url.href,
    headers: { ...request.headers, 'x-amz-content-sha256': hexOf(sha256(body)) },
    accessKeyId: key.accessKeyId,
    secretAccessKey: key.secretAccessKey,
    ...(key.sessionToken === undefined ? {} : { sessionToken: key.sessionToken }),
    service: 's3',
    region: signing.region,
    cache: signing.cache,
    datetime: new Date(signing.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
  });
  const { headers } = await signer.sign();
  const { authorization = '', ...rest } = Object.fromEntries(headers);
  return {
    method: request.method,
    url,
    headers: rest,
    authorization,
    ...(request.body === undefined ? {} : { body: request.body }),
  };
}
