import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CacheAttributes } from '../../src/remote-cache/option-types/attributes.ts';
import { azblobPlace } from '../../src/remote-cache/option-types/azblob-place.ts';
import { scopesOf } from '../../src/remote-cache/option-types/bucket-attributes.ts';
import { ghaPlace } from '../../src/remote-cache/option-types/gha-place.ts';
import { withoutSecrets } from '../../src/remote-cache/option-types/hidden.ts';
import { s3Place } from '../../src/remote-cache/option-types/s3-place.ts';
import { TsbuildError } from '../../src/util/index.ts';

const fail = (why: string, hint?: string): TsbuildError =>
  new TsbuildError('TSB_USAGE', why, hint === undefined ? {} : { hint });
const attributes = (
  values: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): CacheAttributes => new CacheAttributes(new Map(Object.entries(values)), fail, { cwd: '/project', env });

describe('type=s3', () => {
  test("has BuildKit's names for everything", () => {
    const place = s3Place(
      attributes({
        bucket: 'b-1',
        region: 'eu-central-1',
        endpoint_url: 'https://minio.test:9000',
        use_path_style: 'true',
        prefix: 'app/',
        blobs_prefix: 'layers/',
        manifests_prefix: '',
        access_key_id: 'AKIA',
        secret_access_key: 'secret',
        session_token: 'token',
        upload_parallelism: '8',
        touch_refresh: '1h',
        retry_mode: 'adaptive',
        retry_max_attempts: '5',
        disable_accept_encoding: 'true',
      }),
    );
    expect(place).toEqual({
      kind: 's3',
      options: {
        bucket: 'b-1',
        region: 'eu-central-1',
        endpointUrl: 'https://minio.test:9000',
        usePathStyle: true,
        prefix: 'app/',
        blobsPrefix: 'layers/',
        manifestsPrefix: '',
        keys: { env: {}, home: '/', given: { accessKeyId: 'AKIA', secretAccessKey: 'secret', sessionToken: 'token' } },
        uploadParallelism: 8,
        touchRefreshMs: 3_600_000,
        attempts: 5,
      },
    });
  });

  test('takes from the environment what it does not say, and nothing else of it', () => {
    const env = {
      AWS_BUCKET: 'of-env',
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'a',
      HOME: '/home/ci',
      GITHUB_TOKEN: 'x',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9000',
    };
    const { HOME: home, GITHUB_TOKEN: _, ...aws } = env;
    expect(s3Place(attributes({}, env))).toMatchObject({
      options: {
        bucket: 'of-env',
        region: 'us-east-1',
        endpointUrl: 'http://127.0.0.1:9000',
        usePathStyle: false,
        keys: { env: aws, home },
      },
    });
  });

  test.each([
    [{}, /"bucket" is required/],
    [{ bucket: 'b' }, /"region" is required/],
    [{ bucket: 'b', region: 'r', access_key_id: 'a' }, /go together/],
    [
      { bucket: 'b', region: 'r', upload_parallelism: '0' },
      /"upload_parallelism" is "0", expected a number from 1 to 64/,
    ],
    [{ bucket: 'b', region: 'r', touch_refresh: 'often' }, /"touch_refresh" is "often"/],
    [{ bucket: 'b', region: 'r', retry_mode: 'never' }, /retry_mode/],
    [{ bucket: 'b', region: 'r', use_path_style: 'maybe' }, /use_path_style/],
    [{ bucket: 'b', region: 'r', prefix: '/a' }, /it is no beginning of a key/],
    [{ bucket: 'b', region: 'r', prefix: 'a/../b' }, /it is no beginning of a key/],
    [{ bucket: 'b', region: 'r', blobs_prefix: 'x/', manifests_prefix: 'x/' }, /are the same/],
  ])('%j is refused', (values, message) => {
    expect(() => s3Place(attributes(values))).toThrow(message);
  });
});

describe('type=gha', () => {
  test('is the cache of the job, or another', () => {
    const env = { ACTIONS_RESULTS_URL: 'https://results.test/', ACTIONS_RUNTIME_TOKEN: 'of-the-job' };
    expect(ghaPlace(attributes({ timeout: '10m', repository: 'a/b', ghtoken: 'x', version: '2' }, env))).toEqual({
      kind: 'gha',
      options: { url: 'https://results.test/', token: 'of-the-job' },
      scope: 'buildkit',
    });
    expect(ghaPlace(attributes({ url: 'https://a.test', token: 'b', scope: 'web' }, env))).toMatchObject({
      options: { url: 'https://a.test', token: 'b' },
      scope: 'web',
    });
  });

  test.each([
    [{}, 'ACTIONS_RESULTS_URL is not set'],
    [{ url: 'https://a.test' }, 'ACTIONS_RUNTIME_TOKEN is not set'],
    [{ url: 'a', token: 'x' }, undefined],
    [{ url: 'https://a.test', token: 'x', version: '1' }, 'GitHub has ended it'],
    [{ url: 'https://a.test', token: 'x', timeout: 'long' }, undefined],
  ])('%j is refused', (values, hint) => {
    expect(() => ghaPlace(attributes(values))).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        hint: hint === undefined ? undefined : expect.stringContaining(hint),
      }),
    );
  });
});

