import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bench, RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { readOciArchive, readTar, type Tree } from '../support/tree.ts';
import { WebServer } from '../support/web-server.ts';

async function treeOf(bench: Bench, args: readonly string[], options: RunOptions = {}): Promise<Tree> {
  const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', ...args], options);
  return (await readOciArchive(stdout)).tree;
}

interface Member {
  readonly name: string;
  readonly text?: string;
  readonly link?: string;
  readonly type?: 'symlink' | 'link' | 'directory';
}

async function tarOf(members: readonly Member[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, text, link, type } of members) {
    const header = {
      name,
      mtime: new Date(1_600_000_000_000),
      ...(type === undefined ? {} : { type }),
      ...(link === undefined ? {} : { linkname: link }),
    };
    if (type === undefined) archive.entry(header, text ?? '');
    else archive.entry(header);
  }
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const simple: readonly Member[] = [
  { name: 'Dockerfile', text: 'FROM scratch\nCOPY . /\n' },
  { name: 'other.Dockerfile', text: 'FROM scratch\nCOPY file /other\n' },
  { name: '.dockerignore', text: 'file\n' },
  { name: 'file', text: 'file' },
];

/** What the stores of the tests must not keep: spooled contexts, downloads, checkouts. */
function leftOvers(bench: Bench): readonly string[] {
  return readdirSync(join(bench.store, 'ingest'));
}

describeAsUser('contexts that are no directories', (who) => {
  const use = useBench(who, { base: false });
  let web: WebServer;
  const files = new Map<string, Buffer>();
  beforeAll(async () => {
    web = await WebServer.start((request, response) => {
      const body = files.get(request.url ?? '');
      if (body) response.setHeader('etag', `"${body.length}"`).end(body);
      else response.writeHead(404).end();
    });
    const tar = await tarOf(simple);
    files.set('/context.tar', tar).set('/context.tar.gz', gzipSync(tar)).set('/context.tar.zst', zstdCompressSync(tar));
    files.set('/Dockerfile', Buffer.from('FROM scratch\nWORKDIR /made\n'));
  });
  afterAll(() => web[Symbol.asyncDispose]());

  test('archives on standard input, whatever they are compressed with; their ignore file is a file', async () => {
    const { bench } = use;
    for (const name of ['/context.tar', '/context.tar.gz', '/context.tar.zst']) {
      const stdin = files.get(name) ?? Buffer.alloc(0);
      expect(Object.keys(await treeOf(bench, ['-'], { stdin }))).toEqual([
        '/.dockerignore',
        '/Dockerfile',
        '/file',
        '/other.Dockerfile',
      ]);
      expect(Object.keys(await treeOf(bench, ['-f', 'other.Dockerfile', '-'], { stdin }))).toEqual(['/other']);
    }
    for (const program of ['bzip2', 'xz']) {
      if (!existsSync(`/usr/bin/${program}`) && !existsSync(`/bin/${program}`)) continue;
      bench.write('packed', { 'context.tar': files.get('/context.tar') ?? '' });
      const { stdout } = await bench.start([program, '-c', bench.path('packed/context.tar')]).ended;
      expect(Object.keys(await treeOf(bench, ['-'], { stdin: stdout }))).toContain('/file');
    }
    expect(leftOvers(bench)).toEqual([]);
  });

  test('a Dockerfile on standard input has no context', async () => {
    const { bench } = use;
    expect(Object.keys(await treeOf(bench, ['-'], { stdin: 'FROM scratch\nWORKDIR /made\n' }))).toEqual(['/made']);
    const copying = await bench.tsbuild(['build', '-'], { stdin: 'FROM scratch\nCOPY file /\n' });
    expect(copying).toMatchObject({ code: 1, err: expect.stringContaining('"/file": not found') as string });
    const both = await bench.tsbuild(['build', '-f', '-', '-'], { stdin: 'FROM scratch\n' });
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining('standard input') as string });
    const twice = await bench.tsbuild(['build', '-f', 'Dockerfile', '-'], { stdin: 'FROM scratch\n' });
    expect(twice).toMatchObject({ code: 2, err: expect.stringContaining('leave -f out') as string });
  });

  test('archives and Dockerfiles of the web', async () => {
    const { bench } = use;
    for (const name of ['/context.tar', '/context.tar.gz'])
      expect(Object.keys(await treeOf(bench, [web.url + name]))).toContain('/file');
    expect(Object.keys(await treeOf(bench, ['-f', 'other.Dockerfile', `${web.url}/context.tar`]))).toEqual(['/other']);
    expect(Object.keys(await treeOf(bench, [`${web.url}/Dockerfile`]))).toEqual(['/made']);
    const context = bench.context('FROM nowhere\n');
    expect(Object.keys(await treeOf(bench, ['-f', `${web.url}/Dockerfile`, context]))).toEqual(['/made']);
    const missing = await bench.tsbuild(['build', `${web.url}/none.tar`]);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('invalid response status 404') as string });
    expect(leftOvers(bench)).toEqual([]);
  });

  test('named ones: a file of the web is not unpacked', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY --from=web context /downloaded\n');
    const tree = await treeOf(bench, [`--build-context=web=${web.url}/context.tar.gz`, context]);
    expect(Object.keys(tree)).toEqual(['/downloaded']);
  });

  const hostile: readonly (readonly [string, Member])[] = [
    ['../victim', { name: '../victim/hello', text: 'changed' }],
    ['an absolute name', { name: '/../../victim/hello', text: 'changed' }],
    ['a link and a file through it', { name: 'out/hello', text: 'changed' }],
    ['a hard link to outside', { name: 'hard', type: 'link', link: '../victim/hello' }],
  ];
  test.each(hostile)('an archive with %s changes nothing outside', async (_what, member) => {
    const { bench } = use;
    const victim = bench.write('victim', { hello: 'canary' });
    const archive = await tarOf([...simple, { name: 'out', type: 'symlink', link: victim }, member]);
    await bench.tsbuild(['build', '-q', '-'], { stdin: archive });
    expect(readFileSync(join(victim, 'hello'), 'utf8')).toBe('canary');
    expect(readdirSync(victim)).toEqual(['hello']);
  });

  test('an archive whose Dockerfile is a link to outside, or that is damaged', async () => {
    const { bench } = use;
    const victim = bench.write('victim', { hello: 'FROM scratch\nLABEL canary=x\n' });
    const link = await tarOf([{ name: 'Dockerfile', type: 'symlink', link: join(victim, 'hello') }]);
    expect(await bench.tsbuild(['build', '-'], { stdin: link })).toMatchObject({
      code: 1,
      err: expect.not.stringContaining('canary') as string,
    });
    const whole = files.get('/context.tar.gz') ?? Buffer.alloc(0);
    const cut = await bench.tsbuild(['build', '-'], { stdin: whole.subarray(0, whole.length - 20) });
    expect(cut.code).toBe(1);
    expect(leftOvers(bench)).toEqual([]);
  });
});

