import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ActionsCache, DEFAULT_BRANCH, startActionsCache } from '../support/actions-cache.ts';
import { startAzurite } from '../support/azurite.ts';
import type { Outcome } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { S3_BUCKET, S3_KEY, S3_REGION, type S3Server, startS3Server } from '../support/s3-server.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive } from '../support/tree.ts';

const DOCKERFILE = `FROM base:1 AS deps
COPY deps.txt /deps.txt
RUN cp /deps.txt /installed && cat /proc/sys/kernel/random/uuid > /stamp-deps

FROM base:1
COPY --from=deps /installed /stamp-deps /
COPY src /src
RUN head -c 400000 /dev/urandom > /large && cat /proc/sys/kernel/random/uuid > /stamp-last
`;
const FILES = { 'deps.txt': 'a', 'src/one': 'one\n' };
/** No worker can be started with this: whatever needs to run a step or unpack a layer fails. */
const NO_WORKER = { TSBUILD_HELPER: '/nonexistent' };

/** Where a cache is, and how a job gets there. */
interface Place {
  /** Attributes of both flags, a scope of its own each time. */
  readonly attributes: string;
  readonly env: Readonly<Record<string, string>>;
  /** Requests that it was sent since the last time. */
  readonly requests: () => readonly string[];
}

