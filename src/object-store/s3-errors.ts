import type { AwsKey } from './aws-key.ts';
import type { Said } from './service-error.ts';

/** What helps against an error of a bucket: which key was used and where it came from, and what its name for the error means. */
export function s3Hint(said: Said, key: AwsKey | undefined, bucket: string, region: string): string | undefined {
  const elsewhere = said.field('x-amz-bucket-region') ?? said.field('Region');
  const used =
    key === undefined ? 'no key was used' : `the request was signed with key ${key.accessKeyId} from ${key.from}`;
  switch (said.code) {
    case 'NoSuchBucket':
      return `there is no bucket "${bucket}" there: create it, or see to its spelling and its region`;
    case 'RequestTimeTooSkewed':
      return 'the clock of this machine is wrong: set it';
    case 'ExpiredToken':
    case 'TokenRefreshRequired':
      return `${used}, which has expired: get a new one`;
    case 'InvalidAccessKeyId':
      return `${used}, which is not known there`;
    case 'SignatureDoesNotMatch':
      return `${used}: its secret is another one, or something between changes requests`;
    case 'SlowDown':
      return 'the service limits requests for these objects: wait, or share less';
    case 'AuthorizationHeaderMalformed':
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
    case 'IllegalLocationConstraintException':
      return elsewhere === undefined
        ? `the bucket is not in region ${region}: give the one that it is in as region=`
        : `the bucket is in another region: give region=${elsewhere}`;
    default:
  }
  if (said.status === 301 || said.status === 307)
    return elsewhere === undefined ? undefined : `the bucket is in another region: give region=${elsewhere}`;
  if (said.status === 401 || said.status === 403)
    return `${used}: it needs s3:GetObject, s3:PutObject and s3:ListBucket on the bucket`;
  return undefined;
}