describeAsUser('ADD from the web', (who) => {
  const use = useBench(who, { base: false });
  let web: WebServer;
  let body = 'one';
  beforeAll(async () => {
    web = await WebServer.start((request, response) => {
      const tag = `"${body}"`;
      if (request.url === '/private' && request.headers.authorization !== 'Bearer SECRET')
        return void response.writeHead(401).end();
      if (request.headers['if-none-match'] === tag) return void response.writeHead(304).end();
      if (request.url === '/undated') return void response.end(body);
      response.setHeader('last-modified', 'Sun, 13 Sep 2020 12:26:40 GMT').setHeader('etag', tag).end(body);
    });
  });
  afterAll(() => web[Symbol.asyncDispose]());

  test('mode, owner, time and name', async () => {
    const { bench } = use;
    const context = bench.context(
      `FROM scratch\nADD ${web.url}/path/file?query /dir/\nADD --chmod=640 --chown=7:8 ${web.url}/path/file /other\nADD ${web.url}/undated /\n`,
    );
    const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context]);
    const { tree } = await readOciArchive(stdout);
    expect(tree['/dir/file']).toEqual({ type: 'file', mode: 0o600, uid: 0, gid: 0, content: 'one' });
    expect(tree['/other']).toEqual({ type: 'file', mode: 0o640, uid: 7, gid: 8, content: 'one' });
    const files = await readTar((await bench.ok(['build', '-q', '-o', 'type=tar,dest=-', context])).stdout);
    const times = Object.fromEntries(files.map(({ header }) => [header.name, header.mtime?.getTime()]));
    expect(times).toMatchObject({ 'dir/file': 1_600_000_000_000, undated: 0 });
    expect(leftOvers(bench)).toEqual([]);
  });

  test('what has not changed is not transferred again, and what has is (CAC-06)', async () => {
    const { bench } = use;
    const context = bench.context(`FROM scratch\nADD ${web.url}/cached /\n`);
    await bench.ok(['build', '-q', context]);
    web.seen.splice(0);
    const again = await bench.ok(['build', '--progress=plain', context]);
    expect(again.err).toContain('CACHED');
    expect(web.seen.map(({ headers }) => headers['if-none-match'])).toEqual(['"one"']);
    body = 'two';
    expect((await treeOf(bench, [context]))['/cached']?.content).toBe('two');
    body = 'one';
  });

  test('with a checksum a second build asks nobody', async () => {
    const { bench } = use;
    const checksum = 'sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed';
    const context = bench.context(`FROM scratch\nADD --checksum=${checksum} ${web.url}/sum /\n`);
    expect((await treeOf(bench, [context]))['/sum']?.content).toBe('one');
    web.seen.splice(0);
    expect((await treeOf(bench, [context]))['/sum']?.content).toBe('one');
    expect(web.seen).toEqual([]);
    const wrong = bench.context(`FROM scratch\nADD --checksum=sha256:${'0'.repeat(64)} ${web.url}/sum /\n`);
    const failed = await bench.tsbuild(['build', wrong]);
    expect(failed).toMatchObject({
      code: 1,
      err: expect.stringMatching(/digest mismatch sha256:7692.*>>> ADD/s) as string,
    });
  });

  test('credentials come from secrets, and are in no message', async () => {
    const { bench } = use;
    const context = bench.context(`FROM scratch\nADD ${web.url}/private /\n`);
    const args = [
      'build',
      '--progress=plain',
      '--secret',
      'id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN',
      '-o',
      'type=cacheonly',
      context,
    ];
    expect((await bench.ok(args, { env: { TOKEN: 'SECRET' } })).err).not.toContain('SECRET');
    const denied = await bench.tsbuild(['build', '--no-cache', context]);
    expect(denied).toMatchObject({ code: 1, err: expect.stringContaining('HTTP_AUTH_TOKEN_127.0.0.1') as string });
    const typed = bench.context(
      `FROM scratch\nADD ${web.url.replace('//', '//user:HIDDEN@')}/x /\nRUN false\nADD ${web.url.replace('//', '//user:HIDDEN@')}/private /\n`,
    );
    for (const file of ['plain', 'rawjson'])
      expect((await bench.tsbuild(['build', `--progress=${file}`, typed])).err).not.toContain('HIDDEN');
    const image = bench.context(`FROM scratch\nADD ${web.url.replace('//', '//user:HIDDEN@')}/x /\n`);
    expect(
      (await bench.ok(['build', '-q', '-o', 'type=oci,compression=uncompressed,dest=-', image])).out,
    ).not.toContain('HIDDEN');
  });

  test('without network the error says so', async () => {
    const { bench } = use;
    const failed = await bench.tsbuild(['build', bench.context('FROM scratch\nADD http://127.0.0.1:9/x /\n')]);
    expect(failed).toMatchObject({
      code: 1,
      err: expect.stringMatching(/refused.*hint: is the machine online/s) as string,
    });
  });
});

