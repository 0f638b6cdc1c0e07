import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Bench, type Outcome } from '../support/bench.ts';
import { identities } from '../support/identity.ts';
import { S3_BUCKET, S3_KEY, S3_REGION, type S3Server, startS3Server } from '../support/s3-server.ts';
import { stepsOf } from '../support/steps.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

/** No worker can be started with this: whatever needs to run a step or unpack a layer fails. */
const NO_WORKER = { TSBUILD_HELPER: '/nonexistent' };
/** Times that two jobs write at once. The bench of a release has 20. */
const RUNS = Number(process.env['TSBUILD_TEST_RUNS'] ?? '3');

const dockerfile = (base: string): string => `FROM ${base}
COPY deps.txt /deps.txt
RUN --mount=type=cache,id=packages,target=/cache cat /cache/package > /found 2>/dev/null || echo nothing > /found; cp /deps.txt /cache/package
COPY src /src
RUN cat /src/main > /built
`;

/** As root on one and as an ordinary user on the other, where the tests may; both as whoever runs them otherwise. */
const everyone = await identities();

/** A cache that is not in the registry that the image goes to. */
interface Elsewhere {
  readonly from: string;
  readonly to: string;
  readonly env: Readonly<Record<string, string>>;
  /** Who may write to it at the same time. */
  readonly writers: readonly ('one' | 'two')[];
}

