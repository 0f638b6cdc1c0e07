import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Bench, Outcome, RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { isRecalled } from '../support/recalled.ts';
import { stepsOf } from '../support/steps.ts';

const DOCKERFILE = `FROM base:1
ARG WHO=me
RUN echo $WHO > /who && cat /proc/sys/kernel/random/uuid > /stamp
COPY . /app
Env A=b
`;

/** Forbids memory, and changes nothing else: no instruction names this context. */
const GENERAL = ['--build-context', 'unused=.'];

/** All files below a directory with digests of their contents, or the digest of a file. */
function digests(path: string): Record<string, string> {
  const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
  if (!existsSync(path)) return {};
  const names = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    names.map((entry) => join(entry.parentPath, entry.name)).map((file) => [file.slice(path.length), digest(file)]),
  );
}

const imageAttributes = fc
  .record({
    compression: fc.constantFrom('', 'gzip', 'zstd', 'uncompressed'),
    name: fc.constantFrom('', 'named:1', '"a:1,b:2"'),
    'oci-mediatypes': fc.constantFrom('', 'false'),
    'source-date-epoch': fc.constantFrom('', '1500000000'),
  })
  .map((attributes) =>
    Object.entries(attributes)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => (value.startsWith('"') ? `"${key}=${value.slice(1)}` : `${key}=${value}`))
      .join(','),
  );

/** Outputs with their destinations below OUT, and the rest of a command line. */
const commands = fc.record({
  outputs: fc.array(
    fc.record({ type: fc.constantFrom('oci', 'docker'), tar: fc.boolean(), attributes: imageAttributes }),
    { minLength: 1, maxLength: 3 },
  ),
  stdout: fc.boolean(),
  options: fc.subarray([
    ['-q'],
    ['-t', 'tagged:1'],
    ['--load'],
    ['--label', 'a=b'],
    ['--rewrite-timestamp', '--source-date-epoch', '1600000000'],
  ]),
});

function argumentsOf({
  outputs,
  stdout,
  options,
}: typeof commands extends fc.Arbitrary<infer T> ? T : never): string[] {
  const specs = outputs.map(({ type, tar, attributes }, index) => {
    const fields = [`type=${type}`, `dest=OUT/${index}${tar ? '.tar' : ''}`, ...(tar ? [] : ['tar=false']), attributes];
    return fields.filter((field) => field !== '').join(',');
  });
  if (stdout) specs.push('type=oci,dest=-');
  return [
    ...specs.flatMap((spec) => ['-o', spec]),
    ...options.flat(),
    '--iidfile',
    'OUT/iid',
    '--metadata-file',
    'OUT/meta',
  ];
}

