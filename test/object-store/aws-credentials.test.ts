import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AwsKeys } from '../../src/object-store/aws-credentials.ts';
import type { AwsKey } from '../../src/object-store/aws-key.ts';
import { parseProfiles } from '../../src/object-store/aws-profiles.ts';
import { testTask } from '../support/task.ts';
import { WebServer } from '../support/web-server.ts';
import { s3Surroundings } from './support.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tsbuild-home-'));
});
afterEach(() => rmSync(home, { recursive: true }));

/** No machine is asked for its role, unless a test says where it is. */
const NOWHERE = { AWS_EC2_METADATA_DISABLED: 'true' };
let now = Date.UTC(2026, 10, 1);
const keysOf = (
  env: Readonly<Record<string, string>>,
  given?: { accessKeyId: string; secretAccessKey: string },
): AwsKeys =>
  new AwsKeys(
    { env: { ...NOWHERE, ...env }, home, region: 'eu-central-1', ...(given === undefined ? {} : { given }) },
    s3Surroundings({ now: () => now }),
  );
const keyOf = (...args: Parameters<typeof keysOf>): Promise<AwsKey> => keysOf(...args).get(testTask());
const write = (name: string, text: string): string => {
  const path = join(home, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
};

describe('where a key comes from, in this order', () => {
  const env = { AWS_ACCESS_KEY_ID: 'AKIAENV', AWS_SECRET_ACCESS_KEY: 'env-secret', AWS_SESSION_TOKEN: 'env-token' };

  test('given, then the environment, then files', async () => {
    write('.aws/credentials', '[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = file-secret\n');
    expect(await keyOf(env, { accessKeyId: 'AKIAGIVEN', secretAccessKey: 'given' })).toMatchObject({
      accessKeyId: 'AKIAGIVEN',
    });
    expect(await keyOf(env)).toEqual({
      accessKeyId: 'AKIAENV',
      secretAccessKey: 'env-secret',
      sessionToken: 'env-token',
      from: 'variable AWS_ACCESS_KEY_ID',
    });
    expect(await keyOf({})).toMatchObject({
      accessKeyId: 'AKIAFILE',
      secretAccessKey: 'file-secret',
      from: `profile "default" of ${home}/.aws/credentials: aws_access_key_id`,
    });
  });

  test('the profile that is named, in either file or where variables say', async () => {
    write('.aws/credentials', '[default]\naws_access_key_id=AKIADEFAULT\naws_secret_access_key=x\n');
    write(
      '.aws/config',
      '[profile ci]\nregion = eu-central-1\ns3 =\n  max_concurrent_requests = 20\naws_access_key_id = AKIACI\naws_secret_access_key = a/b+c=d # the key of the CI\n',
    );
    expect(await keyOf({ AWS_PROFILE: 'ci' })).toMatchObject({ accessKeyId: 'AKIACI', secretAccessKey: 'a/b+c=d' });
    const other = write(
      'other',
      '[default]\nAWS_ACCESS_KEY_ID = AKIAOTHER\naws_secret_access_key = x\naws_session_token = token\n',
    );
    expect(await keyOf({ AWS_SHARED_CREDENTIALS_FILE: other })).toMatchObject({
      accessKeyId: 'AKIAOTHER',
      sessionToken: 'token',
    });
    await expect(keyOf({ AWS_PROFILE: 'none' })).rejects.toThrow('profile "none" does not exist');
    write('.aws/config', '[profile sso]\nsso_session = work\n');
    await expect(keyOf({ AWS_PROFILE: 'sso' })).rejects.toThrow(
      expect.objectContaining({ hint: expect.stringContaining('aws configure export-credentials') }),
    );
  });

  test('half a key is an error, and none is one that says where to put it', async () => {
    await expect(keyOf({ AWS_ACCESS_KEY_ID: 'AKIAENV' })).rejects.toThrow('AWS_SECRET_ACCESS_KEY is missing');
    await expect(keyOf({ AWS_SECRET_ACCESS_KEY: 'x' })).rejects.toThrow('AWS_ACCESS_KEY_ID is missing');
    await expect(keyOf({})).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', hint: expect.stringContaining('AWS_ACCESS_KEY_ID') }),
    );
  });
});

