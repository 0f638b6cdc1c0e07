import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../src/cli/program.ts';
import { fakeContext } from '../fakes/cli-context.ts';
import { imageArchive } from '../support/image.ts';
import { readOciArchive } from '../support/tree.ts';
import { TempDir } from '../tree/support.ts';

// Commands that touch the store alone need no worker and no namespace: they run here, in this process.
let dir: TempDir;
beforeEach(() => {
  dir = new TempDir();
  writeFileSync(
    join(dir.path, 'image.tar'),
    imageArchive([[{ name: 'one', content: '1' }], [{ name: 'two', content: '2' }]], 'x:1'),
  );
});
afterEach(() => dir[Symbol.dispose]());

async function run(words: readonly string[], options: { readonly stdin?: Uint8Array; readonly now?: number } = {}) {
  const { stdin, now = 1_700_000_000_000 } = options;
  const context = fakeContext({
    cwd: dir.path,
    env: { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path },
    now: () => now,
    ...(stdin === undefined ? {} : { stdin: [stdin] }),
  });
  const code = await runCli(words, context);
  return { code, out: context.out(), err: context.err() };
}

async function ok(...words: string[]): Promise<string> {
  const { code, out, err } = await run(words);
  expect(code, err).toBe(0);
  return out;
}

const imported = async (name: string): Promise<string> => {
  await ok('import', 'image.tar', '-t', name);
  return (await ok('images', '-q', '--no-trunc', name.split(':')[0] ?? '')).trim().split('\n')[0] ?? '';
};
const names = async (): Promise<readonly string[]> =>
  (JSON.parse(await ok('images', '--format=json')) as { name: string }[]).map(({ name }) => name).toSorted();

describe('images of the store', () => {
  test('are imported under names, listed, renamed and removed', async () => {
    const id = await imported('app:1');
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    await ok('tag', 'app:1', 'app:2', 'registry.test/team/app');
    expect(await names()).toEqual([
      'docker.io/library/app:1',
      'docker.io/library/app:2',
      'registry.test/team/app:latest',
    ]);
    expect(await ok('untag', 'app:1', 'app:2')).toContain('app:2');
    expect(await names()).toEqual(['docker.io/library/app:1', 'registry.test/team/app:latest']);
    expect(await ok('rmi', 'app:1')).toBe('Untagged: docker.io/library/app:1\n');
    expect(await ok('rmi', id.slice('sha256:'.length, 19))).toBe('Untagged: registry.test/team/app:latest\n');
    expect(await names()).toEqual([]);
  });

  test('that are there are removed, whatever else was named; the exit code tells, as docker’s does', async () => {
    await imported('app:1');
    await ok('tag', 'app:1', 'app:2');
    const { code, out, err } = await run(['rmi', 'app:1', 'none:1', 'app:2', 'none:2']);
    expect(code).toBe(1);
    expect(out).toBe('Untagged: docker.io/library/app:1\nUntagged: docker.io/library/app:2\n');
    expect(err.match(/^error: .*$/gm)).toEqual([
      'error: Cannot remove "none:1": no such image in the local image store',
      'error: Cannot remove "none:2": no such image in the local image store',
    ]);
    expect(await names()).toEqual([]);
  });

  test('come from standard input as from a file, and have one id wherever they come from', async () => {
    const id = await imported('file:1');
    const { code } = await run(['import', '-', '-t', 'piped:1'], { stdin: readFileSync(join(dir.path, 'image.tar')) });
    expect(code).toBe(0);
    expect((await ok('images', '-q', '--no-trunc', 'piped')).trim()).toBe(id);
  });

  test('are saved as they were, as OCI and as docker has it', async () => {
    const id = await imported('app:1');
    await ok('save', 'app:1', '-o', 'out.tar');
    const { config, tree } = await readOciArchive(readFileSync(join(dir.path, 'out.tar')));
    expect(Object.keys(tree)).toEqual(['/one', '/two']);
    expect(config.rootfs.diff_ids).toHaveLength(2);
    await ok('save', '--format=docker', 'app:1', '-o', 'docker.tar');
    await ok('rmi', 'app:1');
    await ok('import', 'docker.tar', '-t', 'again:1');
    expect((await ok('images', '-q', '--no-trunc', 'again')).trim()).toBe(id);
    // To standard output when nothing else is said.
    const { code, out } = await run(['save', 'again:1']);
    expect(code).toBe(0);
    expect(out.slice(257, 262)).toBe('ustar');
  });

  test('are chosen by name, by filter and by template', async () => {
    await imported('app:1');
    await ok('tag', 'app:1', 'other/tool:3');
    expect(await ok('images', 'tool', '--format', '{{.Repository}}:{{.Tag}}')).toBe('other/tool:3\n');
    expect(await ok('images', '-f', 'reference=*/tool', '--format', '{{.Tag}}')).toBe('3\n');
    expect(await ok('images', '-f', 'reference=none', '--format', '{{.Tag}}')).toBe('');
    expect(await ok('images', 'app')).toMatch(
      /^IMAGE +ID +PLATFORM +CREATED +SIZE\napp:1 +[0-9a-f]{12} +linux\/amd64 /,
    );
  });

  test('say what they are and how they were made', async () => {
    const id = await imported('app:1');
    expect(await ok('inspect', '--format', '{{.Id}} {{.Os}}/{{.Architecture}}', 'app:1')).toBe(`${id} linux/amd64\n`);
    const [whole] = JSON.parse(await ok('inspect', 'app:1')) as { RepoTags: string[]; RootFS: { Layers: string[] } }[];
    expect(whole?.RepoTags).toEqual(['app:1']);
    expect(whole?.RootFS.Layers).toHaveLength(2);
    expect(JSON.parse(await ok('inspect', '--raw', 'app:1'))).toHaveProperty('layers');
    const steps = (await ok('history', '--format', '{{.CreatedBy}}', 'app:1')).trim().split('\n');
    expect(steps).toEqual(['layer 1', 'layer 0']);
  });

  test('are copied to a layout and to an archive, and from there', async () => {
    await imported('app:1');
    expect(await ok('copy', '-q', 'store:app:1', 'oci:layout:v1')).toMatch(/^oci:.*layout:v1@sha256:/);
    expect(readdirSync(join(dir.path, 'layout')).toSorted()).toEqual(['blobs', 'index.json', 'oci-layout']);
    expect(await ok('copy', '-q', 'oci:layout:v1', 'oci-archive:copy.tar:v1')).toContain('oci-archive:');
    await ok('copy', '-q', 'oci-archive:copy.tar:v1', 'store:back:1', '--digestfile', 'digest');
    const digests = JSON.parse(await ok('images', '--format=json')) as { digest: string }[];
    expect(new Set(digests.map(({ digest }) => digest))).toEqual(
      new Set([readFileSync(join(dir.path, 'digest'), 'utf8')]),
    );
  });
});