describeAsUser('a build that is remembered', (who) => {
  const use = useBench(who);

  /** Builds with all destinations below a new directory. */
  async function build(bench: Bench, args: readonly string[], context: string): Promise<Outcome & { files: object }> {
    rmSync(bench.path('out'), { recursive: true, force: true });
    bench.write('out', {});
    const outcome = await bench.ok([
      'build',
      '--progress=plain',
      ...args.map((arg) => arg.replace('OUT', bench.path('out'))),
      context,
    ]);
    return { ...outcome, files: digests(bench.path('out')) };
  }

  test('what a killed build left is deleted first, and the next is served from memory again', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nCOPY f /\n', { f: 'x' });
    const build = (): ReturnType<Bench['ok']> => bench.ok(['build', '--progress=plain', '-t', 'remembered:1', context]);
    await build();
    await build();
    expect(await isRecalled(bench, build)).toBe(true);
    const killed = bench.tsbuildStart([
      'build',
      '--progress=plain',
      bench.context('FROM base:1\nRUN echo half > /half; echo WRITTEN; sleep 60\n'),
    ]);
    await killed.prints(/^#\d+ [\d.]+ WRITTEN/m);
    killed.child.kill('SIGKILL');
    await killed.ended;
    const halves = (): readonly string[] =>
      readdirSync(join(bench.store, 'snapshots')).filter((id) =>
        existsSync(join(bench.store, 'snapshots', id, 'fs/half')),
      );
    expect(halves()).toHaveLength(1);
    expect((await build()).err).toMatch(/deleting what killed builds left behind/);
    expect(halves()).toEqual([]);
    expect(readdirSync(join(bench.store, 'garbage'))).toEqual([]);
    expect(await isRecalled(bench, build)).toBe(true);
  });

  test('writes to every kind of output what the general way writes, byte for byte', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { one: 'one\n', 'two/three': 'three\n' });
    await bench.ok(['build', '-q', context]);
    await fc.assert(
      fc.asyncProperty(commands, async (command) => {
        const args = argumentsOf(command);
        await build(bench, args, context);
        await build(bench, args, context);
        let recalled: (Outcome & { files: object }) | undefined;
        expect(await isRecalled(bench, async () => (recalled = await build(bench, args, context)))).toBe(true);
        const general = await build(bench, [...args, ...GENERAL], context);
        expect(recalled?.files).toEqual(general.files);
        expect(Object.keys(general.files).length).toBeGreaterThanOrEqual(command.outputs.length + 2);
        expect(recalled?.stdout.equals(general.stdout)).toBe(true);
        // What is shown when, and under which number, depends on how long it takes.
        const plain = (text: string): string[] =>
          [...new Set(text.replaceAll(/^#\d+ | \d+\.\ds/gm, '').split('\n'))].toSorted();
        expect(plain(recalled?.err ?? '')).toEqual(plain(general.err));
      }),
      { numRuns: 8 },
    );
  }, 120_000);

  test('is not served when anything is not as it was', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { one: 'one\n' });
    const into = context.slice(bench.dir.length + 1);
    const archive = bench.path('image.tar');
    const run = (args: readonly string[] = [], options: RunOptions = {}): Promise<Outcome> =>
      bench.ok(['build', '--progress=plain', '-o', `type=oci,dest=${archive}`, ...args, context], options);
    const bytes = (): string => createHash('sha256').update(readFileSync(archive)).digest('hex');
    const remember = async (args: readonly string[] = [], options: RunOptions = {}): Promise<string> => {
      await run(args, options);
      await run(args, options);
      rmSync(archive);
      expect(await isRecalled(bench, () => run(args, options))).toBe(true);
      return bytes();
    };
    const layers = (): readonly string[] => {
      const names = readdirSync(join(bench.store, 'blobs/sha256'));
      return names
        .map((name) => join(bench.store, 'blobs/sha256', name))
        .filter((file) => readFileSync(file)[0] === 0x1f);
    };
    const others = new Set(layers());
    const first = await remember();

    bench.write(into, { one: 'ONE\n' });
    expect(stepsOf(await run()).ran).toEqual(['COPY . /app']);
    const second = await remember();
    expect(second).not.toBe(first);

    // Other words are another build, also where only the environment or the directory says so.
    expect(await remember(['-t', 'other:1'])).not.toBe(second);
    expect(await remember(['--build-arg', 'WHO'], { env: { WHO: 'you' } })).not.toBe(second);
    expect(await isRecalled(bench, () => run(['--build-arg', 'WHO'], { env: { WHO: 'us' } }))).toBe(false);
    expect(await remember([], { env: { SOURCE_DATE_EPOCH: '1500000000' } })).not.toBe(second);
    expect(await remember()).toBe(second);
    const there = bench.write('there', {});
    const relative = ['build', '-q', '-o', 'type=oci,dest=there.tar', context];
    for (const cwd of [bench.dir, bench.dir, there, there]) await bench.ok(relative, { cwd });
    rmSync(bench.path('there.tar'));
    expect(await isRecalled(bench, () => bench.ok(relative, { cwd: there }))).toBe(true);
    expect(existsSync(bench.path('there.tar'))).toBe(false);
    expect(readFileSync(join(there, 'there.tar'))).toEqual(readFileSync(archive));

    // Layers that are gone or cut off are made again.
    for (const spoil of [(file: string) => rmSync(file), (file: string) => truncateSync(file, 10)]) {
      await remember();
      for (const file of layers().filter((one) => !others.has(one))) {
        chmodSync(file, 0o644);
        spoil(file);
      }
      expect(await isRecalled(bench, () => run())).toBe(false);
      await remember();
    }

    await remember();
    await bench.ok(['prune', '--all', '--force']);
    expect(await isRecalled(bench, () => run())).toBe(false);
    expect(bytes()).not.toBe(second);
  }, 120_000);

  describe('which writes into its own context', () => {
    /** Builds with outputs named relative to the context, which it is run in. */
    const builder = (bench: Bench, context: string, args: readonly string[]) => () =>
      bench.ok(['build', '--progress=plain', ...args, '.'], { cwd: context });
    const ARCHIVE = ['-o', 'type=oci,dest=image.tar', '--iidfile', 'image.id'];

    test('is served where it does not copy what it wrote, with all that was changed since', async () => {
      const { bench } = use;
      for (const [dockerfile, files] of [
        ['FROM scratch\nCOPY src /app\n', {}],
        ['FROM scratch\nCOPY . /app\n', { '.dockerignore': 'image.*\n' }],
        ['FROM scratch\nCOPY . /app\n', { '.dockerignore': '*\n!src\n' }],
      ] as const) {
        const context = bench.context(dockerfile, { 'src/one': 'one\n', ...files });
        const run = builder(bench, context, ARCHIVE);
        const archive = join(context, 'image.tar');
        await run();
        // Now nothing runs, and what it wrote before is there.
        await run();
        for (let round = 0; round < 3; round++) {
          if (round === 2) rmSync(archive);
          const written = existsSync(archive) ? readFileSync(archive) : undefined;
          expect(await isRecalled(bench, run), dockerfile).toBe(true);
          if (written) expect(readFileSync(archive).equals(written)).toBe(true);
        }
        for (const [name, text] of [
          ['src/one', 'ONE\n'],
          ['src/added', 'added\n'],
        ] as const) {
          const before = readFileSync(archive);
          writeFileSync(join(context, name), text);
          expect(stepsOf(await run()).ran).toHaveLength(1);
          expect(readFileSync(archive).equals(before)).toBe(false);
          await run();
          expect(await isRecalled(bench, run)).toBe(true);
        }
      }
    });

    test('is not served where it copies what it wrote', async () => {
      const { bench } = use;
      const context = bench.context('FROM scratch\nCOPY . /app\n', { one: 'one\n' });
      const run = builder(bench, context, ['-o', 'type=oci,dest=image.tar']);
      for (let round = 0; round < 3; round++) expect(stepsOf(await run()).ran).toEqual(['COPY . /app']);
      const inDirectory = bench.context('FROM scratch\nCOPY out /app\n', { 'out/one': 'one\n' });
      const again = builder(bench, inDirectory, ['-o', 'type=oci,dest=out/image.tar']);
      for (let round = 0; round < 3; round++) expect(stepsOf(await again()).ran).toEqual(['COPY out /app']);
    });
  });

  test('refuses a layer that was damaged on disk, keeps what is at the destination, and is right the next time', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY . /app\n', { one: 'a text of its own\n' });
    const archive = bench.path('damaged.tar');
    const args = ['build', '--progress=plain', '-o', `type=oci,dest=${archive}`, context];
    const env = { SOURCE_DATE_EPOCH: '1500000000' };
    for (let round = 0; round < 3; round++) await bench.ok(args, { env });
    const good = readFileSync(archive);
    const names = await bench.tool(['tar', '-tf', archive]);
    const blobs = names.split('\n').flatMap((name) => /blobs\/sha256\/(\w{64})$/.exec(name)?.[1] ?? []);
    const layer = blobs
      .map((name) => join(bench.store, 'blobs/sha256', name))
      .find((file) => existsSync(file) && readFileSync(file)[0] === 0x1f);
    const spoilt = readFileSync(layer ?? '');
    spoilt[20] = (spoilt[20] ?? 0) ^ 1;
    chmodSync(layer ?? '', 0o644);
    writeFileSync(layer ?? '', spoilt);
    const failed = await bench.tsbuild(args, { env });
    expect(failed.code).toBe(1);
    expect(failed.err).toContain('it is damaged in the store and was removed');
    expect(failed.err).toContain('exporting to oci image format');
    expect(readFileSync(archive).equals(good)).toBe(true);
    expect(readdirSync(bench.dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    await bench.ok(args, { env });
    expect(readFileSync(archive).equals(good)).toBe(true);
  });

  test('says of a destination that cannot be written what the build says', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY . /app\n', { one: 'one\n' });
    const args = (more: readonly string[]): string[] => [
      'build',
      '--progress=plain',
      '-o',
      `type=oci,dest=${bench.path('place/image.tar')}`,
      ...more,
      context,
    ];
    bench.write('place', {});
    for (let round = 0; round < 3; round++) await bench.ok(args([]));
    rmSync(bench.path('place'), { recursive: true });
    const compare = async (): Promise<string> => {
      const [recalled, general] = [await bench.tsbuild(args([])), await bench.tsbuild(args(GENERAL))];
      expect([recalled.code, recalled.err]).toEqual([general.code, general.err]);
      return recalled.err;
    };
    expect(await compare()).toMatch(/directory .* does not exist/);
    mkdirSync(bench.path('place/image.tar'), { recursive: true });
    expect(await compare()).toContain('it is a directory');
  });

  test('lets no option pass that a build would refuse', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY . /app\n', { one: 'one\n' });
    const args = ['build', '--progress=plain', '-t', 'options'];
    for (let round = 0; round < 3; round++) await bench.ok([...args, context]);
    expect(await isRecalled(bench, () => bench.ok([...args, context]))).toBe(true);
    for (const wrong of [
      '--memory=1k',
      '--memory-swap=x',
      '--cpus=abc',
      '--jobs=0',
      '--max-size=x',
      '--pids-limit=1e3',
      '--timeout=10',
      '--step-timeout=x',
      '--shm-size=-1',
      '--ulimit=frob=1',
      '--network=lan',
      '--add-host=x',
      '--isolation=frob',
      '--progress=x',
      '--on-failure=x',
    ]) /* oxfmt-ignore */ {
      const { code, err } = await bench.tsbuild([...args, wrong, context]);
      expect([code, err], wrong).toEqual([2, expect.stringContaining(wrong.split('=')[0] ?? '')]);
    }
  });
});
