import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ActionsCache, DEFAULT_BRANCH, startActionsCache } from '../support/actions-cache.ts';
import { type Azurite, startAzurite } from '../support/azurite.ts';
import type { Outcome } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { ordinaryUser } from '../support/identity.ts';
import { S3_BUCKET, S3_KEY, S3_REGION, type S3Server, startS3Server } from '../support/s3-server.ts';
import { readOciArchive } from '../support/tree.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

/** A step that shows what its mount had and fills it. The argument makes it run again. */
const dockerfile = (mount: string, fill = 'echo $RUN > /cache/run'): string => `FROM base:1
ARG RUN
RUN --mount=type=cache,target=/cache,${mount} (cd /cache; find . -type f | sort | xargs -r sha256sum; stat -c '%n %a %u:%g %Y' * 2>/dev/null) > /found || true; ${fill}
`;

describeAsEveryone('a cache mount that travels', (who) => {
  const use = useBench(who, { base: false });
  const registries = useWatchedRegistry();
  const azuriteProgram = process.env['TSBUILD_TEST_AZURITE'];
  let s3: S3Server;
  let actions: ActionsCache;
  let azurite: Azurite | undefined;
  beforeAll(async () => {
    s3 = await startS3Server();
    actions = await startActionsCache();
    if (azuriteProgram !== undefined) azurite = await startAzurite(azuriteProgram);
  });
  afterAll(async () => {
    await s3[Symbol.asyncDispose]();
    await actions[Symbol.asyncDispose]();
    await azurite?.[Symbol.asyncDispose]();
  });

  /** Builds in a store of its own. @returns what the step found in its mount */
  async function build(
    context: string,
    run: string,
    args: readonly string[],
    store?: string,
  ): Promise<Outcome & { readonly found: string }> {
    const env = {
      AWS_ACCESS_KEY_ID: S3_KEY.accessKeyId,
      AWS_SECRET_ACCESS_KEY: S3_KEY.secretAccessKey,
      ACTIONS_RESULTS_URL: actions.url,
      ACTIONS_RUNTIME_TOKEN: actions.token(DEFAULT_BRANCH),
    };
    const all = ['build', '--progress=plain', `--build-arg=RUN=${run}`, '-o', 'type=oci,dest=-', ...args, context];
    const outcome = await use.bench.ok(all, { env, store: store ?? (await use.bench.otherStore()) });
    return { ...outcome, found: (await readOciArchive(outcome.stdout)).tree['/found']?.content ?? '' };
  }

  const places: Readonly<Record<string, () => readonly [from: string, to: string]>> = {
    'a registry': () => {
      const ref = `type=registry,ref=${registries.watched.host}/team/mounts:cache`;
      return [ref, ref];
    },
    'a directory': () => ['type=local,src=shared', 'type=local,dest=shared'],
    S3: () => {
      const bucket = `type=s3,bucket=${S3_BUCKET},region=${S3_REGION},endpoint_url=${s3.url},prefix=mounts/`;
      return [bucket, bucket];
    },
    'the cache of GitHub Actions': () => ['type=gha,scope=mounts', 'type=gha,scope=mounts'],
    ...(azuriteProgram === undefined
      ? {}
      : {
          'Azure Blob Storage': () => {
            const bucket = `type=azblob,account_url=${azurite?.accountUrl},account_key=${azurite?.key},prefix=mounts/`;
            return [bucket, bucket];
          },
        }),
  };

  test.each(Object.entries(places))(
    'through %s is found where it never was, with owners, modes and times',
    async (_name, place) => {
      const [from, to] = place();
      const fill =
        'echo $RUN > /cache/run; echo data > /cache/data; chown 1000:50 /cache/data; chmod 640 /cache/data; mkdir -p /cache/d; chmod 1770 /cache/d; chown 12:34 /cache/d; ln -sf /etc/passwd /cache/link; touch -d @1000000000 /cache/data';
      const context = use.bench.context(dockerfile('id=tool', fill));
      const first = await build(context, 'one', [`--cache-to=${to},mounts=true`]);
      expect(first.found).toBe('');
      expect(first.err).toMatch(/cache mount tool: sent [\d.]+k?B of [\d.]+k?B in 3 files/);
      const second = await build(context, 'two', [`--cache-from=${from},mounts=true`]);
      expect(second.err).not.toMatch(/Cannot/);
      expect(second.found).toContain('data 640 1000:50 1000000000\n');
      expect(second.found).toContain('d 1770 12:34 ');
      expect(second.found).toContain('link 777 0:0 ');
      expect(second.found).toMatch(/^\w{64} {2}\.\/data\n\w{64} {2}\.\/run\n/);
    },
  );

  test('that belongs to another user comes to that user', async () => {
    const to = '--cache-to=type=local,dest=users,mounts=home;other';
    const from = '--cache-from=type=local,src=users,mounts=home,other';
    const context = use.bench.context(`FROM base:1
ARG RUN
USER 1000:50
RUN --mount=type=cache,id=home,target=/cache,uid=1000,gid=50,mode=0700 ls -ln /cache > /tmp/found; stat -c '%a %u:%g' /cache >> /tmp/found; echo $RUN > /cache/run
`); // oxfmt-ignore
    const found = async (run: string, args: readonly string[]): Promise<string> => {
      const { stdout } = await build(context, run, args);
      return (await readOciArchive(stdout)).tree['/tmp/found']?.content ?? '';
    };
    expect(await found('one', [to])).toMatch(/^total 0\n700 1000:50\n$/);
    expect(await found('two', [from])).toMatch(/1000 +50 .* run\n700 1000:50\n$/);
  });
});