describe('type=azblob', () => {
  const url = 'https://ci.blob.core.windows.net';

  test.each([
    [
      { account_url: url, account_key: 'a2V5' },
      {},
      { kind: 'key', account: 'ci', key: 'a2V5' },
      'the attribute account_key',
    ],
    [
      { account_url: url, secret_access_key: 'a2V5', account_name: 'other' },
      {},
      { kind: 'key', account: 'other', key: 'a2V5' },
      'the attribute secret_access_key',
    ],
    [
      { account_url: `${url}?sv=1&sig=a%3D` },
      { AZURE_STORAGE_KEY: 'x' },
      { kind: 'token', token: 'sv=1&sig=a%3D' },
      'account_url',
    ],
    [
      { account_url: url },
      { AZURE_STORAGE_KEY: 'a2V5', AZURE_STORAGE_ACCOUNT: 'env' },
      { kind: 'key', account: 'env', key: 'a2V5' },
      'AZURE_STORAGE_KEY',
    ],
    [
      {},
      { BUILDKIT_AZURE_STORAGE_ACCOUNT_URL: 'http://127.0.0.1:10000/dev', AZURE_STORAGE_SAS_TOKEN: '?sig=x' },
      { kind: 'token', token: '?sig=x' },
      'AZURE_STORAGE_SAS_TOKEN',
    ],
    [
      { account_url: 'http://127.0.0.1:10000/dev', account_key: 'a' },
      {},
      { kind: 'key', account: 'dev', key: 'a' },
      'the attribute account_key',
    ],
  ])('%j with %j', (values, env, access, accessFrom) => {
    expect(azblobPlace(attributes(values, env))).toMatchObject({
      options: {
        access,
        accessFrom,
        container: 'buildkit-cache',
        prefix: '',
        blobsPrefix: 'blobs/',
        manifestsPrefix: 'manifests/',
      },
    });
  });

  test.each([
    [{}, /"account_url" is required/],
    [{ account_url: url }, /there is no key for the storage account/],
    [{ account_url: url, account_key: 'a', secret_access_key: 'b' }, /are the same thing/],
  ])('%j is refused', (values, message) => {
    expect(() => azblobPlace(attributes(values))).toThrow(message);
  });
});

test('scopes are names with ";" between them', () => {
  expect(scopesOf(attributes({}), 'name')).toEqual([undefined]);
  expect(scopesOf(attributes({ name: 'main' }), 'name')).toEqual(['main']);
  expect(scopesOf(attributes({ name: 'pr-1; main;release/2' }), 'name')).toEqual(['pr-1', 'main', 'release/2']);
  for (const name of ['', ';', 'a;', 'a b', 'ä'])
    expect(() => scopesOf(attributes({ name }), 'name')).toThrow('"name" is');
});

describe('what messages show of an option', () => {
  test.each([
    [
      'type=s3,bucket=b,secret_access_key=hush,session_token=hush',
      'type=s3,bucket=b,secret_access_key=***,session_token=***',
    ],
    ['type=gha,TOKEN=hush, ghtoken = hush', 'type=gha,TOKEN=***, ghtoken=***'],
    ['type=s3,"secret_access_key=hu,sh""x",bucket=b', 'type=s3,"secret_access_key=***",bucket=b'],
    [
      'type=azblob,account_url=https://a.test/x?sv=1&sig=hush,container=c',
      'type=azblob,account_url=https://a.test/x?***,container=c',
    ],
    ['type=registry,ref=a.test/token=b', 'type=registry,ref=a.test/token=b'],
  ])('%s', (option, shown) => {
    expect(withoutSecrets(option)).toBe(shown);
  });

  test('never has a secret in it, wherever that stands', () => {
    const plain = fc.stringMatching(/^[a-z]{1,6}=[a-z0-9:/]{0,8}$/);
    const secret = fc.constantFrom(
      'secret_access_key=SECRET',
      'token=SECRET',
      '"account_key=SECRET,SECRET"',
      'session_token= SECRET SECRET',
      'account_url=https://a.test?SECRET&x=SECRET',
      ' account_url = https://a.test?SECRET',
      '"account_url=https://a.test?x=1,SECRET&y=""SECRET""&sig=SECRET"',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(plain, secret)), (fields) => !withoutSecrets(fields.join(',')).includes('SECRET')),
    );
  });
});
