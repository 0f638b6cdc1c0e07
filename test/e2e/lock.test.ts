import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bench, RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { skopeo } from '../support/tools.ts';
import { readOciArchive } from '../support/tree.ts';
import { WebServer } from '../support/web-server.ts';

interface Lock {
  readonly version: number;
  readonly sources: readonly { readonly type: string; readonly ref: string; readonly pin: string }[];
}

describeAsUser('a lock file', (who) => {
  const use = useBench(who, { base: false });
  let registry: TestRegistry;
  let web: WebServer;
  let git: WebServer;
  let page = 'one';
  const repositories = new Repositories();
  let count = 0;

  beforeAll(async () => {
    registry = await startRegistry();
    web = await WebServer.start((_request, response) => {
      response.setHeader('last-modified', 'Sun, 13 Sep 2020 12:26:40 GMT').end(page);
    });
    repositories.create('r.git', { file: 'one' });
    git = await repositories.serve();
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
    await web[Symbol.asyncDispose]();
    await git[Symbol.asyncDispose]();
    repositories[Symbol.dispose]();
  });

  /** Puts an image with one file under a tag of the registry. */
  async function publish(bench: Bench, name: string, content: string): Promise<string> {
    const context = bench.context('FROM scratch\nCOPY file /file\n', { file: content });
    const archive = bench.path(`image-${count++}.tar`);
    await bench.ok(['build', '-q', '-o', `type=oci,dest=${archive}`, context]);
    const ref = `${registry.host}/${name}`;
    skopeo('copy', '-q', '--dest-tls-verify=false', `oci-archive:${archive}`, `docker://${ref}`);
    return ref;
  }

  /** The files of what a build gives, in a store of its own unless one is named. */
  async function filesOf(
    bench: Bench,
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<Record<string, string>> {
    const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', ...args], options);
    const { tree } = await readOciArchive(stdout);
    return Object.fromEntries(
      Object.entries(tree).flatMap(([path, { content }]) => (content === '' ? [] : [[path, content]])),
    );
  }

  function newStore(bench: Bench): RunOptions {
    return { store: bench.path(`store-${count++}`) };
  }

  function lockOf(context: string): Lock {
    return JSON.parse(readFileSync(join(context, 'tsbuild.lock'), 'utf8')) as Lock;
  }

  test.skipIf(!hasGit)('holds images, web addresses and git references where they were', async () => {
    const { bench } = use;
    const ref = await publish(bench, 'base:1', 'image one');
    page = 'page one';
    const commit = repositories.commit('r.git', { file: 'git one' });
    const context = bench.context(
      `FROM ${ref}\nADD ${web.url}/page /page\nADD ${git.url}/r.git#main /git\nCOPY --from=${ref} /file /copied\n`,
    );
    const updated = await bench.ok(['build', '-q', '--update-lock', context]);
    expect(updated.err, 'quiet').not.toContain('tsbuild.lock');
    const { version, sources } = lockOf(context);
    expect(version).toBe(1);
    expect(sources.map(({ type, ref: name }) => [type, name])).toEqual([
      ['docker-image', ref],
      ['git', `${git.url}/r.git#main`],
      ['http', `${web.url}/page`],
    ]);
    expect(sources[1]?.pin).toBe(commit);
    const one = await filesOf(bench, ['--locked', context], newStore(bench));
    expect(one).toEqual({ '/copied': 'image one', '/file': 'image one', '/git/file': 'git one', '/page': 'page one' });

    await publish(bench, 'base:1', 'image two');
    repositories.commit('r.git', { file: 'git two' });
    expect(await filesOf(bench, ['--locked', context], newStore(bench)), 'the names have moved on').toEqual(one);
    expect(await filesOf(bench, [context], newStore(bench)), 'a lock file counts without an option').toEqual(one);

    page = 'page two';
    const changed = await bench.tsbuild(['build', '--locked', context], newStore(bench));
    expect(changed).toMatchObject({
      code: 1,
      err: expect.stringContaining(`${web.url}/page as tsbuild.lock has it`) as string,
    });
    expect(changed.err).toContain(`--update-lock=${web.url}/page`);

    const only = await bench.ok(['build', `--update-lock=${web.url}/page`, context]);
    expect(only.err).toMatch(/tsbuild\.lock:\n {2}~ http:\S+\/page [0-9a-f]{12} -> [0-9a-f]{12}\n/);
    expect(await filesOf(bench, ['--locked', context], newStore(bench))).toEqual({ ...one, '/page': 'page two' });

    await bench.ok(['build', '-q', '--update-lock', context]);
    expect(await filesOf(bench, ['--locked', context], newStore(bench))).toEqual({
      '/copied': 'image two',
      '/file': 'image two',
      '/git/file': 'git two',
      '/page': 'page two',
    });
    const again = await bench.ok(['build', '--update-lock', context]);
    expect(again.err).toContain('tsbuild.lock: nothing has changed');
  });

  test('all that it does not name is said at once with --locked, and a warning without', async () => {
    const { bench } = use;
    const ref = await publish(bench, 'more:1', 'x');
    const context = bench.context(
      `FROM ${ref} AS a\nFROM ${ref.replace(/1$/, '2')} AS b\nFROM a\nCOPY --from=b /file /b\n`,
    );
    const without = await bench.tsbuild(['build', '--locked', context]);
    expect(without).toMatchObject({ code: 1, err: expect.stringContaining('Cannot find the lock file') as string });
    writeFileSync(join(context, 'tsbuild.lock'), '{"version":1,"sources":[]}');
    const failed = await bench.tsbuild(['build', '--locked', context]);
    expect(failed.code).toBe(1);
    expect(failed.err).toContain(`image ${registry.host}/more:1\n`);
    expect(failed.err).toContain(`image ${registry.host}/more:2\n`);
    await publish(bench, 'more:2', 'y');
    const free = await bench.ok(['build', context]);
    expect(free.err).toMatch(/tsbuild\.lock does not name \S+more:1, \S+more:2; --update-lock adds/);
  });

  test('says what is wrong with it, and with the options', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY Dockerfile /\n', { 'tsbuild.lock': '{"version":9}' });
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [[], 2, 'its version is 9'],
      [['--locked', '--update-lock'], 2, 'Cannot use --locked with --update-lock'],
      [['--offline', '--update-lock'], 2, 'Cannot use --offline with --update-lock'],
      [['--offline', '--pull'], 2, 'Cannot use --offline with --pull'],
      [['--lock-file', 'none.lock'], 1, 'none.lock'],
      [['--lock-file', 'mine.lock', '--update-lock=debian:12'], 2, 'Cannot update "debian:12"'],
    ];
    for (const [args, code, message] of cases) {
      const outcome = await bench.tsbuild(['build', ...args, context]);
      expect(outcome, args.join(' ')).toMatchObject({ code, err: expect.stringContaining(message) as string });
    }
    await bench.ok(['build', '--update-lock', '--lock-file', bench.path('mine.lock'), context]);
    expect(readFileSync(bench.path('mine.lock'), 'utf8')).toBe('{\n  "version": 1,\n  "sources": []\n}\n');
  });

  test('a remembered build is forgotten when it changes', async () => {
    const { bench } = use;
    const ref = await publish(bench, 'recalled:1', 'one');
    await bench.ok(['build', '-q', '-t', 'kept', bench.context(`FROM ${ref}\n`)]);
    const context = bench.context('FROM kept\n');
    await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context]);
    writeFileSync(join(context, 'tsbuild.lock'), 'x');
    expect(await bench.tsbuild(['build', '-q', '-o', 'type=oci,dest=-', context])).toMatchObject({
      code: 2,
      err: expect.stringContaining('it is not JSON') as string,
    });
  });
});