// Who builds makes no difference to the rest.
const who = await ordinaryUser();

describe('cache mounts that travel', () => {
  const use = useBench(who, { base: false });
  const registries = useWatchedRegistry();
  let runs = 0;

  async function build(
    context: string,
    args: readonly string[],
    store?: string,
  ): Promise<Outcome & { readonly found: string; readonly store: string }> {
    const own = store ?? (await use.bench.otherStore());
    const all = ['build', '--progress=plain', `--build-arg=RUN=${runs++}`, '-o', 'type=oci,dest=-', ...args, context];
    const outcome = await use.bench.ok(all, { store: own });
    return { ...outcome, store: own, found: (await readOciArchive(outcome.stdout)).tree['/found']?.content ?? '' };
  }

  const shared = (name: string, more = ''): readonly string[] => [
    `--cache-from=type=local,src=${name},mounts=true${more}`,
    `--cache-to=type=local,dest=${name},mounts=true`,
  ];
  /** Bytes of the blobs of a directory. */
  const blobsOf = (name: string): number =>
    readdirSync(use.bench.path(`${name}/blobs/sha256`))
      .map((blob) => statSync(use.bench.path(`${name}/blobs/sha256/${blob}`)).size)
      .reduce((sum, size) => sum + size, 0);

  test('send what changed, once, and nothing that is there', async () => {
    const fill = 'test -e /cache/large || head -c 20000000 /dev/urandom > /cache/large; echo $RUN >> /cache/large';
    const context = use.bench.context(dockerfile('id=large', fill));
    const first = await build(context, shared('large'));
    const before = blobsOf('large');
    expect(before).toBeGreaterThan(20e6);
    const second = await build(context, shared('large'));
    const sent = blobsOf('large') - before;
    expect(sent).toBeLessThan(600_000);
    expect(second.found).not.toBe('');
    // The first runner's own is left as it is, and what it says is what counts from then on.
    const third = await build(context, shared('large'), first.store);
    expect(blobsOf('large') - before - sent).toBeLessThan(600_000);
    const fourth = await build(context, shared('large'));
    expect(fourth.found).not.toBe(second.found);
    expect(third.found).not.toBe(fourth.found);
    // Where all steps are cached, no mount is looked at.
    const hits = ['build', '--progress=plain', `--build-arg=RUN=${runs - 1}`, '-o', 'type=cacheonly', ...shared('large'), context]; // oxfmt-ignore
    const cached = await use.bench.ok(hits, { store: fourth.store });
    expect(cached.err).not.toMatch(/cache mount/);
  });

  test('come of the first scope that has them, and go to another', async () => {
    const context = use.bench.context(dockerfile('id=scopes'));
    const at = (flag: string, scope: string): string =>
      `--cache-${flag}=type=local,${flag === 'to' ? 'dest' : 'src'}=scopes,scope=${scope},mounts=true`;
    await build(context, [at('to', 'main')]);
    const pull = await build(context, [at('from', 'pr-1'), at('from', 'main'), at('to', 'pr-1')]);
    expect(pull.found).toMatch(/run/);
    const again = await build(context, [at('from', 'pr-1'), at('from', 'main')]);
    const main = await build(context, [at('from', 'main')]);
    expect(again.found).not.toBe(main.found);
    expect(main.found).toBe(pull.found);
    expect((await build(context, [at('from', 'pr-2')])).found).toBe('');
  });

  test('are those that were named, are empty with --no-cache, and stay with steps that only read', async () => {
    const context = use.bench.context(dockerfile('id=named'));
    const other = '--cache-to=type=local,dest=named,mounts=other';
    expect((await build(context, [other])).err).not.toContain('cache mount named');
    await build(context, ['--cache-to=type=local,dest=named,mounts=other,named']);
    const from = '--cache-from=type=local,src=named,mounts=named';
    expect((await build(context, ['--cache-from=type=local,src=named,mounts=other'])).found).toBe('');
    expect((await build(context, ['--no-cache', from])).found).toBe('');
    expect((await build(context, [from])).found).toMatch(/run/);
    const reader = use.bench.context(dockerfile('id=named,readonly', 'true'));
    const read = await build(reader, [from, '--cache-to=type=local,dest=named,mounts=named']);
    expect(read.found).toMatch(/run/);
    expect(read.err).not.toMatch(/cache mount named: /);
  });

  test('that are damaged are a warning and an empty mount, and are mended', async () => {
    const context = use.bench.context(dockerfile('id=broken'));
    await build(context, shared('broken'));
    const blobs = use.bench.path('broken/blobs/sha256');
    const damages: Readonly<Record<string, (path: string) => void>> = {
      missing: (path) => rmSync(path),
      flipped: (path) =>
        writeFileSync(
          path,
          readFileSync(path).map((byte, at) => (at === 30 ? byte ^ 1 : byte)),
        ),
    };
    for (const [, damage] of Object.entries(damages)) {
      for (const name of readdirSync(blobs)) {
        chmodSync(join(blobs, name), 0o644);
        damage(join(blobs, name));
      }
      const hurt = await build(context, shared('broken'));
      expect(hurt.found).toBe('');
      expect(hurt.err).toMatch(/Cannot restore cache mount broken from .*broken \(default\)/);
      expect((await build(context, shared('broken'))).found).toMatch(/run/);
    }
  });

  test('are believed what was signed by those who may', async () => {
    for (const name of ['main', 'pull']) {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      use.bench.write('.', {
        [`${name}.key`]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        [`${name}.pub`]: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      });
    }
    const context = use.bench.context(dockerfile('id=signed'));
    const from = '--cache-from=type=local,src=signed,verify-key=main.pub,mounts=true';
    const to = (key: string): string => `--cache-to=type=local,dest=signed,mounts=true,key=${key}.key`;
    await build(context, [to('pull')]);
    const forged = await build(context, [from]);
    expect(forged.found).toBe('');
    expect(forged.err).toMatch(/Cannot restore cache mount signed from .*none of the trusted keys has signed it/);
    await build(context, [from, to('main')]);
    const right = await build(context, [from]);
    expect(right.found).toMatch(/run/);
    expect(right.err).not.toMatch(/Cannot restore/);
  });

  test('that do not come in time are not waited for, and those that are too much do not come', async () => {
    const { watched } = registries;
    const context = use.bench.context(dockerfile('id=slow', 'head -c 3000000 /dev/urandom > /cache/large'));
    const ref = `type=registry,ref=${watched.host}/team/slow:cache`;
    await build(context, [`--cache-to=${ref},mounts=true`]);
    watched.delayMs = 1500;
    const late = await build(context, [`--cache-from=${ref},scope=cache,mounts=true,mounts-timeout=300ms`]);
    watched.delayMs = 0;
    expect(late.found).toBe('');
    expect(late.err).toMatch(/Cannot restore cache mount slow: it did not come within .*mounts-timeout/);
    const small = await build(context, [`--cache-from=${ref},mounts=true,mounts-max-size=2MB`]);
    expect(small.found).toBe('');
    expect(small.err).toMatch(/it has 3.00MB, more than 2.10MB.*mounts-max-size/s);
    const large = await build(context, [`--cache-to=${ref},mounts=true,mounts-max-size=2MB`]);
    expect(large.err).toMatch(/Cannot export cache mounts .*it has more than 2.10MB.*mounts-max-size/s);
    const usage = await use.bench.tsbuild(['build', `--cache-from=${ref},mounts-timeout=1s`, context]);
    expect([usage.code, usage.err]).toEqual([2, expect.stringContaining('add mounts=true')]);
  });

  test('of a build that another one of the machine shares are taken as they are between steps', async () => {
    const context = use.bench.context(dockerfile('id=locked,sharing=locked', 'echo $RUN > /cache/run; sleep 1'));
    const store = await use.bench.otherStore();
    const outcomes = await Promise.all([build(context, shared('locked'), store), build(context, shared('locked'), store)]); // oxfmt-ignore
    for (const { err } of outcomes) expect(err).not.toMatch(/Cannot/);
    expect((await build(context, shared('locked'))).found).toMatch(/run/);
  });

  test('are listed, removed, sent and brought by commands of their own', async () => {
    const { bench } = use;
    const store = await bench.otherStore();
    const context = bench.context(`FROM base:1
RUN --mount=type=cache,id=one,target=/cache echo one > /cache/one
RUN --mount=type=cache,target=/root/.cache echo two > /root/.cache/two
RUN --mount=type=cache,id=mine,uid=1000,target=/cache true
`);
    await bench.ok(['build', '-o', 'type=cacheonly', context], { store });
    const mounts = (...args: readonly string[]): readonly string[] => ['cache', 'mounts', ...args];
    const listed = await bench.ok(mounts('ls'), { store });
    expect(listed.out).toMatch(/^ID +SIZE +FILES +LAST USED\n/);
    for (const id of ['one', '/root/.cache', 'mine#']) expect(listed.out).toContain(`\n${id}`);
    const json = JSON.parse((await bench.ok(mounts('ls', '--format=json'), { store })).out) as { id: string }[];
    expect(json).toMatchObject([{ id: '/one', inUse: false }, { id: '//root/.cache' }, {}]);
    const sent = await bench.ok(mounts('export', '--cache-to=type=local,dest=by-hand'), { store });
    expect(sent.out).toMatch(/one: sent .*\n\/root\/.cache: sent .*\nmine#\w+: it is only known on this machine/);
    expect((await bench.ok(mounts('export', '--cache-to=type=local,dest=by-hand', 'one'), { store })).out).toBe('one: as it is there\n'); // oxfmt-ignore

    const from = '--cache-from=type=local,src=by-hand';
    const other = await bench.otherStore();
    expect((await bench.ok(mounts('import', from, 'one', '/root/.cache'), { store: other })).out).toBe('one: restored\n/root/.cache: restored\n'); // oxfmt-ignore
    const text = `FROM base:1\nRUN --mount=type=cache,id=one,target=/cache cat /cache/one > /found; echo changed > /cache/one\n`;
    expect((await build(bench.context(text), [], other)).found).toBe('one\n');
    const occupied = await bench.tsbuild(mounts('import', from, 'one'), { store: other });
    expect([occupied.code, occupied.err]).toEqual([1, expect.stringContaining('--replace')]);
    await bench.ok(mounts('import', '--replace', from, 'one'), { store: other });
    expect((await build(bench.context(`${text}# again\nRUN true\n`), ['--no-cache-filter=none'], other)).err).not.toContain('Cannot'); // oxfmt-ignore
    const absent = await bench.tsbuild(mounts('import', from, 'nobody'), { store: other });
    expect([absent.code, absent.err]).toEqual([1, expect.stringContaining('it is not there')]);

    expect((await bench.ok(mounts('rm', 'one'), { store })).out).toMatch(/^one\nFreed: {2}/);
    expect((await bench.ok(mounts('ls'), { store })).out).not.toContain('\none ');
    const mistyped = await bench.tsbuild(mounts('rm', 'min'), { store });
    expect([mistyped.code, mistyped.err]).toEqual([1, expect.stringContaining('did you mean "mine"')]);
    expect((await bench.tsbuild(mounts('rm'), { store })).code).toBe(2);
    await bench.ok(mounts('rm', '--all'), { store });
    expect(JSON.parse((await bench.ok(mounts('ls', '--format=json'), { store })).out)).toEqual([]);
    const inline = await bench.tsbuild(mounts('export', '--cache-to=type=inline'), { store });
    expect([inline.code, inline.err]).toEqual([2, expect.stringContaining('it has none')]);
  });
});
