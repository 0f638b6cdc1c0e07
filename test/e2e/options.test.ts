import { lstatSync, existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { type ArchivedImage, readOciArchive, readTar, readTreeTar, sha256, type Tree } from '../support/tree.ts';

async function treeOf(bench: Bench, args: readonly string[], stdin?: string): Promise<Tree> {
  const { stdout } = await bench.ok(
    ['build', '-q', '-o', 'type=oci,dest=-', ...args],
    stdin === undefined ? {} : { stdin },
  );
  return (await readOciArchive(stdout)).tree;
}

describeAsUser('options of build', (who) => {
  const use = useBench(who);

  test('--target, --build-arg, --label', async () => {
    const { bench } = use;
    const context = bench.context(`ARG TAG=1
FROM base:\${TAG} AS first
ARG WHAT=default
ARG FROM_ENV
RUN echo "$WHAT $FROM_ENV" > /what
FROM scratch AS last
COPY --from=first /what /last
`);
    expect((await treeOf(bench, ['--target=first', context]))['/what']?.content).toBe('default \n');
    const { stdout } = await bench.ok(
      [
        'build',
        '-q',
        '--build-arg=WHAT=given',
        '--build-arg',
        'FROM_ENV',
        '--label=x=y',
        '-o',
        'type=oci,dest=-',
        context,
      ],
      { env: { FROM_ENV: 'env' } },
    );
    const { tree, config } = await readOciArchive(stdout);
    expect(tree).toEqual({
      '/last': expect.objectContaining({ content: 'given env\n' }) as unknown,
    });
    expect(config.config).toMatchObject({ Labels: { x: 'y' } });
    const wrong = await bench.tsbuild(['build', '--target=none', context]);
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('"none"') as string });
  });

  test.each(['zstd', 'uncompressed'])(
    'force-compression=true: layers of base images too as %s, with the same content',
    async (kind) => {
      const { bench } = use;
      const context = bench.context('FROM base:1\nRUN echo 1 > /one\n');
      const built = async (more: string): Promise<ArchivedImage> =>
        readOciArchive((await bench.ok(['build', '-q', '-o', `type=oci,dest=-${more}`, context])).stdout);
      const usual = await built('');
      const forced = await built(`,compression=${kind},force-compression=true`);
      const type = `application/vnd.oci.image.layer.v1.tar${kind === 'zstd' ? '+zstd' : ''}`;
      expect(forced.manifest.layers.map(({ mediaType }) => mediaType)).toEqual([type, type]);
      expect(usual.manifest.layers[0]?.mediaType).not.toBe(type);
      expect(forced.config.rootfs).toEqual(usual.config.rootfs);
      expect(forced.tree).toEqual(usual.tree);
    },
  );

  test('.dockerignore, also of a Dockerfile elsewhere, and the Dockerfile from standard input', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY . /\n', {
      '.dockerignore': '# comment\n*.log\n!keep.log\n**/node_modules\nsecret/*\n.dockerignore\nDockerfile\n',
      'a.log': '',
      'keep.log': '',
      'b/node_modules/x': '',
      'b/file': '',
      'secret/one': '',
      file: '',
    });
    expect(Object.keys(await treeOf(bench, [context]))).toEqual(['/b', '/b/file', '/file', '/keep.log', '/secret']);
    const elsewhere = bench.write('elsewhere', {
      'other.Dockerfile': 'FROM scratch\nCOPY . /\nCOPY file /from-elsewhere\n',
      'other.Dockerfile.dockerignore': '*\n!file\n',
    });
    expect(Object.keys(await treeOf(bench, ['-f', join(elsewhere, 'other.Dockerfile'), context]))).toEqual([
      '/file',
      '/from-elsewhere',
    ]);
    const piped = await treeOf(bench, ['-f', '-', context], 'FROM scratch\nCOPY file /piped\n');
    expect(Object.keys(piped)).toEqual(['/piped']);
  });

  test('-o local, tar, an OCI layout, docker, several at once, and standard output', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY --chmod=740 files/file /dir/file\nCOPY files /dir\n', {
      'files/file': { text: 'text', mode: 0o640 },
      'files/link': { link: '/etc/passwd' },
    });
    await bench.ok([
      'build',
      '-o',
      'files',
      '-o',
      'type=tar,dest=files.tar',
      '-o',
      'type=oci,dest=layout,tar=false',
      '-o',
      'type=docker,dest=docker.tar,name=x:1',
      '-t',
      'many:1',
      context,
    ]);
    expect(readdirSync(bench.path('files/dir')).toSorted()).toEqual(['file', 'link']);
    expect(statSync(bench.path('files/dir/file'))).toMatchObject({ uid: who.uid, mode: 0o100640 });
    expect(readlinkSync(bench.path('files/dir/link'))).toBe('/etc/passwd');
    const tree = await readTreeTar(readFileSync(bench.path('files.tar')));
    expect(Object.keys(tree)).toEqual(['/dir', '/dir/file', '/dir/link']);
    expect(existsSync(bench.path('layout/index.json'))).toBe(true);
    const docker = (await readTar(readFileSync(bench.path('docker.tar')))).find(
      ({ header }) => header.name === 'manifest.json',
    );
    expect(JSON.parse(docker?.body.toString() ?? '')).toMatchObject([{ RepoTags: ['x:1'] }]);
    const { stdout } = await bench.ok(['build', '-o', '-', context]);
    expect(await readTreeTar(stdout)).toEqual(tree);
    expect((await bench.ok(['images', '-q', 'many'])).out).toMatch(/^sha256:/);
    // A second build into the same places replaces what is there.
    await bench.ok([
      'build',
      '-o',
      'files',
      '-o',
      'type=tar,dest=files.tar',
      '-o',
      'type=oci,dest=layout,tar=false',
      context,
    ]);
    expect(readdirSync(bench.dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('-q, --iidfile, --metadata-file', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY Dockerfile /\n');
    const { out, err } = await bench.ok([
      'build',
      '-q',
      '--iidfile=id',
      '--metadata-file=meta.json',
      '-o',
      'type=oci,dest=q.tar',
      context,
    ]);
    const image = await readOciArchive(bench.path('q.tar'));
    expect(err).toBe('');
    expect(out).toBe(`${image.manifest.config.digest}\n`);
    expect(readFileSync(bench.path('id'), 'utf8')).toBe(image.manifest.config.digest);
    expect(JSON.parse(readFileSync(bench.path('meta.json'), 'utf8'))).toMatchObject({
      'containerimage.digest': image.digest,
      'containerimage.config.digest': image.manifest.config.digest,
      'containerimage.descriptor': { digest: image.digest },
    });
  });

  test('--iidfile writes into a pipe, and where a link leads to', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY Dockerfile /\n');
    await bench.tool(['mkfifo', 'pipe']);
    await bench.tool(['sh', '-c', 'echo old > real && ln -s real link']);
    const reader = bench.start(['cat', 'pipe']);
    const { out } = await bench.ok(['build', '-q', '--iidfile=pipe', '-o', 'type=oci,dest=q.tar', context]);
    expect((await reader.ended).out).toBe(out.trim());
    expect(lstatSync(bench.path('pipe')).isFIFO()).toBe(true);
    await bench.ok(['build', '-q', '--iidfile=link', '-o', 'type=oci,dest=q.tar', context]);
    expect(readFileSync(bench.path('real'), 'utf8')).toBe(out.trim());
    expect(lstatSync(bench.path('link')).isSymbolicLink()).toBe(true);
  });

  test('--progress=plain shows output of steps, rawjson is one event a line, quiet is silent', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo visible-$((40+2)); echo err >&2\n');
    const plain = await bench.ok(['build', '--progress=plain', context]);
    expect(plain.err).toMatch(/#\d+ \d+\.\d+ visible-42\n/);
    const raw = await bench.ok(['build', '--progress=rawjson', '--no-cache', context]);
    const events = raw.err
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { vertexes?: { name: string }[]; logs?: { data: string }[] });
    expect(events.some(({ vertexes }) => vertexes?.some(({ name }) => name.includes('RUN echo')))).toBe(true);
    expect(
      events
        .flatMap(({ logs }) => logs ?? [])
        .map(({ data }) => Buffer.from(data, 'base64').toString())
        .join(''),
    ).toContain('visible-42');
    expect((await bench.ok(['build', '--progress=quiet', context])).err).toBe('');
    const env = await bench.ok(['build', context], { env: { BUILDKIT_PROGRESS: 'plain' } });
    expect(env.err).toMatch(/^#0 building with/);
  });

  test('--build-context: a directory and an OCI layout', async () => {
    const { bench } = use;
    const other = bench.write('named', { data: 'named' });
    await bench.ok(['save', 'base:1', '-o', 'base-saved.tar']);
    bench.write('base-layout', {});
    await bench.tool(['tar', '-C', 'base-layout', '-xf', 'base-saved.tar']);
    const context = bench.context('FROM elsewhere\nCOPY --from=stuff data /data\nRUN cat /data > /ran\n');
    const tree = await treeOf(bench, [
      '--build-context',
      `stuff=${other}`,
      '--build-context',
      'elsewhere=oci-layout://base-layout',
      context,
    ]);
    expect(tree['/ran']?.content).toBe('named');
  });

  test('--check and --call describe without building', async () => {
    const { bench } = use;
    const context = bench.context('from base:1 AS x\nRUN false\n');
    const { code, out } = await bench.tsbuild(['build', '--check', context]);
    expect(code).toBe(1);
    expect(out).toContain('ConsistentInstructionCasing');
    expect((await bench.ok(['build', '--call=targets', context])).out).toContain('x');
    expect((await bench.ok(['build', '--call=outline,format=json', context])).out).toMatch(/^\{/);
  });
});

