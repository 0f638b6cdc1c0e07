import { TsbuildError } from '../util/index.ts';
import type { S3Request } from './s3-signing.ts';
import { elements, textOf } from './xml.ts';

/** A key in the list of a bucket. */
export interface ListedKey {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

/** More pages than a cache has: a server that never ends is not followed. 1000 keys each. */
const MAX_PAGES = 2000;

/**
 * The keys of a bucket that begin with a prefix (ListObjectsV2).
 * @param exchange sends a request to the bucket, and gives the document that is answered
 * @throws TsbuildError `TSB_REGISTRY` for a list that goes round in circles
 */
export async function* listBucket(
  doing: string,
  prefix: string,
  exchange: (request: S3Request) => Promise<{ readonly xml: string }>,
): AsyncGenerator<ListedKey, void, undefined> {
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      'max-keys': '1000',
      prefix,
      ...(token === undefined ? {} : { 'continuation-token': token }),
    };
    const { xml } = await exchange({ method: 'GET', key: '', query });
    const encoded = textOf(xml, 'EncodingType') === 'url';
    for (const object of elements(xml, 'Contents')) {
      const [key = '', size = '', at = ''] = ['Key', 'Size', 'LastModified'].map((name) => textOf(object, name));
      const listed = { key: encoded ? decoded(key) : key, size: Number(size), modifiedAt: Date.parse(at) };
      const isWhole = key !== '' && /^\d+$/.test(size) && Number.isSafeInteger(listed.size);
      if (isWhole && !Number.isNaN(listed.modifiedAt)) yield listed;
    }
    const next = textOf(xml, 'NextContinuationToken');
    if (textOf(xml, 'IsTruncated') !== 'true' || next === undefined || next === '') return;
    if (next === token) break;
    token = next;
  }
  throw new TsbuildError('TSB_REGISTRY', `${doing}: the list does not end`);
}

/** Keys are encoded as in forms, so that any byte fits into XML. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}