describeAsUser('a cache in a bucket', (who) => {
  const use = useBench(who, { base: false });
  let s3: S3Server;
  let actions: ActionsCache;
  let azurite: Awaited<ReturnType<typeof startAzurite>> | undefined;
  let count = 0;
  beforeAll(async () => {
    s3 = await startS3Server();
    actions = await startActionsCache();
    actions.creations = 10_000;
    const program = process.env['TSBUILD_TEST_AZURITE'];
    if (program !== undefined) azurite = await startAzurite(program);
  });
  afterAll(async () => {
    await s3[Symbol.asyncDispose]();
    await actions[Symbol.asyncDispose]();
    await azurite?.[Symbol.asyncDispose]();
  });

  const s3Place = (): Place => ({
    attributes: `type=s3,bucket=${S3_BUCKET},region=${S3_REGION},endpoint_url=${s3.url},prefix=app${count++}/`,
    env: { AWS_ACCESS_KEY_ID: S3_KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEY.secretAccessKey },
    requests: () => s3.requests.splice(0).map(({ method, url, status }) => `${method} ${url} ${status}`),
  });
  const ghaPlace = (): Place => ({
    attributes: `type=gha,scope=app${count++}`,
    env: { ACTIONS_RESULTS_URL: actions.url, ACTIONS_RUNTIME_TOKEN: actions.token(DEFAULT_BRANCH) },
    requests: () => actions.requests.splice(0),
  });
  const places: Readonly<Record<string, () => Place>> = {
    S3: s3Place,
    'GitHub Actions': ghaPlace,
    ...(process.env['TSBUILD_TEST_AZURITE'] === undefined
      ? {}
      : {
          Azure: (): Place => ({
            attributes: `type=azblob,account_url=${azurite?.accountUrl},account_key=${azurite?.key},prefix=app${count++}/`,
            env: {},
            requests: () => [],
          }),
        }),
  };

  const newStore = (): Promise<string> => use.bench.otherStore();

  async function build(
    context: string,
    store: string,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<Outcome & { readonly image: string; readonly files: Readonly<Record<string, string>> }> {
    const all = ['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context];
    const outcome = await use.bench.ok(all, { store, env });
    const { digest, tree } = await readOciArchive(outcome.stdout);
    return {
      ...outcome,
      image: digest,
      files: Object.fromEntries(Object.entries(tree).map(([path, { content }]) => [path, content])),
    };
  }

  for (const [name, make] of Object.entries(places)) {
    test(`of ${name} gives another runner everything that a build made`, async () => {
      const { attributes, env } = make();
      const context = use.bench.context(DOCKERFILE, FILES);
      const first = await build(context, await newStore(), [`--cache-to=${attributes},mode=max`], env);
      expect(first.err).not.toContain('Cannot');
      const second = await build(context, await newStore(), [`--cache-from=${attributes}`], { ...env, ...NO_WORKER });
      expect(stepsOf(second)).toEqual({ ran: [], cached: stepsOf(first).ran });
      expect(second.image).toBe(first.image);
      // A step that changed reads what the others made.
      writeFileSync(join(context, 'src/one'), 'another\n');
      const third = await build(context, await newStore(), [`--cache-from=${attributes}`], env);
      expect(third.files['/stamp-deps']).toBe(first.files['/stamp-deps']);
      expect(third.files['/src/one']).toBe('another\n');
      expect(third.files['/stamp-last']).not.toBe(first.files['/stamp-last']);
    });

    test(`of ${name} keeps what two jobs wrote at a time`, async () => {
      const { attributes, env } = make();
      const contexts = ['one', 'two'].map((text) =>
        use.bench.context(DOCKERFILE, { ...FILES, 'src/one': text, 'deps.txt': text }),
      );
      const jobs = await Promise.all(
        contexts.map(async (context) =>
          build(context, await newStore(), [`--cache-from=${attributes}`, `--cache-to=${attributes},mode=max`], env),
        ),
      );
      for (const [at, context] of contexts.entries()) {
        const again = await build(context, await newStore(), [`--cache-from=${attributes}`], { ...env, ...NO_WORKER });
        expect(again.image).toBe(jobs[at]?.image);
      }
    });
  }

  test('of GitHub Actions takes few requests', async () => {
    const { attributes, env, requests } = ghaPlace();
    const context = use.bench.context(DOCKERFILE, FILES);
    // Those of the tests before.
    requests();
    await build(context, await newStore(), [`--cache-to=${attributes},mode=max`], env);
    expect(requests().length).toBeLessThanOrEqual(30);
    const args = ['build', '-o', 'type=cacheonly', `--cache-from=${attributes}`, context];
    await use.bench.ok(args, { store: await newStore(), env: { ...env, ...NO_WORKER } });
    // A hit moves no layer.
    expect(requests()).toEqual(['GetCacheEntryDownloadURL 200', 'GET blob 200']);
  });

  test('whose key is wrong is a warning that says which key, and not its secret', async () => {
    const { attributes } = s3Place();
    const env = { AWS_ACCESS_KEY_ID: S3_KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: 'not-the-secret-of-it' };
    const context = use.bench.context(DOCKERFILE, FILES);
    const built = await build(
      context,
      await newStore(),
      [`--cache-from=${attributes}`, `--cache-to=${attributes}`],
      env,
    );
    expect(stepsOf(built).cached).toEqual([]);
    expect(built.err).toContain('SignatureDoesNotMatch');
    expect(built.err).toContain('signed with key AKIATESTTESTTEST from variable AWS_ACCESS_KEY_ID');
    expect(built.err).not.toContain('not-the-secret-of-it');
  });

  test('whose service is gone is a warning, and the build goes on', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
    const gone = 'type=s3,bucket=cache,region=x,endpoint_url=http://127.0.0.1:1';
    const built = await build(context, await newStore(), [`--cache-from=${gone}`, `--cache-to=${gone}`], env);
    expect(built.err).toContain('127.0.0.1:1: the connection was refused');
  });

  test('that is described wrongly is refused, without its secrets', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    for (const [option, why] of [
      ['type=s3,bucket=b,region=x,access_key_id=AKIA,secret_access_key=hush-hush,oops=1', /type s3 has no "oops"/],
      ['type=azblob,account_url=https://a.test?sig=hush-hush,container=NO', /NO/],
      ['type=gha,token=hush-hush', /ACTIONS_RESULTS_URL is not set/],
    ] as const) {
      const refused = await use.bench.tsbuild(['build', `--cache-to=${option}`, context], {
        env: { ACTIONS_RESULTS_URL: undefined },
      });
      expect(refused.code).not.toBe(0);
      expect(refused.err).toMatch(why);
      expect(refused.err).not.toContain('hush-hush');
    }
  });
});