describeAsUser('tsbuild llb', (who) => {
  const use = useBench(who);

  test('writes the binary definition that --format=json describes', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1 AS a\nCOPY Dockerfile /d\nRUN echo hi\nFROM scratch\nCOPY --from=a /d /\n',
    );
    const { stdout } = await bench.ok(['llb', context], { env: { TSBUILD_HELPER: '/nonexistent' } });
    const described = JSON.parse((await bench.ok(['llb', '--format=json', context])).out) as {
      def: Record<string, unknown>;
      source: { locations: Record<string, unknown> };
    };
    // pb.Definition: field 1 is the marshalled ops.
    const digests: string[] = [];
    for (let at = 0; at < stdout.length;) {
      const [tag, afterTag] = varint(stdout, at);
      const [length, start] = varint(stdout, afterTag);
      if (tag >> 3 === 1) digests.push(sha256(stdout.subarray(start, start + length)));
      at = start + length;
    }
    expect(Object.keys(described.def).toSorted()).toEqual(digests.toSorted());
    expect((await bench.ok(['llb', context])).stdout).toEqual(stdout);
    expect((await bench.ok(['llb', '--format=dot', context])).out).toMatch(/^digraph/);
    expect((await bench.ok(['llb', '--format=mermaid', context])).out).toMatch(/^(graph|flowchart)/);
    const target = await bench.ok(['llb', '--format=json', '--target=a', '--no-cache', context]);
    expect(target.out).toContain('"ignoreCache": true');
  });
});

function varint(bytes: Buffer, from: number): [number, number] {
  let value = 0;
  for (let at = from, shift = 0; ; at++, shift += 7) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at + 1];
  }
}