describe('two runners that share nothing but a registry', () => {
  const registries = useWatchedRegistry();
  const held: { one?: Bench; two?: Bench; s3?: S3Server; directory?: string } = {};
  let stores = 0;

  beforeAll(async () => {
    held.one = new Bench(everyone[0]!);
    held.two = new Bench(everyone.at(-1)!);
    const { one } = held;
    await one.importBase(baseName());
    await one.ok(['push', baseName()]);
    // What was pushed is all that anybody has.
    const source = one.context(dockerfile(baseName()), { 'deps.txt': 'left-pad 1\n', 'src/main': 'main\n', 'src/run.sh': { text: 'run\n', mode: 0o755 } }); // oxfmt-ignore
    const git = (...args: readonly string[]): readonly string[] => ['git', '-C', source, '-c', 'user.name=x', '-c', 'user.email=x@x', ...args]; // oxfmt-ignore
    await one.tool(git('init', '-q', '-b', 'main'));
    await one.tool(git('add', '.'));
    await one.tool(git('commit', '-qm', 'one'));
    await one.tool(git('bundle', 'create', one.path('source.bundle'), 'main'));
    copyFileSync(one.path('source.bundle'), runner('two').path('source.bundle'));
    chmodSync(runner('two').path('source.bundle'), 0o644);
  });
  afterAll(async () => {
    await held.one?.[Symbol.asyncDispose]();
    await held.two?.[Symbol.asyncDispose]();
    await held.s3?.[Symbol.asyncDispose]();
    if (held.directory !== undefined) rmSync(held.directory, { recursive: true });
  });

  const baseName = (): string => `${registries.watched.host}/base:1`;
  const runner = (name: 'one' | 'two'): Bench => {
    const bench = held[name];
    if (bench === undefined) throw new Error('There is no such runner');
    return bench;
  };

  /** A fresh checkout, as the runner's umask has it. */
  async function checkout(name: 'one' | 'two'): Promise<string> {
    const bench = runner(name);
    const path = bench.path(`checkout-${stores++}`);
    const umask = name === 'one' ? '022' : '077';
    await bench.tool(['sh', '-c', `umask ${umask} && git clone -q -b main ${bench.path('source.bundle')} ${path}`]);
    return path;
  }

  async function build(
    name: 'one' | 'two',
    context: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Outcome> {
    const bench = runner(name);
    const all = ['build', '--progress=plain', '--context-perms=auto', ...args, context];
    return bench.ok(all, { store: bench.path(`store-${stores++}`), env });
  }

  const ref = (path: string): string => `type=registry,ref=${registries.watched.host}/${path}:cache`;
  const pushTo = (tag: string): readonly string[] => ['--push', `--tag=${registries.watched.host}/team/app:${tag}`];
  const digestOf = ({ err }: Outcome): string | undefined => /app:\w+@(sha256:\w+)/.exec(err)?.[1];

  test('the second finds every step, moves no byte of a layer, and has the same image', async () => {
    const { watched } = registries;
    const cache = ref('team/app');
    const [mine, theirs] = [await checkout('one'), await checkout('two')];
    if (process.getuid?.() === 0) expect(statSync(join(mine, 'deps.txt')).mode).not.toBe(statSync(join(theirs, 'deps.txt')).mode); // oxfmt-ignore
    const first = await build('one', mine, [`--cache-to=${cache},mode=max,mounts=true`, ...pushTo('a')]);
    expect(stepsOf(first).ran).toHaveLength(4);
    expect(first.err).toMatch(/cache mount packages: sent/);
    watched.requests.length = 0;
    const second = await build('two', theirs, [`--cache-from=${cache},mounts=true`, ...pushTo('b')], NO_WORKER);
    expect(stepsOf(second)).toEqual({ ran: [], cached: stepsOf(first).ran });
    expect([digestOf(second), digestOf(second)]).toEqual([digestOf(first), expect.stringMatching(/^sha256:/)]);
    const blobs = watched.requests.filter(({ method, url }) => method !== 'HEAD' && url.includes('/blobs/'));
    // The config of the base image is all that is read, and nothing is written.
    expect(blobs.map(({ method }) => method)).toEqual(['GET']);

    // One file is another one: the cache of the other runner says which.
    writeFileSync(join(theirs, 'src/main'), 'changed\n');
    const changed = await build('two', theirs, [`--cache-from=${cache}`, '--explain', '-o', 'type=cacheonly']);
    expect(stepsOf(changed).ran).toEqual(['COPY src /src', 'RUN cat /src/main > /built']);
    expect(changed.err).toMatch(/COPY src \/src[^]*src\/main/);

    // The step that fills the mount runs again, where it never ran before: what the other runner left is there.
    writeFileSync(join(theirs, 'deps.txt'), 'left-pad 2\n');
    const out = runner('two').path('files');
    const refilled = await build('two', theirs, [`--cache-from=${cache},mounts=true`, '-o', `type=local,dest=${out}`]);
    expect(refilled.err).not.toMatch(/Cannot/);
    expect(await runner('two').tool(['cat', join(out, 'found')])).toBe('left-pad 1\n');
  });

  test(
    'both keep what they wrote at the same moment, every time',
    async () => {
      const cache = ref('team/both');
      for (let run = 0; run < RUNS; run++) {
        const jobs = await Promise.all((['one', 'two'] as const).map(async (name) => ({ name, context: await checkout(name) }))); // oxfmt-ignore
        for (const { name, context } of jobs) writeFileSync(join(context, 'src/main'), `${name} in run ${run}\n`);
        const args = [`--cache-from=${cache}`, `--cache-to=${cache},mode=max`, '-o', 'type=cacheonly'];
        await Promise.all(jobs.map(({ name, context }) => build(name, context, args)));
        for (const { name, context } of jobs) {
          const again = await build(name, context, [`--cache-from=${cache}`, '-o', 'type=cacheonly'], NO_WORKER);
          expect([run, name, stepsOf(again).ran]).toEqual([run, name, []]);
        }
      }
    },
    60_000 + RUNS * 20_000,
  );

  test('neither believes a record that somebody else has forged', async () => {
    const keys = { main: generateKeyPairSync('ed25519'), evil: generateKeyPairSync('ed25519') };
    for (const [name, { privateKey, publicKey }] of Object.entries(keys)) {
      runner('one').write('.', { [`${name}.key`]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() });
      runner('two').write('.', { [`${name}.pub`]: publicKey.export({ type: 'spki', format: 'pem' }).toString() });
    }
    const [mine, theirs] = [await checkout('one'), await checkout('two')];
    const to = (key: string): string => `--cache-to=${ref('team/forged')},mode=max,mounts=true,key=${key}.key`;
    await build('one', mine, [to('evil'), '-o', 'type=cacheonly']);
    const from = `--cache-from=${ref('team/forged')},mounts=true,verify-key=main.pub`;
    const refused = await build('two', theirs, [from, '-o', 'type=cacheonly']);
    expect(stepsOf(refused).cached).toEqual([]);
    expect(refused.err).toMatch(/record [0-9a-f]{64} of cache .*none of the trusted keys has signed it/);
    expect(refused.err).toMatch(/Cannot restore cache mount packages .*none of the trusted keys has signed it/);
    await build('one', mine, ['--no-cache', to('main'), '-o', 'type=cacheonly']);
    const right = await build('two', theirs, [from, '-o', 'type=cacheonly'], NO_WORKER);
    expect(stepsOf(right).ran).toEqual([]);
  });

  const elsewhere: Readonly<Record<string, () => Promise<Elsewhere>>> = {
    S3: async () => {
      held.s3 = await startS3Server();
      const attributes = `type=s3,bucket=${S3_BUCKET},region=${S3_REGION},endpoint_url=${held.s3.url}`;
      const env = { AWS_ACCESS_KEY_ID: S3_KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: S3_KEY.secretAccessKey };
      return { from: attributes, to: attributes, env, writers: ['one', 'two'] };
    },
    // What everybody may write to is not read: the jobs of one user write, and others read.
    'a directory': async () => {
      held.directory = mkdtempSync(join(tmpdir(), 'tsbuild-shared-'));
      chmodSync(held.directory, 0o755);
      const path = join(held.directory, 'cache');
      return { from: `type=local,src=${path}`, to: `type=local,dest=${path}`, env: {}, writers: ['one', 'one'] };
    },
  };
  test.each(Object.entries(elsewhere))('have the same of a cache in %s', async (_name, open) => {
    const { watched } = registries;
    const { from, to, env, writers } = await open();
    const pair = { right: generateKeyPairSync('ed25519'), evil: generateKeyPairSync('ed25519') };
    for (const [name, { privateKey }] of Object.entries(pair))
      runner('one').write('.', { [`${name}.key`]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() });
    const pub = pair.right.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const name of ['one', 'two'] as const) runner(name).write('.', { 'right.pub': pub });
    const [mine, theirs] = [await checkout('one'), await checkout('two')];
    const trusted = `--cache-from=${from},scope=main,verify-key=right.pub,mounts=true`;
    const signed = (key: string): string => `--cache-to=${to},scope=main,mode=max,mounts=true,key=${key}.key`;
    const nothing = ['-o', 'type=cacheonly'];

    // What somebody else has signed is nothing, and makes way.
    await build('one', mine, [signed('evil'), ...nothing], env);
    const refused = await build('two', theirs, [trusted, ...nothing], env);
    expect(stepsOf(refused).cached).toEqual([]);
    expect(refused.err).toMatch(/record [0-9a-f]{64} of cache .*none of the trusted keys has signed it/);
    const first = await build('one', mine, [trusted, signed('right'), ...pushTo('c')], env);
    expect(stepsOf(first).ran).toHaveLength(4);
    watched.requests.length = 0;
    held.s3?.requests.splice(0);
    const second = await build('two', theirs, [trusted, ...pushTo('d')], { ...env, ...NO_WORKER });
    expect(stepsOf(second)).toEqual({ ran: [], cached: stepsOf(first).ran });
    expect([digestOf(second), digestOf(second)]).toEqual([digestOf(first), expect.stringMatching(/^sha256:/)]);
    const blobs = watched.requests.filter(({ method, url }) => method !== 'HEAD' && url.includes('/blobs/'));
    expect(blobs.map(({ method }) => method)).toEqual(['GET']);
    expect((held.s3?.requests ?? []).filter(({ url }) => url.includes('/blobs/'))).toEqual([]);

    writeFileSync(join(theirs, 'src/main'), 'changed\n');
    writeFileSync(join(theirs, 'deps.txt'), 'left-pad 3\n');
    const out = runner('two').path(`files-${stores++}`);
    const changed = await build('two', theirs, [trusted, '--explain', '-o', `type=local,dest=${out}`], env);
    expect(changed.err).toMatch(/COPY src \/src[^]*src\/main/);
    expect(await runner('two').tool(['cat', join(out, 'found')])).toBe('left-pad 1\n');

    const jobs = await Promise.all(writers.map(async (name) => ({ name, context: await checkout(name) })));
    for (const [at, { context }] of jobs.entries()) writeFileSync(join(context, 'src/main'), `job ${at}\n`);
    const both = [`--cache-from=${from},scope=both`, `--cache-to=${to},scope=both,mode=max`, ...nothing];
    await Promise.all(jobs.map(({ name, context }) => build(name, context, both, env)));
    for (const { name, context } of jobs) {
      const all = [`--cache-from=${from},scope=both`, ...nothing];
      expect(stepsOf(await build(name, context, all, { ...env, ...NO_WORKER })).ran).toEqual([]);
    }
  });
});
