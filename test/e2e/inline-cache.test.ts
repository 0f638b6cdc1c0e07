import { createHash } from 'node:crypto';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Outcome, RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive } from '../support/tree.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

const DOCKERFILE = `FROM base:1 AS deps
COPY deps.txt /deps.txt
RUN cp /deps.txt /installed && cat /proc/sys/kernel/random/uuid > /stamp-deps

FROM base:1
COPY --from=deps /installed /stamp-deps /
COPY --link linked.txt /linked
COPY late.txt /late
RUN cat /late /proc/sys/kernel/random/uuid > /stamp-last
ENV A=1
`;
const FILES = { 'deps.txt': 'a', 'linked.txt': 'b', 'late.txt': 'c' };
const ALL_STEPS = 7;
const KEY = 'moby.buildkit.cache.v0';

/** No worker can be started with this: whatever needs to run a step or unpack a layer fails. */
const NO_WORKER = { TSBUILD_HELPER: '/nonexistent' };

type Document = Record<string, unknown>;

describeAsUser('a cache within an image', (who) => {
  const use = useBench(who, { base: false });
  const held = useWatchedRegistry();
  let count = 0;

  /** A store with nothing but the base image: that of another machine. */
  async function newStore(): Promise<string> {
    const store = use.bench.path(`store-${count++}`);
    await use.bench.makeStore(store);
    return store;
  }
  const newName = (): string => `${held.watched.host}/team/app${count++}`;
  const build = (store: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
    use.bench.ok(['build', '--progress=plain', ...args], { store, ...options });
  const skopeo = (...args: string[]): Promise<string> => use.bench.tool(['skopeo', ...args]);
  const inspect = async (...args: string[]): Promise<Document> =>
    JSON.parse(await skopeo('inspect', '--tls-verify=false', ...args)) as Document;
  /** Layers that came out of the registry; the config of an image is a blob too. */
  const fetchedLayers = async (name: string): Promise<readonly string[]> => {
    const urls = held.watched.requests.filter(({ method, url }) => method === 'GET' && url.includes('/blobs/'));
    const { layers } = (await inspect('--raw', `docker://${name}`)) as { layers: { digest: string }[] };
    return urls.map(({ url }) => url).filter((url) => layers.some(({ digest }) => url.includes(digest)));
  };

  test('that was pushed gives another machine every step, without a byte of a layer when it only pushes', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const name = newName();
    const first = await build(await newStore(), ['--cache-to=type=inline', '--push', '-t', `${name}:1`, context]);
    expect(stepsOf(first).ran).toHaveLength(ALL_STEPS);
    expect(await inspect('--config', '--raw', `docker://${name}:1`)).toHaveProperty([KEY]);
    const store = await newStore();
    held.watched.requests.length = 0;
    const args = [`--cache-from=type=registry,ref=${name}:1`, '--cache-to=type=inline', '--push', '-t', `${name}:2`];
    const second = await build(store, [...args, context], { env: NO_WORKER });
    expect(stepsOf(second)).toEqual({ ran: [], cached: stepsOf(first).ran });
    expect(second.err).not.toMatch(/warning|Cannot/i);
    expect(second.err).toMatch(/neither fetched nor sent: 4 layers of base images and caches/);
    expect(await fetchedLayers(`${name}:1`)).toEqual([]);
    // What it wrote has the cache too, and is the same image: nothing in it is about the machine or the time.
    const [one, two] = await Promise.all(['1', '2'].map((tag) => inspect(`docker://${name}:${tag}`)));
    expect(two!['Digest']).toBe(one!['Digest']);
    // A plain reference does as well; what the output needs comes then.
    const third = await build(await newStore(), [`--cache-from=${name}:2`, '-o', 'type=oci,dest=-', context], {
      env: NO_WORKER,
    });
    expect(stepsOf(third).ran).toEqual([]);
    const { tree } = await readOciArchive(third.stdout);
    expect(tree['/late']?.content).toBe('c');
    const run = ['run', '--network=none', `${name}:1`, 'cat', '/stamp-last'];
    const ran = await use.bench.ok(run, { store: use.bench.path(`store-${count++}`) });
    expect(tree['/stamp-last']?.content).toBe(ran.out);
    expect(await use.bench.damage(store)).toEqual([]);
  });

  test('that does not have a changed file runs only what depends on it', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const name = newName();
    await build(await newStore(), ['--cache-to=type=inline', '--push', '-t', name, context]);
    writeFileSync(join(context, 'late.txt'), 'changed');
    const built = await build(await newStore(), [`--cache-from=${name}`, '-o', 'type=cacheonly', context]);
    expect(stepsOf(built).ran).toEqual([
      'COPY late.txt /late',
      'RUN cat /late /proc/sys/kernel/random/uuid > /stamp-last',
    ]);
    expect(stepsOf(built).cached).toHaveLength(ALL_STEPS - 2);
    // Layers of a stage that are not in the image are nowhere: what reads them anew has to be built.
    writeFileSync(join(context, 'Dockerfile'), DOCKERFILE.replace('/installed /stamp-deps', '/stamp-deps'));
    const other = await build(await newStore(), [`--cache-from=${name}`, '-o', 'type=cacheonly', context]);
    expect(stepsOf(other).ran).toContain('COPY deps.txt /deps.txt');
  });

  test('changes the image, and is in it only where that was asked for, by option or build argument', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const store = await newStore();
    const digests: string[] = [];
    for (const args of [[], ['--cache-to=type=inline'], ['--build-arg=BUILDKIT_INLINE_CACHE=1'], ['--build-arg=BUILDKIT_INLINE_CACHE=0']]) {
      const built = await build(store, [...args, '-o', 'type=oci,dest=-', context]);
      expect(built.err).not.toMatch(/not consumed|Cannot/i);
      const { digest, config } = await readOciArchive(built.stdout);
      digests.push(digest);
      expect(KEY in config).toBe(args.some((arg) => /inline$|=1$/.test(arg)));
    }
    const [without, option, argument, off] = digests;
    expect([argument, off]).toEqual([option, without]);
    expect(option).not.toBe(without);
    // What is built on such an image does not have that image's cache.
    await build(store, ['--cache-to=type=inline', '-t', 'web:1', context]);
    const onTop = await build(store, ['-o', 'type=oci,dest=-', use.bench.context('FROM web:1\nLABEL a=b\n')]);
    expect((await readOciArchive(onTop.stdout)).config).not.toHaveProperty([KEY]);
  }); // oxfmt-ignore

  test('is in docker archives and stored images, and read from the local image store and from layouts', async () => {
    const context = use.bench.context(DOCKERFILE, FILES);
    const first = await newStore();
    const outputs = ['-o', 'type=docker,dest=web.tar,name=web:1', '-o', 'type=oci,dest=layout,tar=false,name=web:latest'];
    await build(first, ['--cache-to=type=inline', ...outputs, context]);
    const store = await newStore();
    await use.bench.ok(['import', 'web.tar', '-t', 'web:1'], { store });
    const options = { env: NO_WORKER };
    for (const [from, where] of [['web:1', store], ['type=registry,ref=web:1', store], ['type=local,src=layout', await newStore()]] as const) {
      const built = await build(where, [`--cache-from=${from}`, '-o', 'type=cacheonly', context], options);
      expect([from, stepsOf(built).ran, stepsOf(built).cached.length]).toEqual([from, [], ALL_STEPS]);
      expect(built.err).not.toMatch(/warning|Cannot/i);
    }
  }); // oxfmt-ignore

  test('is there for each platform of an index', async () => {
    const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /file\nCOPY late.txt /late\n';
    const context = use.bench.context(dockerfile, { amd64: 'amd64', arm64: 'arm64', 'late.txt': '1' });
    const name = newName();
    const both = '--platform=linux/amd64,linux/arm64';
    await build(await newStore(), [both, '--cache-to=type=inline', '--push', '-t', name, context]);
    for (const platform of [both, '--platform=linux/arm64', '--platform=linux/amd64']) {
      const built = await build(await newStore(), [platform, `--cache-from=${name}`, '-o', 'type=cacheonly', context]);
      expect([platform, stepsOf(built).ran]).toEqual([platform, []]);
      expect(stepsOf(built).cached.length).toBeGreaterThan(0);
    }
    // A changed file leaves what is below it, on both.
    writeFileSync(join(context, 'late.txt'), '2');
    const changed = await build(await newStore(), [both, `--cache-from=${name}`, '-o', 'type=cacheonly', context]);
    expect(stepsOf(changed).ran).toHaveLength(2);
    expect(stepsOf(changed).cached).toHaveLength(2);
  });

  test.each<[string, (config: Document) => void, RegExp]>([
    ['is not base64', (config) => (config[KEY] = '*'), /it is not base64/],
    ['is no JSON', (config) => (config[KEY] = Buffer.from('{').toString('base64')), /Cannot use cache in the config/],
    ['names layers that the image lacks', (config) => change(config, (one) => (one['layers'] = [{ layer: 99 }])), /is not a number from 0 to/],
    ['has a record of itself', (config) => change(config, (one) => (one['inputs'] = [[{ link: 0 }]])), /made from itself/],
    ['is not there', (config) => delete config[KEY], /not a build cache, and no image with one in it/],
    ['is another than the digest says', (config) => (config['author'] = 'me'), /digest|sha256/],
  ])('that %s is a warning and a miss (CAC-09, CAC-10)', async (what, edit, message) => {
    const context = use.bench.context('FROM base:1\nRUN echo one > /one\n');
    const dir = `forged-${count++}`;
    if (!existsSync(use.bench.path('sound'))) {
      const output = 'type=oci,dest=sound,tar=false,name=web:latest';
      await build(await newStore(), ['--cache-to=type=inline', '-o', output, context]);
    }
    cpSync(use.bench.path('sound'), use.bench.path(dir), { recursive: true });
    forge(use.bench.path(dir), edit, !what.includes('digest'));
    const built = await build(await newStore(), [`--cache-from=type=local,src=${dir}`, '-o', 'type=oci,dest=-', context]);
    expect(built.err).toMatch(/Cannot import cache/);
    expect(built.err).toMatch(message);
    expect(stepsOf(built).ran).toHaveLength(1);
    expect((await readOciArchive(built.stdout)).tree['/one']?.content).toBe('one\n');
  }); // oxfmt-ignore

  test('whose layers are gone when they are to be pushed is done without (CAC-09)', async () => {
    const context = use.bench.context('FROM base:1\nRUN echo one > /one\n');
    const [from, to] = [newName(), newName()];
    await build(await newStore(), ['--cache-to=type=inline', '--push', '-t', from, context]);
    const { layers } = (await inspect('--raw', `docker://${from}`)) as { layers: { digest: string }[] };
    const top = layers.at(-1)!.digest;
    // Neither to be fetched nor to be mounted.
    held.watched.refuse = ({ method, url }) => {
      if (method === 'GET' && url.includes(top)) return 404;
      return url.includes('mount=') ? 404 : undefined;
    };
    const args = [`--cache-from=${from}`, '--push', '-t', to, context];
    const built = await build(await newStore(), args);
    expect(built.err).toMatch(/Cannot use cache from .* any more, building without it/);
    expect(stepsOf(built).ran).toEqual(['RUN echo one > /one']);
    held.watched.refuse = () => undefined;
    const run = ['run', '--network=none', to, 'cat', '/one'];
    expect((await use.bench.ok(run, { store: use.bench.path(`store-${count++}`) })).out).toBe('one\n');
  });

  test('that nothing can carry, or of which more is asked than it can be, is told of', async () => {
    const context = use.bench.context('FROM scratch\nCOPY one /one\n', { one: '1' });
    const built = await build(await newStore(), ['--cache-to=type=inline,mode=max', '-o', 'type=local,dest=files', context]);
    expect(built.err).toMatch(/Cannot put the cache into the image: no output has an image/);
    expect(built.err).toMatch(/mode=max of type=inline is mode=min/);
    const nothing = use.bench.context('FROM base:1\nENV A=1\n');
    const empty = await build(await newStore(), ['--cache-to=type=inline', '-o', 'type=oci,dest=-', nothing]);
    expect(empty.err).toMatch(/no step of it has a key/);
    expect((await readOciArchive(empty.stdout)).config).not.toHaveProperty([KEY]);
  }); // oxfmt-ignore

  test('of a stored image without one is looked for in its registry', async () => {
    const context = use.bench.context('FROM base:1\nRUN echo one > /one\n');
    const name = newName();
    await build(await newStore(), ['--cache-to=type=inline', '--push', '-t', name, context]);
    const store = await newStore();
    await build(store, ['-t', name, use.bench.context('FROM base:1\nLABEL other=image\n')]);
    const built = await build(store, [`--cache-from=${name}`, '-o', 'type=cacheonly', context], { env: NO_WORKER });
    expect(stepsOf(built).cached).toEqual(['RUN echo one > /one']);
  });
});

/** Changes the first record. */
function change(config: Document, edit: (record: Document) => void): void {
  const records = JSON.parse(Buffer.from(config[KEY] as string, 'base64').toString()) as Document[];
  edit(records[0]!);
  config[KEY] = Buffer.from(JSON.stringify(records)).toString('base64');
}

/** Changes the config of the image in a layout, with all digests right or under the old one. */
function forge(dir: string, edit: (config: Document) => void, isSound: boolean): void {
  const blobs = join(dir, 'blobs/sha256');
  type Named = { digest: string; size: number };
  const read = (digest: string): Document =>
    JSON.parse(readFileSync(join(blobs, digest.slice(7))).toString()) as Document;
  const put = (value: unknown, as?: string): Named => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = as ?? `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    writeFileSync(join(blobs, digest.slice(7)), bytes);
    return { digest, size: bytes.length };
  };
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as { manifests: [Named] };
  const manifest = read(index.manifests[0].digest) as { config: Named };
  const config = read(manifest.config.digest);
  edit(config);
  Object.assign(manifest.config, put(config, isSound ? undefined : manifest.config.digest));
  Object.assign(index.manifests[0], put(manifest));
  writeFileSync(join(dir, 'index.json'), JSON.stringify(index));
}
