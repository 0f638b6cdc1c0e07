import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPrefix, keyOfName, type KeyPrefixes, nameOfKey } from '../../src/object-store/key-prefixes.ts';
import { bucketUrl, encodeKey, encodeQuery } from '../../src/object-store/s3-address.ts';
import { sha256 } from '../../src/util/index.ts';

const usage = (message: RegExp) =>
  expect.objectContaining({ code: 'TSB_USAGE', message: expect.stringMatching(message) as string });

describe('keys of a bucket', () => {
  const usual: KeyPrefixes = { prefix: '', blobsPrefix: 'blobs/', manifestsPrefix: 'manifests/' };

  test("are BuildKit's", () => {
    expect(keyOfName(usual, 'blobs/sha256:abc')).toBe('blobs/sha256:abc');
    expect(keyOfName(usual, 'my-cache')).toBe('manifests/my-cache');
    expect(keyOfName({ ...usual, prefix: 'team/' }, 'my-cache')).toBe('team/manifests/my-cache');
    // The beginning of a name is the beginning of its key.
    expect(keyOfName(usual, 'blobs/')).toBe('blobs/');
  });

  test('are told from what others keep there', () => {
    for (const key of ['other', 'manifests/', 'manifests/UPPER', 'manifests/a//b', 'manifests/../x', 'blobs'])
      expect(nameOfKey(usual, key), key).toBeUndefined();
    expect(nameOfKey({ ...usual, prefix: 'team/' }, 'manifests/x')).toBeUndefined();
  });

  test('lead back to their names, also where one prefix begins like the other or is none', () => {
    const prefix = fc.constantFrom('', 'blobs/', 'manifests/', 'm/', 'm/b/', 'layers/', 'manifests/blobs/');
    const name = fc.oneof(
      fc.nat().map((seed) => `blobs/sha256/${sha256(String(seed)).slice(7)}`),
      fc.nat().map((seed) => `tsbuild-1/scope/${sha256(String(seed)).slice(7)}`),
    );
    fc.assert(
      fc.property(fc.constantFrom('', 'team/app/'), prefix, prefix, name, (all, blobsPrefix, manifestsPrefix, text) => {
        fc.pre(blobsPrefix !== manifestsPrefix);
        const prefixes = { prefix: all, blobsPrefix, manifestsPrefix };
        expect(nameOfKey(prefixes, keyOfName(prefixes, text))).toBe(text);
      }),
    );
  });

  test.each(['/a', 'a/../b', './a', 'a\\b', 'a?b', 'a#b', 'a\nb', 'x'.repeat(301)])(
    'do not begin with %j',
    (prefix) => {
      expect(() => checkPrefix('prefix', prefix)).toThrow(
        usage(/^Cannot use prefix=".*": it is no beginning of a key$/),
      );
    },
  );

  test.each(['', 'a/', 'team a/ü/', '...', 'x'.repeat(300)])('may begin with %j', (prefix) => {
    expect(checkPrefix('prefix', prefix)).toBe(prefix);
  });
});

describe('the address of a bucket', () => {
  const at = (bucket: string, more: Partial<Parameters<typeof bucketUrl>[0]> = {}): string =>
    bucketUrl({ bucket, region: 'eu-central-1', usePathStyle: false, ...more }).href;

  test.each([
    ['my-bucket', {}, 'https://my-bucket.s3.eu-central-1.amazonaws.com/'],
    ['my-bucket', { region: 'cn-north-1' }, 'https://my-bucket.s3.cn-north-1.amazonaws.com.cn/'],
    ['my-bucket', { usePathStyle: true }, 'https://s3.eu-central-1.amazonaws.com/my-bucket/'],
    // No certificate of `*.host` is for a name with a dot in front, nor for one that is no label.
    ['my.bucket', {}, 'https://s3.eu-central-1.amazonaws.com/my.bucket/'],
    ['My_Bucket', {}, 'https://s3.eu-central-1.amazonaws.com/My_Bucket/'],
    ['b-1', { endpointUrl: 'https://minio.example.com' }, 'https://b-1.minio.example.com/'],
    ['b-1', { endpointUrl: 'https://minio.example.com:9000/s3' }, 'https://b-1.minio.example.com:9000/s3/'],
    ['b-1', { endpointUrl: 'http://10.0.0.1:9000' }, 'http://10.0.0.1:9000/b-1/'],
    ['b-1', { endpointUrl: 'http://[::1]:9000/' }, 'http://[::1]:9000/b-1/'],
    ['b-1', { endpointUrl: 'http://localhost:9000' }, 'http://localhost:9000/b-1/'],
  ])('%s %j', (bucket, more, url) => {
    expect(at(bucket, more)).toBe(url);
  });

  test.each<[string, Partial<Parameters<typeof bucketUrl>[0]>, RegExp]>([
    ['a', {}, /no name of a bucket/],
    ['a/b', {}, /no name of a bucket/],
    ['a..b', {}, /no name of a bucket/],
    ['-ab', {}, /no name of a bucket/],
    ['abc', { region: 'eu central' }, /"eu central" is no region/],
    ['abc', { region: 'x.evil.example#' }, /is no region/],
    ['abc', { endpointUrl: 'minio' }, /is not an http or https URL/],
    ['abc', { endpointUrl: 'ftp://minio' }, /is not an http or https URL/],
    ['abc', { endpointUrl: 'https://key:secret@minio' }, /more than scheme, host, port and path/],
    ['abc', { endpointUrl: 'https://minio/?x=1' }, /more than scheme, host, port and path/],
  ])('%s %j is none', (bucket, more, why) => {
    expect(() => at(bucket, more)).toThrow(usage(why));
  });

  test('of an object is encoded as signatures want it, and leads back to the key', () => {
    expect(encodeKey("a b/ü+(1)*'!~_.-")).toBe('a%20b/%C3%BC%2B%281%29%2A%27%21~_.-');
    expect(encodeQuery({ prefix: 'a/b c', 'list-type': '2' })).toBe('prefix=a%2Fb%20c&list-type=2');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (key) => {
        const encoded = encodeKey(key);
        expect(encoded).toMatch(/^(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})*$/);
        expect(decodeURIComponent(encoded)).toBe(key);
      }),
    );
  });
});
