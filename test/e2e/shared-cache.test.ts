import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Outcome, RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { ordinaryUser } from '../support/identity.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive } from '../support/tree.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

/** No worker can be started with this: whatever needs to run a step or unpack a layer fails. */
const NO_WORKER = { TSBUILD_HELPER: '/nonexistent' };

describeAsUser('a cache that runners share', (who) => {
  const use = useBench(who, { base: false });
  const registries = useWatchedRegistry();
  let count = 0;

  /** A runner with an empty store. */
  const newStore = (): string => use.bench.path(`store-${count++}`);

  async function build(
    store: string,
    context: string,
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<Outcome> {
    return use.bench.ok(['build', '--progress=plain', ...args, context], { store, ...options });
  }

  /** Pushes the base image, once, and gives its name. */
  async function base(): Promise<string> {
    const name = `${registries.watched.host}/base:1`;
    const store = use.bench.path('store-base');
    await use.bench.importBase(name, { store });
    await use.bench.ok(['push', name], { store });
    return name;
  }

  test('costs the next runner no step and no byte of a layer, and gives it the same image', async () => {
    const { bench } = use;
    const { watched } = registries;
    const steps = Array.from({ length: 8 }, (_, at) => (at % 4 === 2 ? `COPY f${at} /` : `RUN echo ${at} > /step-${at}`));
    const dockerfile = [`FROM ${await base()}`, ...steps, ''].join('\n');
    const files = { f2: 'two', f6: 'six' };
    const ref = `${watched.host}/team/app`;
    const context = bench.context(dockerfile, files);
    const first = await build(newStore(), context, [`--cache-to=${ref}:cache`, '--push', `--tag=${ref}:1`]);
    expect(stepsOf(first).ran).toHaveLength(8);
    expect(first.err).toMatch(/wrote \d+ records, kept 0/);

    // Another checkout, at another time.
    const other = bench.context(dockerfile, files);
    for (const name of Object.keys(files)) utimesSync(join(other, name), 1e9, 1e9);
    watched.requests.length = 0;
    const args = [`--cache-from=${ref}:cache`, '--push', `--tag=${ref}:2`];
    const second = await build(newStore(), other, args, { env: NO_WORKER });
    expect(stepsOf(second)).toEqual({ ran: [], cached: stepsOf(first).ran });
    const digests = [first, second].map(({ err }) => /app:\d@(sha256:\w+)/.exec(err)?.[1]);
    expect(digests[0]).toBe(digests[1]);
    const uploads = watched.requests.filter(({ method, url }) => method !== 'HEAD' && url.includes('/team/app/blobs/'));
    expect(uploads).toEqual([]);
    // The config of the base image is all that was read as a blob; what the cache has came with its index.
    expect(watched.requests.filter(({ url }) => url.includes('tsb-'))).toEqual([]);
    expect(watched.requests.filter(({ method, url }) => method === 'GET' && url.includes('/blobs/'))).toHaveLength(1);

    // To another repository of the registry they are mounted.
    watched.requests.length = 0;
    await build(newStore(), other, [`--cache-from=${ref}:cache`, '--push', `--tag=${watched.host}/team/web:1`], { env: NO_WORKER });
    const sent = watched.requests.filter(({ url }) => url.includes('/blobs/uploads')).map(({ sent }) => sent);
    expect(Math.max(...sent)).toBeLessThan(10_000);
    expect(watched.requests.filter(({ method, url }) => method === 'GET' && url.includes('/blobs/'))).toHaveLength(1);
  }); // oxfmt-ignore

  test('is one question where it has an index, and otherwise two: that, and one for all steps together', async () => {
    const { bench } = use;
    const { watched } = registries;
    const steps = 20;
    /** Requests that the command sends at a time to one host. */
    const atOnce = 10;
    const dockerfile = [`FROM ${await base()}`, ...Array.from({ length: steps }, (_, at) => `RUN echo ${at} > /step-${at}`), ''].join('\n');
    const context = bench.context(dockerfile);
    const ref = `${watched.host}/team/rounds:cache`;
    await build(newStore(), context, ['-o', 'type=cacheonly', `--cache-to=${ref}`]);
    const fresh = async (): Promise<readonly string[]> => {
      watched.requests.length = 0;
      const built = await build(newStore(), context, ['-o', 'type=cacheonly', `--cache-from=${ref}`], { env: NO_WORKER });
      expect(stepsOf(built).cached).toHaveLength(steps);
      return watched.requests.filter(({ url }) => url.includes('/team/rounds/')).map(({ method, url }) => `${method} ${url.split('/').at(-1)}`);
    };
    expect(await fresh()).toEqual(['GET cache']);

    // The registry answers for no record before it was asked for as many as there are connections: whoever asks one after the other waits
    // for ever.
    watched.refuse = ({ url }) => (url.endsWith('/manifests/cache') ? 404 : undefined);
    const asked = Promise.withResolvers<void>();
    let records = 0;
    watched.hold = ({ url }) => {
      if (!url.includes('/manifests/tsb-')) return undefined;
      if (++records === atOnce) asked.resolve();
      return asked.promise;
    };
    const requests = await fresh();
    expect(requests[0]).toBe('GET cache');
    expect(new Set(requests.slice(1)).size).toBe(steps);
    expect(requests).toHaveLength(1 + steps);
  }); // oxfmt-ignore

  test('has what a runner made that was killed, and what one made that failed', async () => {
    const { bench } = use;
    const { watched, registry } = registries;
    const name = await base();
    const tags = async (path: string): Promise<readonly string[]> => {
      const answer = await fetch(`http://${registry.host}/v2/${path}/tags/list`);
      return ((await answer.json()) as { tags?: string[] }).tags ?? [];
    };
    const text = (last: string): string => `FROM ${name}\nRUN echo one > /one\nRUN echo two > /two\nRUN ${last}\n`;
    const context = bench.context(text('echo begun; sleep 60'));
    const to = `--cache-to=type=registry,ref=${watched.host}/killed:cache`;
    const running = bench.tsbuildStart(['build', '--progress=plain', '-o', 'type=cacheonly', to, context], {
      store: newStore(),
    });
    await running.prints(/^#\d+ [\d.]+ begun/m);
    // The records of FROM and of both steps, which come in any order.
    while ((await tags('killed')).length < 3) await sleep(50);
    running.child.kill('SIGKILL');
    await running.ended;
    expect(await tags('killed')).not.toContain('cache');
    writeFileSync(join(context, 'Dockerfile'), text('false'));
    const from = `--cache-from=${watched.host}/killed:cache`;
    const failed = await bench.tsbuild(['build', '--progress=plain', from, to, context], { store: newStore() });
    expect(failed.code).toBe(1);
    expect(stepsOf(failed).cached).toEqual(['RUN echo one > /one', 'RUN echo two > /two']);

    const failing = `--cache-to=type=local,dest=failing,mode=max`;
    expect((await bench.tsbuild(['build', failing, context], { store: newStore() })).code).toBe(1);
    writeFileSync(join(context, 'Dockerfile'), text('echo three'));
    const again = await build(newStore(), context, ['--cache-from=type=local,src=failing', '-o', 'type=cacheonly']);
    expect(stepsOf(again)).toMatchObject({ ran: ['RUN echo three'], cached: { length: 2 } });
  });

  test('keeps the work of two that write at once', async () => {
    const { bench } = use;
    const { watched } = registries;
    const name = await base();
    const ref = `${watched.host}/both:cache`;
    const contexts = ['a', 'b'].map((one) => bench.context(`FROM ${name}\nRUN echo same > /same\nRUN echo ${one} > /${one}\n`));
    const args = [`--cache-to=${ref}`, '-o', 'type=cacheonly'];
    await Promise.all(contexts.map((context) => build(newStore(), context, args)));
    for (const context of contexts) {
      const built = await build(newStore(), context, [`--cache-from=${ref}`, '-o', 'type=cacheonly'], { env: NO_WORKER });
      expect(stepsOf(built).ran).toEqual([]);
    }
  }); // oxfmt-ignore
});

// Who builds makes no difference to what is trusted and kept.
const who = await ordinaryUser();

describe('a shared cache in a directory', () => {
  const use = useBench(who);

  const newStore = (): Promise<string> => use.bench.otherStore();

  async function build(context: string, args: readonly string[]): Promise<Outcome & { readonly files: readonly string[] }> {
    const all = ['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context];
    const outcome = await use.bench.ok(all, { store: await newStore() });
    return { ...outcome, files: Object.keys((await readOciArchive(outcome.stdout)).tree) };
  } // oxfmt-ignore

  function keyPair(name: string): void {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    use.bench.write('.', {
      [`${name}.key`]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      [`${name}.pub`]: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    });
  }

  test('is believed what was signed by those who may, and nobody else (CAC-01, CAC-02, CVE-2025-36852)', async () => {
    const { bench } = use;
    keyPair('main');
    keyPair('pull');
    bench.write('.', {
      'policy.json': JSON.stringify({ version: 1, scopes: { main: ['main.pub'], 'pr-*': ['main.pub', 'pull.pub'] } }),
    });
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const at = (scope: string, key: string): string => `--cache-to=type=local,dest=signed,scope=${scope},key=${key}.key`;
    const from = (scope: string): string => `--cache-from=type=local,src=signed,scope=${scope},policy=policy.json`;
    // Whoever builds a pull request can write to the place, also under the name of main.
    await build(context, [at('main', 'pull')]);
    const forged = await build(context, [from('main')]);
    expect(stepsOf(forged).ran).toHaveLength(1);
    expect(forged.err).toMatch(/record [0-9a-f]{64} of cache .*signed \(main\): none of the trusted keys has signed it/);
    await build(context, [at('pr-1', 'pull')]);
    expect(stepsOf(await build(context, [from('pr-1')])).cached).toHaveLength(1);
    // Main's own build makes the step again, and what it writes is in its place.
    await build(context, [from('main'), at('main', 'main')]);
    const right = await build(context, [from('main')]);
    expect([stepsOf(right).cached.length, right.err.includes('signed it')]).toEqual([1, false]);
    const usage = await bench.tsbuild(['build', at('main', 'absent'), context]);
    expect([usage.code, usage.err]).toEqual([2, expect.stringContaining('openssl genpkey')]);
    const wrong = await bench.tsbuild(['build', '--cache-from=type=local,src=signed,verify-key=main.key', context]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('private key')]);
  }); // oxfmt-ignore

  test.each([
    ['the one', 0],
    ['the other', 1],
  ])(
    'that lost %s layer of two, and damaged the other, is mended by the next build that writes to it (CAC-09)',
    async (_which, lost) => {
      const { bench } = use;
      // Made again, these have the same digests: what is damaged is there by its name and its size.
      const context = bench.context(
        'FROM base:1\nRUN echo one > /one && touch -d @1 /one /\nRUN echo two > /two && touch -d @1 /two /\n',
      );
      const to = `--cache-to=type=local,dest=mended${lost},mode=max`;
      const from = `--cache-from=type=local,src=mended${lost}`;
      await build(context, [to]);
      const dir = bench.path(`mended${lost}/blobs/sha256`);
      const small = readdirSync(dir).filter((name) => statSync(join(dir, name)).size < 10_000);
      expect(small).toHaveLength(2);
      writeFileSync(join(dir, small[1 - lost]!), Buffer.alloc(statSync(join(dir, small[1 - lost]!)).size));
      rmSync(join(dir, small[lost]!));
      const second = await build(context, [from, to]);
      expect(second.err).toMatch(/Cannot use what has layer sha256:\w+ of cache .*mended/);
      expect(second.files).toEqual(expect.arrayContaining(['/one', '/two']));
      const third = await build(context, [from]);
      expect(stepsOf(third).ran).toEqual([]);
      expect(third.err).not.toMatch(/WARN|warning/i);
    },
  );

  test('is kept within a size, and keeps what was used last', async () => {
    const { bench } = use;
    const file = (size: number): string => Buffer.alloc(size, Math.random().toString()).toString('base64');
    const to = '--cache-to=type=local,dest=small,compression=uncompressed,max-size=6m';
    let last = '';
    for (let at = 0; at < 5; at++) {
      last = bench.context('FROM base:1\nCOPY big /big\n', { big: file(1_500_000) });
      await build(last, [to]);
      // What is younger than ten minutes is not taken away: somebody may be about to name it.
      for (const name of readdirSync(bench.path('small'), { recursive: true, encoding: 'utf8' })) {
        const path = bench.path(join('small', name));
        const { mtimeMs } = statSync(path);
        utimesSync(path, mtimeMs / 1000 - 3600, mtimeMs / 1000 - 3600);
      }
    }
    const bytes = readdirSync(bench.path('small'), { recursive: true, encoding: 'utf8' })
      .map((name) => statSync(bench.path(join('small', name))))
      .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
    expect(bytes).toBeLessThan(6.5e6);
    expect(stepsOf(await build(last, ['--cache-from=type=local,src=small'])).ran).toEqual([]);
  });
});