if (hasGit) {
  describeAsUser('git repositories', (who) => {
    const use = useBench(who, { base: false });
    let repos: Repositories;
    let web: WebServer;
    beforeAll(async () => {
      repos = new Repositories();
      repos.create('app.git', {
        Dockerfile: 'FROM scratch\nCOPY . /\n',
        file: 'one',
        '.dockerignore': 'file\n',
        'sub/Dockerfile': 'FROM scratch\nCOPY inner /\n',
        'sub/inner': 'inner',
        script: { executable: '#!/bin/sh\n' },
        link: { link: '/etc/passwd' },
      });
      repos.git('app.git', 'tag', 'v1');
      repos.commit('app.git', { file: 'two' });
      web = await repos.serve();
    });
    afterAll(async () => {
      await web[Symbol.asyncDispose]();
      repos[Symbol.dispose]();
    });

    test('as contexts, by branch, tag and subdirectory', async () => {
      const { bench } = use;
      const url = `${web.url}/app.git`;
      const tree = await treeOf(bench, [url]);
      expect(Object.keys(tree)).toEqual([
        '/.dockerignore',
        '/Dockerfile',
        '/file',
        '/link',
        '/script',
        '/sub',
        '/sub/Dockerfile',
        '/sub/inner',
      ]);
      expect(tree['/file']).toEqual({ type: 'file', mode: 0o644, uid: 0, gid: 0, content: 'two' });
      expect(tree['/script']?.mode).toBe(0o755);
      expect(tree['/link']).toMatchObject({ type: 'symlink', content: '/etc/passwd' });
      expect((await treeOf(bench, [`${url}#v1`]))['/file']?.content).toBe('one');
      expect(Object.keys(await treeOf(bench, [`${url}#main:sub`]))).toEqual(['/inner']);
      expect(Object.keys(await treeOf(bench, [`${url}#:sub`]))).toEqual(['/inner']);
      expect(leftOvers(bench)).toEqual([]);
      const named = bench.context('FROM scratch\nCOPY --from=code file /from-git\n');
      expect((await treeOf(bench, [`--build-context=code=${url}#v1`, named]))['/from-git']?.content).toBe('one');
    });

    test('as sources of ADD; a commit that is known is not fetched again', async () => {
      const { bench } = use;
      const sha = repos.git('app.git', 'rev-parse', 'v1');
      const context = bench.context(`FROM scratch\nADD ${web.url}/app.git#${sha} /src\n`);
      expect(Object.keys(await treeOf(bench, [context]))).toContain('/src/script');
      web.seen.splice(0);
      expect(Object.keys(await treeOf(bench, [context]))).not.toContain('/src/.git');
      expect(web.seen).toEqual([]);
      const kept = bench.context(`FROM scratch\nADD --keep-git-dir=true --chown=5:6 ${web.url}/app.git#v1 /src\n`);
      const tree = await treeOf(bench, [kept]);
      expect(tree['/src/.git/HEAD']).toMatchObject({ uid: 5, gid: 6, content: `${sha}\n` });
      const wrong = bench.context(`FROM scratch\nADD --checksum=${'0'.repeat(40)} ${web.url}/app.git#v1 /src\n`);
      expect(await bench.tsbuild(['build', wrong])).toMatchObject({
        code: 1,
        err: expect.stringContaining('expected checksum to match') as string,
      });
    });

    test('times of the commit with SOURCE_DATE_EPOCH, which may be that of the context', async () => {
      const { bench } = use;
      const args = [
        'build',
        '-q',
        '--build-arg=SOURCE_DATE_EPOCH=context',
        '-o',
        'type=oci,dest=-',
        `${web.url}/app.git`,
      ];
      const { config } = await readOciArchive((await bench.ok(args)).stdout);
      expect(config.created).toBe('2020-09-13T12:26:40Z');
    });

    test('directories that are links or outside are refused (GIT-03)', async () => {
      const { bench } = use;
      repos.create('tricky.git', { Dockerfile: 'FROM scratch\n', proj: { link: '/' } });
      for (const subdir of ['proj', 'proj/etc', 'none']) {
        const failed = await bench.tsbuild(['build', `${web.url}/tricky.git#main:${subdir}`]);
        expect(failed).toMatchObject({ code: 1, err: expect.stringContaining('invalid subdir') as string });
      }
      expect(leftOvers(bench)).toEqual([]);
    });

    test('names that look like addresses but exist are directories', async () => {
      const { bench } = use;
      const dir = bench.write('github.com/x/y', { Dockerfile: 'FROM scratch\nWORKDIR /local\n' });
      expect(existsSync(dir)).toBe(true);
      expect(Object.keys(await treeOf(bench, ['github.com/x/y'], { cwd: bench.dir }))).toEqual(['/local']);
    });

    test('an interrupted build leaves nothing behind', async () => {
      const { bench } = use;
      await using silent = await repos.serve(() => true);
      const running = bench.tsbuildStart(['build', `${silent.url}/app.git`]);
      while (silent.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      running.child.kill('SIGINT');
      expect((await running.ended).code).toBe(130);
      expect(leftOvers(bench)).toEqual([]);
      expect(await bench.leftovers()).toEqual([]);
    });
  });
}
