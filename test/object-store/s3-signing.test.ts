import { createHash, createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AwsKeys } from '../../src/object-store/aws-credentials.ts';
import { bucketUrl } from '../../src/object-store/s3-address.ts';
import { type S3Request, signed } from '../../src/object-store/s3-signing.ts';
import { testTask } from '../support/task.ts';
import { s3Surroundings } from './support.ts';

/** Key, time and bucket of Amazon's examples ("Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)"). */
const KEY = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const AT = Date.UTC(2013, 4, 24);

async function sign(request: S3Request, over: { now?: number; sessionToken?: string } = {}) {
  const { now = AT, sessionToken } = over;
  const given = { ...KEY, ...(sessionToken === undefined ? {} : { sessionToken }) };
  const keys = new AwsKeys({ given, env: {}, home: '/nonexistent', region: 'us-east-1' }, s3Surroundings());
  const region = 'us-east-1';
  const url = bucketUrl({
    bucket: 'examplebucket',
    region,
    endpointUrl: 'https://s3.amazonaws.com',
    usePathStyle: false,
  });
  return signed(testTask(), { url, region, keys, now: () => now, cache: new Map() }, request);
}

const signatureOf = async (request: S3Request): Promise<string> =>
  /Signature=(\w+)$/.exec((await sign(request)).authorization ?? '')?.[1] ?? '';

describe('the signatures of the documentation', () => {
  test.each<[string, S3Request, string]>([
    [
      'GET Bucket Lifecycle',
      { method: 'GET', key: '', query: { lifecycle: '' } },
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ],
    [
      'Get Bucket (List Objects)',
      { method: 'GET', key: '', query: { 'max-keys': '2', prefix: 'J' } },
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
  ])('%s', async (_name, request, signature) => expect(await signatureOf(request)).toBe(signature));

  test('name the key, the day and the headers', async () => {
    const { authorization, headers, url } = await sign({ method: 'GET', key: '', query: { lifecycle: '' } });
    expect(authorization).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    );
    expect(headers['x-amz-date']).toBe('20130524T000000Z');
    expect(headers['x-amz-content-sha256']).toBe(createHash('sha256').update('').digest('hex'));
    expect(url.href).toBe('https://examplebucket.s3.amazonaws.com/?lifecycle=');
  });
});

describe('a signature', () => {
  test('is over the bytes that are sent', async () => {
    const one = await sign({ method: 'PUT', key: 'a', body: Buffer.from('Welcome to Amazon S3.') });
    // Of the example "PUT Object".
    expect(one.headers['x-amz-content-sha256']).toBe(
      '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    );
    const other = await sign({ method: 'PUT', key: 'a', body: Buffer.from('welcome to Amazon S3.') });
    expect(other.authorization).not.toBe(one.authorization);
  });

  test('has every header but the range, which says only how much to answer', async () => {
    const headers = { 'if-none-match': '*', range: 'bytes=0-9', 'x-amz-metadata-directive': 'REPLACE' };
    const { authorization, ...request } = await sign({ method: 'PUT', key: 'a', headers }, { sessionToken: 'token' });
    expect(/SignedHeaders=([^,]*)/.exec(authorization ?? '')?.[1]?.split(';')).toEqual([
      'host',
      'if-none-match',
      'x-amz-content-sha256',
      'x-amz-date',
      'x-amz-metadata-directive',
      'x-amz-security-token',
    ]);
    expect(request.headers).toMatchObject({ range: 'bytes=0-9', 'x-amz-security-token': 'token' });
  });

  test('is another one on another day, with the key for that day', async () => {
    const one = await sign({ method: 'GET', key: 'a' });
    const next = await sign({ method: 'GET', key: 'a' }, { now: AT + 24 * 3_600_000 });
    expect(next.authorization).toContain('/20130525/us-east-1/s3/aws4_request');
    expect(next.authorization).not.toBe(one.authorization);
  });

  test('of any key and query is what the rules say, made anew (property)', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((one) => !/[\0-\x1f\\?#]/.test(one) && one.isWellFormed()); // prettier-ignore
    const name = text.filter((one) => one !== '.' && one !== '..' && !one.includes('/'));
    await fc.assert(
      fc.asyncProperty(fc.array(name, { minLength: 1, maxLength: 3 }), fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }), async (names, query) => {
        const request = await sign({ method: 'GET', key: names.join('/'), query });
        // RFC 3986's unreserved characters stay, all other bytes are %XX (the documentation's UriEncode).
        const encode = (value: string): string =>
          [...Buffer.from(value)].map((byte) => /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
        const pairs = Object.entries(query).map(([key, value]) => `${encode(key)}=${encode(value)}`).sort();
        const hash = createHash('sha256').update('').digest('hex');
        const canonical = ['GET', `/${names.map(encode).join('/')}`, pairs.join('&'), 'host:examplebucket.s3.amazonaws.com', `x-amz-content-sha256:${hash}`, 'x-amz-date:20130524T000000Z', '', 'host;x-amz-content-sha256;x-amz-date', hash].join('\n');
        const scope = '20130524/us-east-1/s3/aws4_request';
        const toSign = ['AWS4-HMAC-SHA256', '20130524T000000Z', scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
        const hmac = (secret: string | Buffer, value: string): Buffer => createHmac('sha256', secret).update(value).digest();
        const secret = ['20130524', 'us-east-1', 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${KEY.secretAccessKey}`);
        expect(request.authorization).toContain(`Signature=${hmac(secret, toSign).toString('hex')}`);
      }),
      { numRuns: 60 },
    ); // prettier-ignore
  });
});
