import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Outcome, RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { ALLOW_GATE, startGate } from '../support/gate.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { startScriptedRegistry } from '../support/registry-script.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive } from '../support/tree.ts';

const DOCKERFILE = `FROM base:1 AS deps
COPY deps.txt /deps.txt
RUN cp /deps.txt /installed && cat /proc/sys/kernel/random/uuid > /stamp-deps

FROM base:1 AS normal
COPY src /src
RUN cat /src/* | tr -d ' \\n' > /normal

FROM base:1
COPY --from=deps /installed /stamp-deps /
COPY --link --from=normal /normal /linked
RUN cat /proc/sys/kernel/random/uuid > /stamp-last
`;
const FILES = { 'deps.txt': 'a', 'src/one': 'one\n' };

/** No worker can be started with this: whatever needs to run a step or unpack a layer fails. */
const NO_WORKER = { TSBUILD_HELPER: '/nonexistent' };

interface Built extends Outcome {
  readonly image: string;
  /** Contents by path. */
  readonly files: Readonly<Record<string, string>>;
}

describeAsUser('a cache beside the store', (who) => {
  const use = useBench(who, { base: false });
  let registry: TestRegistry;
  let count = 0;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
  });

  const newStore = (): Promise<string> => use.bench.otherStore();

  async function build(
    context: string,
    store: string,
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<Built> {
    const all = ['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context];
    const outcome = await use.bench.ok(all, { store, ...options });
    const { digest, tree } = await readOciArchive(outcome.stdout);
    const files = Object.fromEntries(Object.entries(tree).map(([path, { content }]) => [path, content]));
    return { ...outcome, image: digest, files };
  }

  /** Options that write a cache and read it, in a new place each. */
  const places: Readonly<Record<string, () => { readonly to: string; readonly from: string }>> = {
    'a registry': () => {
      const ref = `${registry.host}/cache/app${count++}:main`;
      return { to: `--cache-to=type=registry,ref=${ref}`, from: `--cache-from=${ref}` };
    },
    'a directory': () => {
      const dir = `cache-${count++}`;
      return { to: `--cache-to=type=local,dest=${dir}`, from: `--cache-from=type=local,src=${dir}` };
    },
    "a registry in BuildKit's form": () => {
      const ref = `${registry.host}/cache/app${count++}:main`;
      return { to: `--cache-to=type=buildkit,ref=${ref}`, from: `--cache-from=${ref}` };
    },
    "a directory in BuildKit's form": () => {
      const dir = `cache-${count++}`;
      return { to: `--cache-to=type=buildkit,dest=${dir}`, from: `--cache-from=type=local,src=${dir}` };
    },
  };

  for (const [name, place] of Object.entries(places)) {
    test(`in ${name} gives another store everything that a build made`, async () => {
      const { to, from } = place();
      const context = use.bench.context(DOCKERFILE, FILES);
      const first = await build(context, await newStore(), [`${to},mode=max`]);
      expect(stepsOf(first).ran).toHaveLength(8);
      const store = await newStore();
      const second = await build(context, store, [from], { env: NO_WORKER });
      expect(stepsOf(second)).toEqual({ ran: [], cached: stepsOf(first).ran });
      expect(second.err).toMatch(/fetching layers of imported caches[^]* sha256:\w+ .*done/);
      expect(second.image).toBe(first.image);
      expect(second.files).toEqual(first.files);
      // What was used is in the store from then on.
      const third = await build(context, store, [], { env: NO_WORKER });
      expect(third.image).toBe(first.image);
      expect(await use.bench.damage(store)).toEqual([]);
      expect(await use.bench.leftovers()).toEqual([]);
    });

    test(`in ${name} has the steps of all stages with mode=max, else those of the result`, async () => {
      const context = use.bench.context(DOCKERFILE, FILES);
      const [min, max] = [place(), place()];
      const first = await build(context, await newStore(), [min.to, `${max.to},mode=max`]);
      writeFileSync(join(context, 'src/one'), 'another\n');
      const withMax = await build(context, await newStore(), [max.from]);
      expect(withMax.files['/stamp-deps']).toBe(first.files['/stamp-deps']);
      expect(stepsOf(withMax).cached).toHaveLength(3);
      const withMin = await build(context, await newStore(), [min.from]);
      // The keys of stage "deps" lead to what the result has of it; nothing of stage "normal" can be used.
      expect(withMin.files['/stamp-deps']).toBe(first.files['/stamp-deps']);
      expect(withMin.files['/linked']).toBe('another');
      const inDeps = use.bench.context(DOCKERFILE.replace('&& cat', '; cat'), FILES);
      expect(stepsOf(await build(inDeps, await newStore(), [min.from])).ran).toContain('COPY deps.txt /deps.txt');
      expect(stepsOf(await build(inDeps, await newStore(), [max.from])).ran).not.toContain('COPY deps.txt /deps.txt');
    });

    test(`in ${name} stays whole when builds in new stores read and write it`, async () => {
      const { to, from } = place();
      const context = use.bench.context(DOCKERFILE, FILES);
      const args = [from, `${to},mode=max`];
      const first = await build(context, await newStore(), args);
      // There is none the first time.
      expect(/Cannot import cache|it has nothing yet/.test(first.err)).toBe(true);
      await build(context, await newStore(), args);
      writeFileSync(join(context, 'src/one'), 'another\n');
      const third = await build(context, await newStore(), args);
      expect(stepsOf(third).cached).toHaveLength(3);
      expect(third.files['/stamp-deps']).toBe(first.files['/stamp-deps']);
    });
  }

  test('can be an index of zstd blobs with a tag', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const form = 'mode=max,compression=zstd,image-manifest=false,tag=other';
    const first = await build(context, await newStore(), [`--cache-to=type=buildkit,dest=forms,${form}`]);
    const second = await build(context, await newStore(), ['--cache-from=type=local,src=forms,tag=other']);
    expect(stepsOf(second).ran).toEqual([]);
    expect(second.files).toEqual(first.files);
    const missing = await build(context, await newStore(), ['--cache-from=type=local,src=forms']);
    expect(stepsOf(missing).cached).toEqual([]);
    expect(missing.err).toMatch(/Cannot import cache .*latest/);
  });

  test('a step that did not change is not transferred, one that reads it is', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN head -c 3000000 /dev/urandom > /big\nRUN echo last > /last\n');
    await build(context, await newStore(), ['--cache-to=type=local,dest=lazy']);
    const store = await newStore();
    const before = storedBytes(store);
    const args = ['build', '-o', 'type=cacheonly', '--cache-from=type=local,src=lazy', context];
    const cached = await bench.ok([...args, '--progress=plain'], { store, env: NO_WORKER });
    expect(stepsOf(cached).ran).toEqual([]);
    expect(storedBytes(store) - before).toBeLessThan(1_000_000);
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM base:1\nRUN head -c 3000000 /dev/urandom > /big\nRUN wc -c /big\n',
    );
    const used = await bench.ok([...args, '--progress=plain'], { store });
    expect(used.err).toContain('3000000 /big');
    expect(storedBytes(store) - before).toBeGreaterThan(3_000_000);
  });

  test('layers that the registry has are not sent again, not even fetched', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const ref = `${registry.host}/cache/same`;
    await build(context, await newStore(), [`--cache-to=type=registry,ref=${ref},mode=max`]);
    const store = await newStore();
    const before = storedBytes(store);
    const args = ['-o', 'type=cacheonly', `--cache-from=${ref}`, `--cache-to=type=registry,ref=${ref}-2:x,mode=max`];
    const outcome = await use.bench.ok(['build', '--progress=plain', ...args, context], { store, env: NO_WORKER });
    expect(outcome.err).toMatch(/wrote \d+ records, kept 0, sent 0 layers/);
    expect(outcome.err).not.toContain('Cannot');
    // Only the base image, which is not a registry's, had to be there.
    expect(storedBytes(store) - before).toBeLessThan(1000);
    expect((await build(context, await newStore(), [`--cache-from=${ref}-2:x`], { env: NO_WORKER })).code).toBe(0);
  });

  test('that is damaged is warned of, and what it had is built (CAC-09, REL-22)', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, FILES);
    const first = await build(context, await newStore(), ['--cache-to=type=buildkit,dest=damaged,mode=max']);
    const dir = bench.path('damaged/blobs/sha256');
    for (const name of readdirSync(dir)) {
      const bytes = readFileSync(join(dir, name));
      // Layers, not documents.
      if (bytes[0] === 0x1f) writeFileSync(join(dir, name), Buffer.alloc(bytes.length));
    }
    const store = await newStore();
    const second = await build(context, store, ['--cache-from=type=local,src=damaged']);
    expect(second.err).toMatch(/Cannot use cache from .*damaged any more.*digest/);
    expect(stepsOf(second).ran).toHaveLength(8);
    expect(second.files['/linked']).toBe(first.files['/linked']);
    expect(second.files['/stamp-last']).not.toBe(first.files['/stamp-last']);
    expect(await bench.damage(store)).toEqual([]);
    const third = await build(context, store, [], { env: NO_WORKER });
    expect(third.image).toBe(second.image);
  });

  test('that lost its layers after a step began to need them is done without (CAC-09)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\nRUN cat /one > /two\n');
    await build(context, await newStore(), ['--cache-to=type=buildkit,dest=lost,mode=max']);
    const dir = bench.path('lost/blobs/sha256');
    for (const name of readdirSync(dir))
      if (readFileSync(join(dir, name))[0] === 0x1f) writeFileSync(join(dir, name), '');
    writeFileSync(join(context, 'Dockerfile'), 'FROM base:1\nRUN echo one > /one\nRUN cat /one > /three\n');
    const built = await build(context, await newStore(), ['--cache-from=type=local,src=lost']);
    expect(built.files['/three']).toBe('one\n');
    expect(built.err).toContain('any more, building without it');
  });

  test('that lies about the content of a layer is done without (CAC-09)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const first = await build(context, await newStore(), ['--cache-to=type=buildkit,dest=lying']);
    forge(bench.path('lying'), (config) => {
      for (const { annotations } of config.layers)
        if (annotations['fromImage'] !== true) annotations['diffID'] = `sha256:${'1'.repeat(64)}`;
    });
    const store = await newStore();
    const second = await build(context, store, ['--cache-from=type=local,src=lying']);
    expect(second.err).toMatch(/its content is not sha256:1111/);
    expect(second.files).toEqual(first.files);
    expect(stepsOf(second).ran).toHaveLength(1);
  });

  test.each<[string, (config: Config) => void, RegExp]>([
    ['a cycle', ({ layers }) => layers.forEach((layer) => (layer.parent = 0)), /stands on itself/],
    [
      'a record of itself',
      ({ records }) => records.forEach((one) => (one.inputs = [[{ link: 0 }]])),
      /made from itself/,
    ],
    ['more than anybody needs', (config) => (config.padding = 'x'.repeat(9 << 20)), /more than the limit/],
    ['nonsense', (config) => (config.layers = 'x' as never), /not a list/],
  ])('of somebody else that has %s is warned of (CAC-09, CAC-10)', async (_, change, message) => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const dir = `hostile-${count++}`;
    await build(context, await newStore(), [`--cache-to=type=buildkit,dest=${dir}`]);
    forge(bench.path(dir), change);
    const built = await build(context, await newStore(), [`--cache-from=type=local,src=${dir}`]);
    expect(built.err).toMatch(/Cannot import cache/);
    expect(built.err).toMatch(message);
    expect(stepsOf(built).ran).toHaveLength(1);
  });

  test('that is an image, or nowhere, is warned of (CAC-09, REL-22)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const store = await newStore();
    await bench.ok(['build', '-o', 'type=oci,dest=image,tar=false,name=x:latest', context], { store });
    const args = [
      '--cache-from=type=local,src=image',
      '--cache-from=127.0.0.1:1/no/where',
      '--cache-from=type=buildkit,src=none',
    ];
    const { err } = await build(context, store, args);
    expect(err).toContain('is not a build cache');
    expect(err.match(/Cannot import cache/g)?.length).toBeGreaterThanOrEqual(3);
  });

  test('that hangs is done without when its time is up (REL-22)', async () => {
    const { bench } = use;
    await using silent = await startScriptedRegistry();
    silent.on('/v2/cache/manifests/latest', () => {});
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const env = { TSBUILD_CACHE_IMPORT_TIMEOUT: '1' };
    const built = await build(context, await newStore(), [`--cache-from=${silent.host}/cache`], { env });
    expect(built.err).toMatch(/Cannot import cache from .*: it did not come within 1 seconds/);
    expect(built.files['/one']).toBe('one\n');
    const wrong = { TSBUILD_CACHE_IMPORT_TIMEOUT: 'soon' };
    const refused = await bench.tsbuild(['build', context], { env: wrong });
    expect(refused.err).toContain('expected a number of seconds');
  });

  test('that cannot be written is a warning when the result is out, or a failure where that is wanted (REL-22)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const store = await newStore();
    const to = '--cache-to=type=registry,ref=127.0.0.1:1/no/where';
    const tried = await build(context, store, [to]);
    expect(tried.err).toContain('Cannot export cache to 127.0.0.1:1/no/where');
    const failed = await bench.tsbuild(
      [
        'build',
        '--progress=plain',
        '-o',
        'type=oci,dest=out.tar',
        '--iidfile=iid',
        `${to},ignore-error=false`,
        context,
      ],
      { store },
    );
    expect(failed.code).toBe(1);
    expect(failed.err).toContain('Cannot export cache to 127.0.0.1:1/no/where');
    expect((await readOciArchive(bench.path('out.tar'))).digest).toBe(tried.image);
    expect(readFileSync(bench.path('iid'), 'utf8')).toMatch(/^sha256:/);
  });

  test('credentials come from the auth file and are never shown', async () => {
    const { bench } = use;
    await using scripted = await startScriptedRegistry();
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    const auth = Buffer.from('me:open-sesame').toString('base64');
    bench.write('.', { 'auth.json': JSON.stringify({ auths: { [scripted.host]: { auth } } }) });
    const challenge = { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
    scripted.on('/v2/some/cache/manifests/latest', challenge, { status: 403 });
    const { err } = await build(context, await newStore(), [`--cache-from=${scripted.host}/some/cache`], {
      env: { REGISTRY_AUTH_FILE: bench.path('auth.json') },
    });
    expect(scripted.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, `Basic ${auth}`]);
    expect(err).toContain('Cannot import cache');
    expect(err).not.toContain('sesame');
    expect(err).not.toContain(auth);
  });

  test('is read by other tools as an artifact', async () => {
    const context = use.bench.context('FROM base:1\nRUN echo one > /one\n');
    await build(context, await newStore(), [`--cache-to=type=buildkit,ref=${registry.host}/cache/tools`]);
    const text = await use.bench.tool(
      ['skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/cache/tools`],
      { asSelf: true },
    );
    expect(JSON.parse(text)).toMatchObject({
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.buildkit.cacheconfig.v0' },
      layers: [{ size: expect.any(Number) as number }, {}],
    });
  });

  test('a name that somebody else writes during the build is told of, and one that nobody writes is not', async () => {
    const { bench } = use;
    const ref = `${registry.host}/race:cache`;
    await using gate = await startGate();
    const slow = bench.context(`FROM base:1\nRUN --network=host ${gate.command}\n`);
    const other = bench.context('FROM base:1\nRUN echo other\n');
    const to = [ALLOW_GATE, '--progress=plain', '--cache-to', `type=buildkit,ref=${ref}`];
    const [first, second] = [await newStore(), await newStore()];
    const building = bench.tsbuildStart(['build', ...to, slow], { store: first });
    await gate.reached;
    const alone = await bench.ok(['build', ...to, other], { store: second });
    expect(alone.err).not.toMatch(/somebody else/);
    gate.open();
    const { code, err } = await building.ended;
    expect(code).toBe(0);
    expect(err).toMatch(new RegExp(`The cache ${ref} was written by somebody else during this build`));
    // What is there is one's own by now.
    expect((await bench.ok(['build', ...to, '--no-cache', slow], { store: first })).err).not.toMatch(/somebody else/);
  });
});

interface Config {
  layers: { parent: number; annotations: Record<string, unknown> }[];
  records: { inputs: { link: number }[][] }[];
  padding?: string;
}

/** Changes the config of the cache in a layout, with all digests right. */
function forge(dir: string, change: (config: Config) => void): void {
  const read = (digest: string): Buffer => readFileSync(join(dir, 'blobs/sha256', digest.slice(7)));
  const put = (value: unknown): { digest: string; size: number } => {
    const bytes = Buffer.from(JSON.stringify(value));
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(dir, 'blobs/sha256', hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  type Named = { digest: string };
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as { manifests: [Named] };
  const manifest = JSON.parse(read(index.manifests[0].digest).toString()) as { config: Named };
  const config = JSON.parse(read(manifest.config.digest).toString()) as Config;
  change(config);
  Object.assign(manifest.config, put(config));
  Object.assign(index.manifests[0], put(manifest));
  writeFileSync(join(dir, 'index.json'), JSON.stringify(index));
}

function storedBytes(store: string): number {
  const blobs = join(store, 'blobs/sha256');
  return readdirSync(blobs).reduce((sum, name) => sum + statSync(join(blobs, name)).size, 0);
}
