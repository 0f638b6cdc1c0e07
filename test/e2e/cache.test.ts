import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bench, Outcome, RunOptions } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { stepsOf as steps } from '../support/steps.ts';
import { readOciArchive } from '../support/tree.ts';

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

describeAsEveryone('a build from the cache', (who) => {
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