describe('the store', () => {
  test('says what it keeps', async () => {
    await imported('app:1');
    type Usage = { records: { type: string; id: string; size: number }[]; totalBytes: number };
    const { records, totalBytes } = JSON.parse(await ok('du', '--format=json')) as Usage;
    const image = records.find(({ type }) => type === 'image');
    const kept = readdirSync(join(dir.path, 'store/blobs/sha256')).map((name) =>
      readFileSync(join(dir.path, 'store/blobs/sha256', name)),
    );
    expect(image).toMatchObject({
      id: 'docker.io/library/app:1',
      size: kept.reduce((sum, bytes) => sum + bytes.length, 0),
    });
    expect(totalBytes).toBe(records.reduce((sum, { size }) => sum + size, 0));
    expect(await ok('du')).toContain('app:1');
  });

  test('is checked, and what is damaged is named, and goes where that is wanted', async () => {
    await imported('app:1');
    expect((await run(['store', 'check'])).code).toBe(0);
    const blobs = join(dir.path, 'store/blobs/sha256');
    const [first = ''] = readdirSync(blobs);
    mkdirSync(join(dir.path, 'spoilt'));
    writeFileSync(join(dir.path, 'spoilt', first), 'spoilt');
    renameSync(join(dir.path, 'spoilt', first), join(blobs, first));
    const found = await run(['store', 'check', '--format=json']);
    expect(found.code).toBe(1);
    expect(found.out).toContain(first);
    expect(existsSync(join(blobs, first))).toBe(true);
    await run(['store', 'check', '--repair']);
    expect(existsSync(join(blobs, first))).toBe(false);
  });

  test('is pruned of what no image needs, and says so before and after', async () => {
    await imported('app:1');
    await ok('rmi', 'app:1');
    const blobs = () => readdirSync(join(dir.path, 'store/blobs/sha256')).length;
    const before = blobs();
    expect(await ok('prune', '--all', '--dry-run')).toMatch(/would/i);
    expect(blobs()).toBe(before);
    await ok('prune', '--all', '--force');
    expect(blobs()).toBe(0);
  });

  test('has no logs at first', async () => {
    expect(JSON.parse(await ok('logs', '--format=json'))).toEqual([]);
  });
});

