import { describe, expect, test } from 'vitest';
import { listBucket, type ListedKey } from '../../src/object-store/s3-list.ts';
import type { S3Request } from '../../src/object-store/s3-signing.ts';

/** Lists a bucket that answers with these documents, the last one for good; also what it was asked. */
async function list(...documents: readonly string[]): Promise<{ keys: ListedKey[]; queries: S3Request['query'][] }> {
  const queries: S3Request['query'][] = [];
  const answers = [...documents];
  const keys: ListedKey[] = [];
  const listing = listBucket('Cannot list the bucket', 'team a/', async ({ method, key, query }) => {
    expect([method, key]).toEqual(['GET', '']);
    queries.push(query);
    return Promise.resolve({ xml: (answers.length > 1 ? answers.shift() : answers[0]) ?? '' });
  });
  for await (const found of listing) keys.push(found);
  return { keys, queries };
}

const AT = '2009-10-12T17:50:30.000Z';
const object = (key: string, more = ''): string =>
  `<Contents><Key>${key}</Key><LastModified>${AT}</LastModified><ETag>"x"</ETag><Size>434234</Size>${more}</Contents>`;
const result = (content: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>${content}</ListBucketResult>`;
const url = '<EncodingType>url</EncodingType>';
const more = (token: string): string =>
  `<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`;
const keysOf = async (...documents: readonly string[]): Promise<string[]> =>
  (await list(...documents)).keys.map(({ key }) => key);

describe('the keys of a bucket (ListObjectsV2)', () => {
  test('have sizes and times, and are asked for by their beginning', async () => {
    const { keys, queries } = await list(result(`${object('my-image.jpg')}<IsTruncated>false</IsTruncated>`));
    expect(keys).toEqual([{ key: 'my-image.jpg', size: 434_234, modifiedAt: Date.parse(AT) }]);
    expect(queries).toEqual([{ 'list-type': '2', 'encoding-type': 'url', 'max-keys': '1000', prefix: 'team a/' }]);
  });

  test('come in pages, each asked for with the token of the one before', async () => {
    const { keys, queries } = await list(
      result(`${object('a')}${more('1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=')}`),
      result(`${object('b')}${more('two&amp;')}`),
      result(object('c')),
    );
    expect(keys.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
    expect(queries.map((query) => query?.['continuation-token'])).toEqual([
      undefined,
      '1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=',
      'two&',
    ]);
  });

  test('are decoded where the service says that it encoded them, and else are not', async () => {
    const encoded = ['team+a/b%2Bc', 'x%C3%A4', 'a%26b', '100%25', 'p%'].map((key) => object(key)).join('');
    expect(await keysOf(result(url + encoded))).toEqual(['team a/b+c', 'xä', 'a&b', '100%', 'p%']);
    expect(await keysOf(result(encoded))).toEqual(['team+a/b%2Bc', 'x%C3%A4', 'a%26b', '100%25', 'p%']);
  });

  test('may have entities, and owners and prefixes beside them', async () => {
    const owner =
      '<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID><DisplayName>x</DisplayName></Owner>';
    const prefixes = '<CommonPrefixes><Prefix>photos/</Prefix></CommonPrefixes><KeyCount>1</KeyCount>';
    expect(await keysOf(result(object('a&lt;b&#x3e;', owner) + prefixes))).toEqual(['a<b>']);
  });

  test('end where nothing more is said to come, whatever else is', async () => {
    for (const end of [
      '<IsTruncated>false</IsTruncated><NextContinuationToken>x</NextContinuationToken>',
      '<IsTruncated>true</IsTruncated>',
      '<IsTruncated>true</IsTruncated><NextContinuationToken></NextContinuationToken>',
      '<IsTruncated>true</IsTruncated><NextContinuationToken/>',
    ])
      expect((await list(result(object('a') + end))).queries).toHaveLength(1);
  });

  test('of a bucket that has none are none', async () => {
    expect(await keysOf(result('<KeyCount>0</KeyCount>'))).toEqual([]);
    expect(await keysOf('')).toEqual([]);
    expect(await keysOf('<html>Welcome</html>')).toEqual([]);
  });

  test('are only those of which all is said', async () => {
    const half = [
      '<Contents><Key>no-size</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified></Contents>',
      `<Contents><Key>odd-size</Key><LastModified>${AT}</LastModified><Size>-5</Size></Contents>`,
      `<Contents><Key>large</Key><LastModified>${AT}</LastModified><Size>99999999999999999999</Size></Contents>`,
      '<Contents><Key>no-time</Key><Size>1</Size></Contents>',
      '<Contents><Key>odd-time</Key><LastModified>yesterday</LastModified><Size>1</Size></Contents>',
      `<Contents><LastModified>${AT}</LastModified><Size>1</Size></Contents>`,
      '<Contents/>',
    ];
    expect(await keysOf(result(half.join('') + object('whole')))).toEqual(['whole']);
  });

  test('that go round in circles, or never end, are an error', async () => {
    await expect(list(result(object('a') + more('same')))).rejects.toThrow(
      'Cannot list the bucket: the list does not end',
    );
    let page = 0;
    const endless = listBucket('Cannot list the bucket', '', async () =>
      Promise.resolve({ xml: result(more(String(page++))) }),
    );
    await expect(endless.next()).rejects.toThrow('the list does not end');
    expect(page).toBe(2000);
  });

  test('end with who asks for them', async () => {
    const listing = listBucket('Cannot list', '', async () =>
      Promise.resolve({ xml: result(object('a') + more('b')) }),
    );
    await listing.next();
    expect(await listing.return()).toEqual({ done: true, value: undefined });
    const failing = listBucket('Cannot list', '', async () => Promise.reject(new Error('gone')));
    await expect(failing.next()).rejects.toThrow('gone');
  });
});