describeAsUser('--offline', (who) => {
  const use = useBench(who, { base: false });

  test.skipIf(!hasGit)('builds from the store and the lock file, and lists what is missing (REL-32)', async () => {
    const { bench } = use;
    let asked = 0;
    await using web = await WebServer.start((_request, response) => {
      asked++;
      response.setHeader('etag', '"1"').end('page');
    });
    const repositories = new Repositories();
    repositories.create('r.git', { file: 'git' });
    const git = await repositories.serve();
    const registry = await startRegistry();
    const base = bench.context('FROM scratch\nCOPY Dockerfile /base\n');
    await bench.ok(['build', '-q', '-o', `type=oci,dest=${bench.path('base.tar')}`, base]);
    const ref = `${registry.host}/base:1`;
    skopeo('copy', '-q', '--dest-tls-verify=false', `oci-archive:${bench.path('base.tar')}`, `docker://${ref}`);
    const context = bench.context(`FROM ${ref}\nADD ${web.url}/page /page\nADD ${git.url}/r.git#main /git\n`);
    const empty = { store: bench.path('empty') };
    const nothing = await bench.tsbuild(['build', '--offline', context], empty);
    expect(nothing.code).toBe(1);
    expect(nothing.err).toContain(`image ${ref}`);

    await bench.ok(['build', '-q', '--update-lock', context]);
    const online = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context]);
    await registry[Symbol.asyncDispose]();
    await git[Symbol.asyncDispose]();
    asked = 0;
    const offline = await bench.ok(['build', '-q', '--offline', '--locked', '-o', 'type=oci,dest=-', context]);
    expect((await readOciArchive(offline.stdout)).digest).toBe((await readOciArchive(online.stdout)).digest);
    expect(asked).toBe(0);
    // With the lock file the image is known by its digest, and what is missing are the things themselves.
    const missing = await bench.tsbuild(['build', '--offline', '--locked', context], empty);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('--offline asks nobody') as string });
    repositories[Symbol.dispose]();
  });

  test('several missing images are one failure (REL-32)', async () => {
    const { bench } = use;
    const context = bench.context('FROM 127.0.0.1:1/a AS a\nFROM 127.0.0.1:1/b\nCOPY --from=a / /\n');
    const failed = await bench.tsbuild(['build', '--offline', context]);
    expect(failed.err).toMatch(/the store lacks\n\s+image 127\.0\.0\.1:1\/a:latest\n\s+image 127\.0\.0\.1:1\/b:latest/);
    expect(failed.ms, 'nobody was waited for').toBeLessThan(30_000);
  });
});