describe('a build that needs no namespace', () => {
  const dockerfile = 'FROM scratch\nCOPY file /file\nENV A=b\nLABEL c=d\n';
  const build = (...words: string[]) => ok('build', '--progress=plain', ...words, 'context');
  beforeEach(() => {
    dir.write('context/Dockerfile', dockerfile);
    dir.write('context/file', 'content');
  });

  test('is described before it is built', async () => {
    expect(await ok('build', '--call=targets', 'context')).toMatch(/TARGET/);
    expect(await ok('build', '--call=outline', 'context')).toBeDefined();
    expect(await ok('build', '--check', 'context')).toMatch(/no warnings|complete/i);
    const graph = JSON.parse(await ok('llb', '--format=json', 'context')) as { def: object };
    expect(Object.keys(graph.def).length).toBeGreaterThan(2);
    expect(await ok('llb', '--format=dot', 'context')).toMatch(/^digraph/);
    expect(await ok('llb', '--format=mermaid', 'context')).toMatch(/^flowchart TD\n/);
  });

  test('gives its id, a file with it, and metadata', async () => {
    const id = (
      await ok('build', '-q', '-t', 'built:1', '--iidfile', 'iid', '--metadata-file', 'md', 'context')
    ).trim();
    expect(readFileSync(join(dir.path, 'iid'), 'utf8')).toBe(id);
    const metadata = JSON.parse(readFileSync(join(dir.path, 'md'), 'utf8')) as Record<string, string>;
    expect(metadata).toMatchObject({ 'containerimage.config.digest': id, 'image.name': 'docker.io/library/built:1' });
    expect(await ok('inspect', '-f', '{{index .Config.Env 1}} {{.Config.Labels.c}}', 'built:1')).toBe('A=b d\n');
  });

  test('is the same with an epoch wherever its output goes', async () => {
    const epoch = ['--source-date-epoch=1500000000', '--rewrite-timestamp'];
    await build(
      ...epoch,
      '-o',
      'type=oci,dest=a.tar',
      '-o',
      'type=oci,dest=layout,tar=false',
      '-o',
      'type=docker,dest=d.tar',
    );
    const first = readFileSync(join(dir.path, 'a.tar'));
    await build('--no-cache', ...epoch, '-o', 'type=oci,dest=b.tar');
    expect(readFileSync(join(dir.path, 'b.tar')).equals(first)).toBe(true);
    const { digest, tree } = await readOciArchive(first);
    expect(tree['/file']?.content).toBe('content');
    expect(readFileSync(join(dir.path, 'layout/index.json'), 'utf8')).toContain(digest);
  });

  test('reads its Dockerfile from standard input, and from elsewhere', async () => {
    const { code, err } = await run(['build', '-q', '-f', '-', '-o', 'type=oci,dest=a.tar', 'context'], {
      stdin: Buffer.from('FROM scratch\nCOPY file /other\n'),
    });
    expect(code, err).toBe(0);
    expect((await readOciArchive(readFileSync(join(dir.path, 'a.tar')))).tree['/other']?.content).toBe('content');
    dir.write('elsewhere/Other', 'FROM scratch\nCOPY file /third\n');
    await build('-f', 'elsewhere/Other', '-o', 'type=oci,dest=c.tar');
    expect((await readOciArchive(readFileSync(join(dir.path, 'c.tar')))).tree['/third']?.content).toBe('content');
  });

  test('that is wrong shows where, and ends with 1', async () => {
    dir.write('context/Dockerfile', 'FROM scratch\nCOPY none /x\n');
    const { code, err } = await run(['build', '--progress=plain', 'context']);
    expect(code).toBe(1);
    expect(err).toMatch(/Dockerfile:2\n[^]*>>> COPY none \/x[^]*error: .*none/);
  });
});

test.each([
  'build .', 'llb .', 'run x:1', 'create x:1', 'start x', 'stop x', 'restart x', 'kill x', 'rm x', 'wait x', 'pause x', 'unpause x',
  'rename x y', 'update x --restart no', 'port x', 'exec x true', 'attach x', 'cp x:/a b', 'diff x', 'commit x y', 'export x', 'events --until 1s', 'top x', 'stats --no-stream',
  'ps', 'logs x', 'volume ls', 'volume rm x', 'network ls', 'network inspect x', 'down --scope x', 'images', 'tag x:1 y', 'untag x:1', 'rmi x:1',
  'import image.tar -t y', 'save x:1 -o y.tar', 'inspect x:1', 'history x:1', 'push x:1', 'copy store:x:1 oci:y', 'explain', 'report', 'du',
  'prune --force', 'store check', 'cache mounts ls', 'debug', 'serve --addr 127.0.0.1:0',
])('%s takes nothing from a store that others can write to (CAC-11)', async (line) => {
  await imported('x:1');
  mkdirSync(join(dir.path, 'store/containers/by-name'), { recursive: true });
  writeFileSync(join(dir.path, 'Dockerfile'), 'FROM x:1\n');
  chmodSync(join(dir.path, 'store'), 0o777);
  const { code, err } = await run(line.split(' '));
  expect(err).toMatch(/other users can write to it/);
  expect(code).toBeGreaterThan(0);
}); // oxfmt-ignore
