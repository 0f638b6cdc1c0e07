import { linkSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bench, Outcome, RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { baseImageTar } from '../support/base-image.ts';
import { isRecalled } from '../support/recalled.ts';
import { stepsOf as steps } from '../support/steps.ts';
import { type ArchivedImage, readOciArchive } from '../support/tree.ts';

/** No worker can be started with this: a build that needs none succeeds. */
const NO_WORKER = { env: { TSBUILD_HELPER: '/nonexistent' } };

const DOCKERFILE = `FROM base:1 AS deps
COPY deps.txt /deps.txt
RUN cp /deps.txt /installed && cat /proc/sys/kernel/random/uuid > /stamp-deps

FROM base:1 AS normal
COPY src /src
RUN cat /src/* | tr -d ' \\n' > /normal

FROM base:1
COPY --from=deps /installed /stamp-deps /
COPY --from=normal /normal /normal
RUN cat /proc/sys/kernel/random/uuid > /stamp-last
`;

interface Built extends Outcome {
  readonly image: string;
  /** Contents by path. */
  readonly files: Readonly<Record<string, string>>;
}

async function build(
  bench: Bench,
  context: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Built> {
  const outcome = await bench.ok(['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context], options);
  const { digest, tree } = await readOciArchive(outcome.stdout);
  const files = Object.fromEntries(Object.entries(tree).map(([path, { content }]) => [path, content]));
  return { ...outcome, image: digest, files };
}

describeAsUser('a build from the cache', (who) => {
  const use = useBench(who);

  test('needs no worker and gives the same digest', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { 'deps.txt': 'a', 'src/one': 'one\n', 'src/two': 'two\n' });
    const first = await build(bench, context);
    expect(steps(first).ran).toHaveLength(7);
    const second = await build(bench, context, [], NO_WORKER);
    expect(steps(second)).toEqual({ ran: [], cached: steps(first).ran });
    expect(second.image).toBe(first.image);
    const touched = join(context, 'deps.txt');
    utimesSync(touched, 1, 1);
    expect((await build(bench, context, [], NO_WORKER)).image).toBe(first.image);
  });

  test('runs again only what a changed file reaches', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { 'deps.txt': 'b', 'src/one': 'one\n', 'src/two': 'two\n' });
    const first = await build(bench, context);
    writeFileSync(join(context, 'src/one'), 'other\n');
    const second = await build(bench, context);
    expect(steps(second).cached).toEqual(
      [
        'COPY deps.txt /deps.txt',
        'COPY --from=deps /installed /stamp-deps /',
        expect.stringContaining('RUN cp') as string,
      ].toSorted(),
    );
    expect(second.files['/stamp-deps']).toBe(first.files['/stamp-deps']);
    expect(second.files['/stamp-last']).not.toBe(first.files['/stamp-last']);
    expect(second.image).not.toBe(first.image);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('stops early when a step that ran again gives the same files', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { 'deps.txt': 'c', 'src/one': 'one\n', 'src/two': 'two\n' });
    const first = await build(bench, context);
    writeFileSync(join(context, 'src/one'), ' o n e \n\n');
    const second = await build(bench, context);
    expect(steps(second).ran).toEqual(['COPY src /src', expect.stringContaining('RUN cat') as string]);
    expect(second.image).toBe(first.image);
  });

  test('--no-cache runs everything, --no-cache-filter one stage', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { 'deps.txt': 'd', 'src/one': 'one\n' });
    const first = await build(bench, context);
    const all = await build(bench, context, ['--no-cache']);
    expect(steps(all).cached).toEqual([]);
    expect(all.image).not.toBe(first.image);
    const some = steps(await build(bench, context, ['--no-cache-filter=normal']));
    expect(some.ran).toEqual(['COPY src /src', expect.stringContaining('RUN cat') as string]);
  });

  test('sees every kind of change in the context, and none where there is none', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY . /\n', {
      file: 'x',
      'dir/sub': 'y',
      link: { link: 'file' },
      empty: null,
    });
    const seen = new Set([(await build(bench, context)).image]);
    const changed = async (change: () => void): Promise<boolean> => {
      change();
      const { image } = await build(bench, context);
      const isNew = !seen.has(image);
      seen.add(image);
      return isNew;
    };
    expect(await changed(() => bench.write('.', {}))).toBe(false);
    expect(await changed(() => void bench.write(context.slice(bench.dir.length), { file: 'z' }))).toBe(true);
    expect(
      await changed(() => void bench.write(context.slice(bench.dir.length), { file: { text: 'z', mode: 0o755 } })),
    ).toBe(true);
    expect(await changed(() => void bench.write(context.slice(bench.dir.length), { 'empty/new': '' }))).toBe(true);
    // As it was before.
    expect(await changed(() => rmSync(join(context, 'empty/new')))).toBe(false);
    expect(await changed(() => rmSync(join(context, 'link')))).toBe(true);
  });

  test('a build that was remembered shows and gives what it did, until anything it looked at changes', async () => {
    const { bench } = use;
    const files = { 'src/one': 'one\n', 'src/two': 'two\n', '.dockerignore': 'ignored\n', ignored: '' };
    const context = bench.context(
      'FROM base:1\nARG WHO=me\nRUN echo $WHO > /who && cat /proc/sys/kernel/random/uuid > /stamp\nCOPY . /app\nEnv A=b\n',
      files,
    );
    const into = context.slice(bench.dir.length + 1);
    const typed = ['build', '--progress=plain', '-t', 'remembered:1', '--metadata-file', bench.path('metadata.json')];
    const run = async (args: readonly string[] = [], env: Record<string, string> = {}): Promise<Outcome> =>
      bench.ok([...typed, ...args, context], { env });
    const result = (): string => readFileSync(bench.path('metadata.json'), 'utf8');
    const withoutTimes = (text: string): string => text.replaceAll(/\b\d+\.\ds/g, '_s');
    const served = (work: () => Promise<unknown>): Promise<boolean> => isRecalled(bench, work);

    expect(steps(await run()).ran).toHaveLength(2);
    const second = await run();
    expect(steps(second)).toEqual({ ran: [], cached: ['COPY . /app', expect.stringContaining('RUN echo') as string] });
    const metadata = result();
    let third: Outcome | undefined;
    expect(await served(async () => void (third = await run()))).toBe(true);
    expect(withoutTimes(third?.err ?? '')).toBe(withoutTimes(second.err));
    expect(third?.err).toContain('ConsistentInstructionCasing');
    expect(result()).toBe(metadata);
    expect(await served(() => run(['-q']))).toBe(true);
    expect((await run(['-q'])).out).toBe((await bench.ok(['images', '-q', 'remembered'])).out);

    // What is ignored does not count; all else does, and the cache decides as it always did.
    const changes: readonly [string, () => unknown, readonly string[]][] = [
      ['a file', () => bench.write(into, { 'src/one': 'ONE\n' }), ['COPY . /app']],
      ['a new file', () => bench.write(into, { 'src/three': '' }), ['COPY . /app']],
      ['the ignore file', () => bench.write(into, { '.dockerignore': 'src/two\n' }), ['COPY . /app']],
      ['no ignore file', () => rmSync(join(context, '.dockerignore')), ['COPY . /app']],
      [
        'the Dockerfile',
        () => bench.write(into, { Dockerfile: `${readFileSync(join(context, 'Dockerfile'), 'utf8')}RUN true\n` }),
        ['COPY . /app', 'RUN true'],
      ],
    ];
    for (const [what, change, ran] of changes) {
      change();
      expect(steps(await run()).ran, what).toEqual(ran);
      await run();
      expect(await served(() => run()), what).toBe(true);
    }

    const asItIs = result();
    const stamp = async (args: readonly string[] = [], env: Record<string, string> = {}): Promise<string> => {
      await run(args, env);
      return (await bench.ok(['run', 'remembered:1', 'cat', '/stamp', '/who'])).out;
    };
    const before = await stamp();
    expect(await stamp(['--build-arg', 'WHO'], { WHO: 'you' })).toMatch(/you\n$/);
    expect(await stamp(['--build-arg', 'WHO'], { WHO: 'us' })).toMatch(/us\n$/);
    expect(await stamp(['--build-arg', 'WHO'], { WHO: 'you' })).toMatch(/you\n$/);
    expect(await stamp()).toBe(before);
    expect(result()).toBe(asItIs);
    // The name that it was given is another build's by now.
    await bench.ok(['build', '--no-cache', '-t', 'remembered:2', context]);
    const newer = await stamp();
    expect(newer).not.toBe(before);
    await bench.ok(['rmi', 'remembered:1']);
    expect(await stamp()).toBe(newer);
    await bench.ok(['prune', '--all']);
    expect(await stamp()).not.toBe(newer);
    expect(await bench.damage()).toEqual([]);
  });

  test('a remembered build follows its base image (CAC-05)', async () => {
    const { bench } = use;
    const base = bench.context('FROM base:1\nRUN echo 1 > /version\n');
    const context = bench.context('FROM moving:1\nRUN cp /version /copy\n');
    const build1 = (): Promise<Outcome> => bench.ok(['build', '-t', 'on-moving:1', context]);
    const version = async (): Promise<string> => (await bench.ok(['run', 'on-moving:1', 'cat', '/copy'])).out;
    await bench.ok(['build', '-t', 'moving:1', base]);
    for (let n = 0; n < 3; n++) await build1();
    expect(await version()).toBe('1\n');
    writeFileSync(join(base, 'Dockerfile'), 'FROM base:1\nRUN echo 2 > /version\n');
    await bench.ok(['build', '-t', 'moving:1', base]);
    await build1();
    expect(await version()).toBe('2\n');
  });

  test('a large context that was never seen is packed in the pass that hashes it, with the same result', async () => {
    const { bench } = use;
    const files: Record<string, string | { readonly link: string }> = { link: { link: 'd/f7' }, empty: '' };
    for (let n = 0; n < 600; n++) files[`d/f${n}`] = `file ${n}\n`;
    const context = bench.context('FROM base:1\nCOPY . /app\n', files);
    linkSync(join(context, 'd/f1'), join(context, 'd/second-name'));
    const layersOf = async (store: string): Promise<ArchivedImage['manifest']['layers']> => {
      const { stdout } = await bench.ok(['build', '-o', 'type=oci,dest=-', context], { store });
      return (await readOciArchive(stdout)).manifest.layers;
    };
    const early = await layersOf(bench.store);
    expect((await readOciArchive((await build(bench, context)).stdout)).tree['/app/d/f7']?.content).toBe('file 7\n');

    // Where the files' digests are known already, the layer is packed by itself.
    const other = bench.path('other-store');
    await bench.ok(['import', bench.write('.', { 'base.tar': baseImageTar() }) + '/base.tar', '-t', 'base:1'], {
      store: other,
    });
    const step = bench.write('.', { 'run.Dockerfile': 'FROM base:1\nCOPY . /app\nRUN true\n' });
    await bench.ok(['build', '-f', join(step, 'run.Dockerfile'), context], { store: other });
    expect(await layersOf(other)).toEqual(early);

    // Hashed by another process under another name of the time, the key is the same.
    for (let n = 0; n < 600; n++) utimesSync(join(context, `d/f${n}`), 1, 1);
    expect(steps(await build(bench, context, [], NO_WORKER))).toEqual({ ran: [], cached: ['COPY . /app'] });
  });

  test('processes that pack the same large context at once give one result, and the store is sound', async () => {
    const { bench } = use;
    const files = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`f${n}`, `${n} at once\n`]));
    const context = bench.context('FROM scratch\nCOPY . /\n', files);
    const built = await Promise.all([1, 2, 3].map(() => build(bench, context)));
    expect(new Set(built.map(({ files }) => JSON.stringify(files))).size).toBe(1);
    expect(built.filter((one) => steps(one).ran.length === 1)).toHaveLength(1);
    await bench.ok(['store', 'check']);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('independent stages run at the same time', async () => {
    const { bench } = use;
    // Each stage waits until all four have begun.
    const meet = `RUN --mount=type=cache,id=meet,target=/meet touch /meet/$STAGE; n=0; until [ $(ls /meet | wc -l) = 4 ]; do n=$((n+1)); [ $n -lt 400 ] || exit 1; sleep 0.05; done; echo met > /$STAGE`;
    const stages = ['a', 'b', 'c', 'd'];
    const context = bench.context(
      [
        ...stages.map((stage) => `FROM base:1 AS ${stage}\nENV STAGE=${stage}\n${meet}`),
        'FROM scratch',
        ...stages.map((stage) => `COPY --from=${stage} /${stage} /`),
      ].join('\n'),
    );
    expect(steps(await build(bench, context)).ran).toHaveLength(8);
  });

  test('equal steps of different stages and builds run once', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1 AS a
RUN cat /proc/sys/kernel/random/uuid > /stamp
FROM base:1 AS b
RUN cat /proc/sys/kernel/random/uuid > /stamp
FROM scratch
COPY --from=a /stamp /a
COPY --from=b /stamp /b
`);
    const { files } = await build(bench, context);
    expect(files['/a']).toBe(files['/b']);
  });
});