describe('a role by the token of a job', () => {
  const answerOf = (expiration: string): string =>
    `<AssumeRoleWithWebIdentityResponse xmlns="x"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>a&amp;b</SecretAccessKey><SessionToken>role/token==</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;

  test('is asked for once, and again before it ends', async () => {
    const forms: string[] = [];
    await using sts = await WebServer.start((request, response) => {
      request.on('data', (chunk: Buffer) => forms.push(chunk.toString()));
      request.on('end', () => response.end(answerOf(new Date(now + 3_600_000).toISOString())));
    });
    const env = {
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/ci',
      AWS_WEB_IDENTITY_TOKEN_FILE: write('token', 'the.job.token\n'),
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    const keys = keysOf(env);
    const [first, second] = await Promise.all([keys.get(testTask()), keys.get(testTask())]);
    expect(first).toMatchObject({
      accessKeyId: 'ASIAROLE',
      secretAccessKey: 'a&b',
      sessionToken: 'role/token==',
      from: 'role AWS_ROLE_ARN',
    });
    expect(second).toBe(first);
    expect(new URLSearchParams(forms[0]).get('WebIdentityToken')).toBe('the.job.token');
    expect(sts.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    now += 50 * 60_000;
    await keys.get(testTask());
    expect(forms.length).toBe(1);
    now += 6 * 60_000;
    // All requests of a build find the key to be ending at the same time.
    const renewed = await Promise.all(Array.from({ length: 8 }, () => keys.get(testTask())));
    expect(new Set(renewed).size).toBe(1);
    expect(renewed[0]).not.toBe(first);
    expect(forms.length).toBe(2);
  });

  test('that cannot be had again is asked for again, and whoever waits meanwhile is told', async () => {
    let isDown = false;
    await using sts = await WebServer.start((_, response) =>
      isDown ? response.writeHead(403).end() : response.end(answerOf(new Date(now + 3_600_000).toISOString())),
    );
    const keys = keysOf({
      AWS_ROLE_ARN: 'arn:x',
      AWS_WEB_IDENTITY_TOKEN_FILE: write('token', 'the.job.token'),
      AWS_ENDPOINT_URL_STS: sts.url,
    });
    const first = await keys.get(testTask());
    now += 56 * 60_000;
    isDown = true;
    const outcomes = await Promise.allSettled([keys.get(testTask()), keys.get(testTask())]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(sts.seen.length).toBe(2);
    isDown = false;
    expect(await keys.get(testTask())).toMatchObject({ accessKeyId: first.accessKeyId });
    expect(sts.seen.length).toBe(3);
  });

  test('that is not given says where the token came from, and not the token', async () => {
    await using sts = await WebServer.start((_, response) =>
      response
        .writeHead(403)
        .end(
          '<ErrorResponse><Error><Code>AccessDenied</Code><Message>the.job.token is not trusted</Message></Error></ErrorResponse>',
        ),
    );
    const file = write('token', 'the.job.token');
    const error = keyOf({ AWS_ROLE_ARN: 'arn:x', AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ENDPOINT_URL_STS: sts.url });
    await expect(error).rejects.toThrow(
      expect.objectContaining({
        message: expect.stringContaining('AccessDenied: *** is not trusted'),
        hint: expect.stringContaining(file),
      }),
    );
  });
});

test.each([
  ['AWS_ENDPOINT_URL_STS', 'no url', { AWS_ROLE_ARN: 'arn:x' }],
  ['AWS_ENDPOINT_URL_STS', 'file:///etc/passwd', { AWS_ROLE_ARN: 'arn:x' }],
  ['AWS_EC2_METADATA_SERVICE_ENDPOINT', '169.254.169.254', { AWS_EC2_METADATA_DISABLED: '' }],
  ['AWS_EC2_METADATA_SERVICE_ENDPOINT', 'localhost:1', { AWS_EC2_METADATA_DISABLED: '' }],
])('%s=%s is an error that names it', async (variable, value, env) => {
  const file = write('token', 'the.job.token');
  await expect(keyOf({ ...env, AWS_WEB_IDENTITY_TOKEN_FILE: file, [variable]: value })).rejects.toMatchObject({
    code: 'TSB_USAGE',
    message: expect.stringContaining(`${variable} is no http or https URL`) as string,
  });
});

describe('the agent of a container', () => {
  const document = (expiration: string): string =>
    JSON.stringify({ AccessKeyId: 'ASIAPOD', SecretAccessKey: 'pod', Token: 'pod-token', Expiration: expiration });

  test('is asked with the token that the container has, and without a proxy', async () => {
    await using agent = await WebServer.start((_, response) => response.end(document('2026-11-01T06:00:00Z')));
    await using proxy = await WebServer.start((_, response) => response.writeHead(502).end());
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: write('pod', 'pod-proof\n'),
    };
    const keys = new AwsKeys(
      { env: { ...NOWHERE, ...env }, home, region: 'eu-central-1' },
      s3Surroundings({ proxy: { http: proxy.url } }),
    );
    expect(await keys.get(testTask())).toMatchObject({ accessKeyId: 'ASIAPOD', sessionToken: 'pod-token' });
    expect(agent.seen[0]?.headers.authorization).toBe('pod-proof');
    expect(proxy.seen).toEqual([]);
  });

  test.each(['http://attacker.test/x', 'http://169.254.169.254/x', 'ftp://127.0.0.1/x', 'not a url'])(
    'is never %s',
    async (uri) => {
      await expect(
        keyOf({ AWS_CONTAINER_CREDENTIALS_FULL_URI: uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'secret' }),
      ).rejects.toThrow(
        expect.objectContaining({
          code: 'TSB_USAGE',
          message: expect.stringContaining('AWS_CONTAINER_CREDENTIALS_FULL_URI'),
        }),
      );
    },
  );
});

describe('the role of a machine', () => {
  test('is asked for in two steps, and a machine without one has no key', async () => {
    await using metadata = await WebServer.start((request, response) => {
      const { method, url, headers } = request;
      if (method === 'PUT' && url === '/latest/api/token') response.end('session');
      else if (headers['x-aws-ec2-metadata-token'] !== 'session') response.writeHead(401).end();
      else if (url === '/latest/meta-data/iam/security-credentials/') response.end('ci-role\n');
      else
        response.end(
          JSON.stringify({
            Code: 'Success',
            AccessKeyId: 'ASIAEC2',
            SecretAccessKey: 's',
            Token: 't',
            Expiration: '2026-11-02T00:00:00Z',
          }),
        );
    });
    const env = { AWS_EC2_METADATA_DISABLED: 'false', AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url };
    expect(await keyOf(env)).toMatchObject({ accessKeyId: 'ASIAEC2', from: 'the role of the machine' });
    expect(metadata.seen.at(-1)?.path).toBe('/latest/meta-data/iam/security-credentials/ci-role');
    await using other = await WebServer.start((_, response) => response.writeHead(400).end('another cloud'));
    await expect(keyOf({ ...env, AWS_EC2_METADATA_SERVICE_ENDPOINT: other.url })).rejects.toThrow('there is no key');
    await expect(keyOf({ ...env, AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' })).rejects.toThrow(
      'there is no key',
    );
  });
});

test('profiles that stand twice are one, and lines that make no sense are none', () => {
  const profiles = parseProfiles(
    'stray = 1\n[ a ]\nx = 1\n; comment\n# comment\nno equals\n[profile "b c"]\ny=2=3\n[a]\nz = 4 ; why\n[sso-session a]\nx = 9\n',
  );
  expect(profiles.get('a')).toEqual({ x: '1', z: '4' });
  expect(profiles.get('b c')).toEqual({ y: '2=3' });
  expect(parseProfiles('').size).toBe(0);
});
