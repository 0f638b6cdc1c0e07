import { chmodSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';

const DOCKERFILE = `FROM base:1
COPY file /file
RUN echo fixed > /made && mkdir /dir && touch /dir/empty
LABEL a=b
`;

interface Report {
  readonly identical: boolean;
  readonly differences: readonly Record<string, unknown>[];
}

describeAsUser('verify', (who) => {
  const use = useBench(who);

  test('an image and archives that are built again and are the same', async () => {
    const { bench } = use;
    const context = bench.context(DOCKERFILE, { file: 'one' });
    const archive = bench.path('image.tar');
    await bench.ok([
      'build',
      '-q',
      '--reproducible',
      '-t',
      'app',
      '-o',
      `type=oci,dest=${archive}`,
      '-o',
      `type=docker,dest=${bench.path('docker.tar')}`,
      context,
    ]);
    for (const image of ['app', archive, bench.path('docker.tar')]) {
      const outcome = await bench.tsbuild(['verify', '--progress=quiet', image, context]);
      expect(outcome, `${image} ${outcome.err}`).toMatchObject({
        code: 0,
        out: expect.stringContaining('it is the same: sha256:') as string,
      });
    }
    const zstd = bench.path('zstd');
    await bench.ok(['build', '-q', '--reproducible', '-o', `type=oci,dest=${zstd}.tar,compression=zstd`, context]);
    expect(await bench.tsbuild(['verify', '--progress=quiet', `${zstd}.tar`, context])).toMatchObject({ code: 0 });
    expect(await bench.damage()).toEqual([]);
  });

  test('what differs is named: a file of the context, a permission, a step that does not repeat itself, the config', async () => {
    const { bench } = use;
    const context = bench.context(`${DOCKERFILE}RUN cat /proc/sys/kernel/random/uuid > /random\n`, { file: 'one two' });
    await bench.ok(['build', '-q', '--reproducible', '-t', 'changing', context]);
    writeFileSync(join(context, 'file'), 'one Two');
    chmodSync(join(context, 'file'), 0o600);
    const dockerfile = readFileSync(join(context, 'Dockerfile'), 'utf8');
    writeFileSync(join(context, 'Dockerfile'), dockerfile.replace('a=b', 'a=c'));
    const args = ['verify', '--progress=quiet', '--format=json', 'changing', context];
    const outcome = await bench.tsbuild(args);
    expect(outcome.code).toBe(1);
    const { identical, differences } = JSON.parse(outcome.out) as Report;
    expect(identical).toBe(false);
    expect(differences).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: 'config', path: 'config.Labels.a', image: 'b', rebuilt: 'c' }),
        expect.objectContaining({
          kind: 'entry',
          path: '/file',
          createdBy: expect.stringContaining('COPY file') as string,
          fields: [{ field: 'mode', image: '0644', rebuilt: '0600' }],
          content: { offset: 4, image: 'two', rebuilt: 'Two' },
        }),
        expect.objectContaining({ path: '/random', createdBy: expect.stringContaining('uuid') as string }),
      ]),
    );
    expect(
      differences.some(({ path }) => path === '/made'),
      'what is repeated is no difference',
    ).toBe(false);
    const text = await bench.tsbuild(['verify', '--progress=quiet', 'changing', context]);
    expect(text.out).toMatch(
      /layer 2: COPY file \/file[^\n]*\n {2}~ \/file\n {6}mode 0644 -> 0600\n {6}content from byte 4: two -> Two\n/,
    );
  });

  test('the cache that an image carries is built again with it, and differs where the steps do', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM base:1 AS other\nRUN echo other > /other\n\n${DOCKERFILE}COPY --from=other /other /\n`,
      {
        file: 'one',
      },
    );
    const archive = bench.path('carrying.tar');
    const options = { store: bench.path('fresh') };
    await bench.importBase('base:1', options);
    const args = ['--reproducible', '--cache-to=type=inline', '-t', 'carrying', '-o', `type=oci,dest=${archive}`];
    await bench.ok(['build', '-q', ...args, context], options);
    for (const image of ['carrying', archive])
      expect(await bench.tsbuild(['verify', '--progress=quiet', image, context], options)).toMatchObject({
        code: 0,
        out: expect.stringContaining('it is the same: sha256:') as string,
      });
    writeFileSync(join(context, 'file'), 'two');
    const text = await bench.tsbuild(['verify', '--progress=plain', 'carrying', context], options);
    expect(text).toMatchObject({ code: 1, err: expect.stringMatching(/^#0 verifying with tsbuild\n/) as string });
    expect(text.out).toMatch(/content from byte 0: one -> two/);
    expect(text.out).toMatch(/\ncache within the image\n {2}~ \["sha256:[0-9a-f]{64}"\]/);
    expect(text.out).not.toMatch(/nothing else differs/);
  });

  test('nothing is taken from the cache, and nothing is left behind', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN cat /proc/sys/kernel/random/uuid > /random\n');
    await bench.ok(['build', '-q', '--reproducible', '-t', 'random', context]);
    const before = readdirSync(join(bench.store, 'snapshots')).length;
    expect((await bench.tsbuild(['verify', '--progress=quiet', 'random', context])).code).toBe(1);
    expect(readdirSync(join(bench.store, 'snapshots'))).toHaveLength(before);
    expect(await bench.damage()).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('a tampered archive, one that is none, and an image that there is not', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY file /file\n', { file: 'content '.repeat(100) });
    const archive = bench.path('tampered.tar');
    await bench.ok([
      'build',
      '-q',
      '--reproducible',
      '-o',
      `type=oci,dest=${archive},compression=uncompressed`,
      context,
    ]);
    const bytes = readFileSync(archive);
    bytes.write('CONTENT', bytes.indexOf('content content'));
    writeFileSync(archive, bytes);
    expect(await bench.tsbuild(['verify', '--progress=quiet', archive, context])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/digest|content/) as string,
    });
    expect(await bench.tsbuild(['verify', '--progress=quiet', join(context, 'file'), context])).toMatchObject({
      code: 1,
    });
    const none = await bench.tsbuild(['verify', '--progress=quiet', '127.0.0.1:1/none', context]);
    expect(none).toMatchObject({ code: 1, err: expect.stringContaining('127.0.0.1:1/none') as string });
    expect(await bench.tsbuild(['verify', '--platform=linux/amd64,linux/arm64', 'app', context])).toMatchObject({
      code: 2,
    });
  });

  test('a build that fails shows where, and the exit code is 1', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN true\n');
    await bench.ok(['build', '-q', '--reproducible', '-t', 'failing', context]);
    writeFileSync(join(context, 'Dockerfile'), 'FROM base:1\nRUN exit 7\n');
    const failed = await bench.tsbuild(['verify', 'failing', context]);
    expect(failed).toMatchObject({ code: 1, err: expect.stringContaining('>>> RUN exit 7') as string, out: '' });
  });
});
