import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isRefName } from '../../src/pins/index.ts';
import { type GitLimits, type GitRequest, GitSource, parseGitUrl } from '../../src/source/index.ts';
import { chooseRef } from '../../src/source/git.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { plainRequest as defaults } from './plain-request.ts';
import { testTask } from '../support/task.ts';
import type { WebServer } from '../support/web-server.ts';

describe('addresses (GIT-01)', () => {
  test.each([
    ['https://host/repo.git', { url: 'https://host/repo.git', host: 'host', ssh: false }],
    ['http://host:81/repo.git', { url: 'http://host:81/repo.git', host: 'host:81', ssh: false }],
    [
      'https://user:pass@host/repo.git',
      { url: 'https://host/repo.git', host: 'host', ssh: false, credentials: 'user:pass' },
    ],
    ['https://token@host/repo.git', { url: 'https://host/repo.git', host: 'host', ssh: false, credentials: 'token:' }],
    ['git://[::1]:9418/repo', { url: 'git://[::1]:9418/repo', host: '[::1]:9418', ssh: false }],
    ['ssh://git@host:22/repo', { url: 'ssh://git@host:22/repo', host: 'host:22', ssh: true }],
    ['git@host:path/repo.git', { url: 'git@host:path/repo.git', host: 'host', ssh: true }],
  ])('%s', (text, parts) => {
    expect(parseGitUrl(text)).toEqual(parts);
  });

  test.each([
    '--upload-pack=touch /tmp/x',
    '-x',
    'ssh://-oProxyCommand=touch$IFS/tmp/x',
    'ssh://-oProxyCommand=x/repo',
    'ssh://-u@host/repo',
    'ext::sh -c id',
    'ext::id',
    'file:///etc',
    'fd::17',
    '/etc/repo.git',
    '../repo.git',
    'git@-x:r',
    '-x@host:r',
    'git@host:-r',
    'https:///evil/x',
    'https://:80/x',
    'https://host/x\n[core]',
    'https://host/x y',
    'ftp://host/x',
    'https://ho st/x',
    'ext::sh -c touch% /tmp/tsbuild-marker',
    'transport::address',
    'https://host/x\r',
    'ssh://user@-host/x',
    'https://-user@host/x',
    'git@host',
    'HTTPS://host/x',
  ])('%j is refused', (text) => {
    expect(() => parseGitUrl(text)).toThrow(expect.objectContaining({ code: 'TSB_CONTEXT' }));
  });

  test('the credentials of one that is refused are not told', () => {
    expect(() => parseGitUrl('ftp://user:S@host/x')).toThrow(/xxxxx:xxxxx@host/);
  });
});

describe('names (GIT-02)', () => {
  test.each(['main', 'refs/heads/main', 'v1.0', 'feature/a-b', 'refs/pull/1/head', 'ü', 'a@b'])('%s', (name) => {
    expect(isRefName(name)).toBe(true);
  });

  test.each([
    '',
    '-x',
    '--upload-pack=x',
    'HEAD:x',
    'a..b',
    '@{u}',
    '@',
    'a b',
    'a~1',
    'a^',
    'a*',
    'a?',
    'a[b',
    'a\\b',
    '/a',
    'a/',
    'a//b',
    'a.',
    '.a',
    'a/.b',
    'a.lock',
    'a\n',
    'refs/heads/-x',
    'x'.repeat(2000),
  ])('%j is none', (name) => {
    expect(isRefName(name)).toBe(false);
  });

  test('are those of git, but for what could be an option (property)', () => {
    const piece = fc.constantFrom(
      ...'ab/.-@{}~^:?*[\\ '.split(''),
      'lock',
      '..',
      '//',
      '@{',
      '/.',
      'refs/heads/',
      'ü',
      '\u007f',
      '\t',
    );
    const text = fc.array(piece, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (name) => {
        const { status } = spawnSync('git', ['check-ref-format', '--allow-onelevel', name]);
        const isOption = name.split('/').some((part) => part.startsWith('-'));
        expect(isRefName(name), JSON.stringify(name)).toBe(status === 0 && !isOption);
      }),
      { numRuns: 30 },
    );
  });

  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((digit) => digit.repeat(40));

  test('a branch wins over a tag, a full name over both, and only exact names count', () => {
    const list = `${a}\trefs/heads/x/main\n${b}\trefs/tags/main\n${c}\trefs/tags/main^{}\n${d}\trefs/heads/main\n`;
    expect(chooseRef(list, 'main')).toEqual({ ref: 'refs/heads/main', sha: d });
    expect(chooseRef(list, 'tags/main')).toEqual({ ref: 'refs/tags/main', sha: b, commit: c });
    expect(chooseRef(list, 'refs/tags/main')).toEqual({ ref: 'refs/tags/main', sha: b, commit: c });
    expect(chooseRef(list, 'x')).toBeUndefined();
    expect(chooseRef(`nonsense\trefs/heads/main\n`, 'main')).toBeUndefined();
  });

  test('a server that names an option as its branch gets its commit without a name', () => {
    expect(chooseRef(`ref: refs/heads/--upload-pack=/tmp/evil.sh\tHEAD\n${a}\tHEAD\n`, '')).toEqual({ sha: a });
    expect(chooseRef(`ref: refs/heads/main\tHEAD\n${a}\tHEAD\n`, '')).toEqual({ ref: 'refs/heads/main', sha: a });
    expect(chooseRef('', '')).toBeUndefined();
  });
});

describe.skipIf(!hasGit)('repositories', () => {
  let repos: Repositories;
  let web: WebServer;
  const toDispose: (() => unknown)[] = [];
  beforeAll(async () => {
    repos = new Repositories();
    repos.create('plain', {
      file: 'one',
      script: { executable: '#!/bin/sh\n' },
      link: { link: '/etc/passwd' },
      'dir/inner': 'inner',
      proj: { link: '/' },
    });
    repos.git('plain', 'tag', '-a', 'v1', '-m', 'tag');
    repos.commit('plain', { file: 'two' });
    repos.git('plain', 'branch', 'other');
    web = await repos.serve();
  });
  afterAll(async () => {
    await web[Symbol.asyncDispose]();
    repos[Symbol.dispose]();
  });
  afterEach(async () => {
    for (const dispose of toDispose.splice(0)) await dispose();
  });

  function open(
    limits: Partial<GitLimits> = {},
    home = '/nonexistent',
  ): { readonly source: GitSource; readonly dir: string } {
    const dir = mkdtempSync(join(tmpdir(), 'tsbuild-git-source-'));
    toDispose.push(() => rmSync(dir, { recursive: true, force: true }));
    return {
      source: new GitSource({
        temporary: () => mkdtempSync(join(dir, 'x')),
        home,
        now: () => 0,
        limits: { stallMs: 20_000, ...limits },
      }),
      dir,
    };
  }

  async function checkout(
    request: Partial<GitRequest>,
    source: GitSource = open().source,
  ): Promise<{
    readonly dir: string;
    readonly commitTime: number;
    readonly sha: string;
    readonly submodules: boolean;
  }> {
    const full = { ...defaults, url: `${web.url}/plain`, ...request };
    const commit = await source.resolve(testTask(), full);
    return { ...(await source.checkout(testTask(), full, commit)), sha: commit.commit ?? commit.sha };
  }

  test('files, modes and links as they are committed, whatever the umask (GIT-05, GIT-12)', async () => {
    const before = process.umask(0o077);
    try {
      const { dir, commitTime } = await checkout({});
      expect(readdirSync(dir).toSorted()).toEqual(['dir', 'file', 'link', 'proj', 'script']);
      expect(readFileSync(`${dir}/file`, 'utf8')).toBe('two');
      expect(lstatSync(`${dir}/file`).mode & 0o7777).toBe(0o644);
      expect(lstatSync(`${dir}/script`).mode & 0o7777).toBe(0o755);
      expect(lstatSync(`${dir}/dir`).mode & 0o7777).toBe(0o755);
      expect(readlinkSync(`${dir}/link`)).toBe('/etc/passwd');
      expect(commitTime).toBe(1_600_000_000);
    } finally {
      process.umask(before);
    }
  });

  test('by branch, tag, annotated tag and commit, by http and by the git protocol', async () => {
    using daemon = await repos.daemon();
    const first = repos.git('plain', 'rev-parse', 'v1^{commit}');
    for (const url of [`${web.url}/plain`, `${daemon.url}/plain`]) {
      for (const [ref, text] of [
        ['main', 'two'],
        ['other', 'two'],
        ['refs/heads/main', 'two'],
        ['v1', 'one'],
        ['refs/tags/v1', 'one'],
        [first, 'one'],
      ] as const) {
        const { dir, sha } = await checkout({ url, ref });
        expect([ref, readFileSync(`${dir}/file`, 'utf8')]).toEqual([ref, text]);
        if (text === 'one') expect(sha).toBe(first);
      }
    }
  });

  test('by files alone, as a web server without git has them', async () => {
    repos.create('dumb', { file: 'dumb' });
    repos.git('dumb', 'update-server-info');
    const { WebServer } = await import('../support/web-server.ts');
    await using files = await WebServer.start((request, response) => {
      const path = join(repos.root, (request.url ?? '').split('?')[0] ?? '');
      if (existsSync(path) && lstatSync(path).isFile()) response.end(readFileSync(path));
      else response.writeHead(404).end();
    });
    for (const ref of ['main', '', repos.git('dumb', 'rev-parse', 'HEAD')]) {
      const { dir } = await checkout({ url: `${files.url}/dumb/.git`, ref });
      expect(readFileSync(`${dir}/file`, 'utf8')).toBe('dumb');
    }
    // Submodules too, of which git itself asks for no history.
    repos.create('dumb-sub', { inner: 'inner' });
    repos.git('dumb-sub', 'update-server-info');
    repos.git('dumb', 'config', '-f', '.gitmodules', 'submodule.sub.path', 'place');
    repos.git('dumb', 'config', '-f', '.gitmodules', 'submodule.sub.url', `${files.url}/dumb-sub/.git`);
    const sha = repos.git('dumb-sub', 'rev-parse', 'HEAD');
    repos.git('dumb', 'update-index', '--add', '--cacheinfo', `160000,${sha},place`);
    repos.git('dumb', 'add', '.gitmodules');
    repos.git('dumb', 'commit', '-q', '-m', 'with a submodule');
    repos.git('dumb', 'update-server-info');
    const whole = await checkout({ url: `${files.url}/dumb/.git`, ref: 'main' });
    expect(readFileSync(`${whole.dir}/place/inner`, 'utf8')).toBe('inner');
  });

  test('SHA-256 repositories', async () => {
    mkdirSync(join(repos.root, 'sha256'));
    repos.git('sha256', 'init', '-q', '-b', 'main', '--object-format=sha256', '.');
    const sha = repos.commit('sha256', { file: 'x' });
    expect(sha).toHaveLength(64);
    for (const ref of ['main', sha]) expect(await checkout({ url: `${web.url}/sha256`, ref })).toMatchObject({ sha });
  });

  test('a directory of it; nothing that is no directory, and none outside (GIT-03)', async () => {
    const { dir } = await checkout({ subdir: 'dir' });
    expect(readdirSync(dir)).toEqual(['inner']);
    for (const subdir of ['../..', 'proj/etc', 'proj', 'file', 'none', '.git', 'dir/../../..'])
      await expect(checkout({ subdir })).rejects.toMatchObject({
        code: 'TSB_CONTEXT',
        message: expect.stringContaining('invalid subdir'),
      });
    expect(readdirSync((await checkout({ subdir: '/./dir//' })).dir)).toEqual(['inner']);
  });

  test('with the git directory, which works and knows no credentials (GIT-12)', async () => {
    await using guarded = await repos.serve((request, response) => {
      if (request.headers.authorization === `Basic ${Buffer.from('user:SECRET').toString('base64')}`) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return true;
    });
    const url = `${guarded.url.replace('//', '//user:SECRET@')}/plain`;
    const { dir } = await checkout({ url, ref: 'v1', keepGitDir: true });
    const config = readFileSync(`${dir}/.git/config`, 'utf8');
    expect(config).toContain(`url = ${guarded.url}/plain`);
    const everything = readdirSync(`${dir}/.git`, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
    expect(everything.join('\n')).not.toMatch(/SECRET/);
    expect(existsSync(`${dir}/.git/hooks`)).toBe(false);
    const { spawnSync } = await import('node:child_process');
    const git = (...args: string[]): string =>
      spawnSync('git', ['-C', dir, ...args], {
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin', HOME: '/' },
      }).stdout.trim();
    expect(git('describe', '--tags')).toBe('v1');
    expect(git('status', '--porcelain')).toBe('');
  });

  test('the checksum must be that of the commit or of the tag (GIT-09)', async () => {
    const commit = repos.git('plain', 'rev-parse', 'v1^{commit}');
    const tag = repos.git('plain', 'rev-parse', 'v1');
    for (const checksum of [commit, commit.slice(0, 8), tag, tag.slice(0, 8)]) await checkout({ ref: 'v1', checksum });
    await checkout({ ref: 'anything', checksum: commit, fetchByCommit: true });
    await expect(checkout({ ref: 'main', checksum: commit })).rejects.toMatchObject({
      code: 'TSB_DIGEST',
      message: expect.stringContaining(`expected checksum to match ${commit}, got `),
    });
    await expect(checkout({ ref: commit, checksum: 'abc' })).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    await expect(checkout({ checksum: 'xyz' })).rejects.toMatchObject({
      message: 'invalid checksum xyz for Git URL, expected hex commit hash',
    });
    await expect(checkout({ fetchByCommit: true })).rejects.toMatchObject({
      message: 'fetch-by-commit requires a checksum or a commit SHA ref',
    });
  });

  test('what is not there: names, commits, repositories, servers', async () => {
    await expect(checkout({ ref: 'none' })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringContaining('repository does not contain ref none'),
    });
    await expect(checkout({ ref: 'a'.repeat(40) })).rejects.toMatchObject({
      code: 'TSB_NOT_FOUND',
      message: expect.stringContaining('the repository does not have it'),
    });
    await expect(checkout({ url: `${web.url}/none` })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    await expect(checkout({ url: 'http://127.0.0.1:9/x.git' })).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      hint: expect.stringContaining('online'),
    });
    for (const ref of ['-x', '--upload-pack=x', 'HEAD:x', 'a..b', '@{u}'])
      await expect(checkout({ ref })).rejects.toMatchObject({ code: 'TSB_CONTEXT' });
  });

  test('a branch that moves on between the question and the answer (GIT-09, CAC-06)', async () => {
    repos.create('moving', { file: 'before' });
    const { source } = open();
    const request = { ...defaults, url: `${web.url}/moving`, ref: 'main' };
    const commit = await source.resolve(testTask(), request);
    repos.commit('moving', { file: 'after' });
    expect(readFileSync(`${(await source.checkout(testTask(), request, commit)).dir}/file`, 'utf8')).toBe('before');
    expect(await source.resolve(testTask(), request)).toEqual(commit);
    repos.git('moving', 'config', 'uploadpack.allowAnySHA1InWant', 'false');
    expect(readFileSync(`${(await source.checkout(testTask(), request, commit)).dir}/file`, 'utf8')).toBe('before');
  });

  test('submodules, unless they are not wanted; relative ones too', async () => {
    repos.create('sub', { inner: 'inner' });
    repos.create('super', { file: 'x' });
    repos.git(
      'super',
      '-c',
      'protocol.file.allow=always',
      'submodule',
      '--quiet',
      'add',
      '--name',
      'sub',
      '../sub',
      'place',
    );
    repos.commit('super', { file: 'y' });
    const { dir, submodules } = await checkout({ url: `${web.url}/super` });
    expect(submodules).toBe(true);
    expect(readFileSync(`${dir}/place/inner`, 'utf8')).toBe('inner');
    const without = await checkout({ url: `${web.url}/super`, submodules: false });
    expect(readdirSync(`${without.dir}/place`)).toEqual([]);
  });

  test.each([
    'file:///etc',
    '/etc',
    'ext::sh -c touch% /tmp/tsbuild-marker',
    '--upload-pack=touch /tmp/tsbuild-marker',
    'fd::0',
  ])('a submodule at %s is not followed (GIT-04)', async (url) => {
    repos.create('evil', { '.gitmodules': `[submodule "s"]\n\tpath = s\n\turl = ${url}\n`, file: 'x' });
    const other = repos.git('plain', 'rev-parse', 'HEAD');
    repos.git('evil', 'update-index', '--add', '--cacheinfo', `160000,${other},s`);
    repos.git('evil', 'commit', '-q', '-m', 'evil');
    await expect(checkout({ url: `${web.url}/evil` })).rejects.toMatchObject({
      code: expect.stringMatching(/^TSB_(NETWORK|NOT_FOUND)$/),
    });
    expect(existsSync('/tmp/tsbuild-marker')).toBe(false);
  });

  test('attributes of the repository and configuration of the user run nothing (GIT-05, GIT-06)', async () => {
    const home = mkdtempSync(join(tmpdir(), 'tsbuild-home-'));
    toDispose.push(() => rmSync(home, { recursive: true }));
    writeFileSync(
      `${home}/.gitconfig`,
      `[url "file:///nowhere/"]\n\tinsteadOf = ${web.url}/\n[filter "evil"]\n\tsmudge = touch ${home}/marker\n[core]\n\tfsmonitor = touch ${home}/marker\n\thooksPath = ${home}\n`,
    );
    writeFileSync(`${home}/post-checkout`, `#!/bin/sh\ntouch ${home}/marker\n`, { mode: 0o755 });
    repos.create('filtered', { '.gitattributes': '* filter=evil\n', file: 'as it is' });
    const before = { ...process.env };
    Object.assign(process.env, {
      HOME: home,
      GIT_CONFIG_GLOBAL: `${home}/.gitconfig`,
      GIT_DIR: '/nowhere',
      GIT_SSH_COMMAND: `touch ${home}/marker`,
    });
    try {
      const { dir } = await checkout({ url: `${web.url}/filtered` }, open({}, home).source);
      expect(readFileSync(`${dir}/file`, 'utf8')).toBe('as it is');
      expect(existsSync(`${home}/marker`)).toBe(false);
    } finally {
      for (const name of ['GIT_CONFIG_GLOBAL', 'GIT_DIR', 'GIT_SSH_COMMAND']) delete process.env[name];
      process.env['HOME'] = before['HOME'];
    }
  });

  test('credentials: where they belong, not where a redirect leads, not among arguments (GIT-07)', async () => {
    const seen: string[] = [];
    await using other = await repos.serve((request) => {
      seen.push(`other ${request.headers.authorization ?? 'none'}`);
      return false;
    });
    const elsewhere = other.url.replace('127.0.0.1', 'localhost');
    await using first = await repos.serve((request, response) => {
      seen.push(`first ${request.headers.authorization ?? 'none'}`);
      response.writeHead(302, { location: `${elsewhere}${request.url ?? ''}` }).end();
      return true;
    });
    await expect(
      checkout({ url: `${first.url}/plain`, access: { authorization: 'basic TOKEN' } }),
    ).rejects.toMatchObject({ code: 'TSB_NETWORK', hint: expect.stringContaining('redirects') });
    expect(seen).toEqual(['first basic TOKEN']);
    await checkout({ url: `${first.url}/plain` });
    expect(seen.filter((line) => line.includes('TOKEN'))).toHaveLength(1);
    expect(seen).toContain('other none');
  });

  test('a private repository says how to get in', async () => {
    await using guarded = await repos.serve((_request, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return true;
    });
    await expect(checkout({ url: `${guarded.url}/plain` })).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      hint: expect.stringContaining('GIT_AUTH_TOKEN'),
    });
  });

  test('what a server says is made safe to show (GIT-08)', async () => {
    await using rude = await repos.serve((_request, response) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end('\u001b]0;title\u0007\u001b[2J');
      return true;
    });
    const error = await checkout({ url: `${rude.url}/plain` }).catch((thrown: unknown) => thrown);
    // eslint-disable-next-line no-control-regex
    expect(String(error)).not.toMatch(/[\u0000-\u001f]/);
  });

  test('too many files or bytes, and servers that fall silent (GIT-11)', async () => {
    await expect(checkout({}, open({ maxBytes: 5 }).source)).rejects.toMatchObject({ code: 'TSB_NETWORK' });
    await expect(checkout({}, open({ maxFiles: 2 }).source)).rejects.toMatchObject({
      message: expect.stringContaining('files'),
    });
    await using silent = await repos.serve(() => true);
    const { source, dir } = open({ stallMs: 1500 });
    await expect(checkout({ url: `${silent.url}/plain` }, source)).rejects.toMatchObject({
      message: expect.stringContaining('nothing came'),
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a server that does not say what a name stands for is given up early', async () => {
    await using silent = await repos.serve(() => true);
    const { source, dir } = open({ answerMs: 1000, stallMs: 60_000 });
    await expect(source.resolve(testTask(), { ...defaults, url: `${silent.url}/plain` })).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringContaining('nothing came for 1 seconds'),
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a server that tells its progress may take its time before the first byte', async () => {
    repos.create('slow', { file: 'x' });
    // Stands for a repository whose objects take long to count. Without --progress a server says nothing meanwhile.
    const hook = join(repos.root, 'count-slowly');
    writeFileSync(
      hook,
      '#!/bin/sh\ncase "$*" in *--progress*) for i in 1 2 3 4 5; do echo "counting $i" >&2; sleep 1; done ;; *) sleep 5 ;; esac\nexec "$@"\n',
      { mode: 0o755 },
    );
    writeFileSync(join(repos.root, '.gitconfig'), `[uploadpack]\n\tpackObjectsHook = ${hook}\n`);
    try {
      const { dir } = await checkout({ url: `${web.url}/slow` }, open({ stallMs: 3000 }).source);
      expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('x');
      // Talk alone does not keep it alive for ever.
      await expect(checkout({ url: `${web.url}/slow` }, open({ stallMs: 300 }).source)).rejects.toMatchObject({
        message: expect.stringContaining('nothing came'),
      });
    } finally {
      rmSync(join(repos.root, '.gitconfig'));
    }
  });

  test('a canceled transfer leaves no process and no file', async () => {
    await using silent = await repos.serve(() => true);
    const { source, dir } = open();
    const task = testTask();
    const asked = source.resolve(task, { ...defaults, url: `${silent.url}/canceled` });
    while (silent.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    task.controller.abort();
    await expect(asked).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    expect(readdirSync(dir)).toEqual([]);
    const running = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && existsSync(`/proc/${pid}/cmdline`));
    const commands = running.map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      } catch {
        return '';
      }
    });
    expect(commands.filter((command) => command.includes(`${silent.url}/canceled`))).toEqual([]);
  });

  test('a default branch with the name of an option is taken by its commit (GIT-02)', async () => {
    const sha = repos.create('branch', { file: 'x' });
    const marker = join(repos.root, 'marker');
    for (const name of [`--upload-pack=touch ${marker}`, '-x', '--output=marker']) {
      writeFileSync(
        join(repos.root, 'branch/.git/packed-refs'),
        `# pack-refs with: peeled fully-peeled sorted\n${sha} refs/heads/${name}\n`,
      );
      writeFileSync(join(repos.root, 'branch/.git/HEAD'), `ref: refs/heads/${name}\n`);
      const got = await checkout({ url: `${web.url}/branch` }).catch((error: unknown) => error);
      // git itself does not offer a name with blanks.
      if (got instanceof Error) expect(got).toMatchObject({ code: 'TSB_NOT_FOUND' });
      else expect(got).toMatchObject({ sha });
    }
    expect(existsSync(marker)).toBe(false);
  });

  test('submodules at odd places: none runs a hook or leaves the tree (GIT-04)', async () => {
    const marker = join(repos.root, 'hook-ran');
    const other = repos.create('hooked', { 'hooks/post-checkout': { executable: `#!/bin/sh\ntouch ${marker}\n` }, file: 'x' });
    const victim = join(repos.root, 'victim');
    for (const [at, path, link] of [[1, 'a\\r', 'a'], [2, '.git/modules/x', undefined], [3, '../victim', undefined], [4, 'A', undefined], [5, 'deep/link/sub', undefined]] as const) {
      const name = `odd${at}`;
      repos.create(name, {
        '.gitmodules': `[submodule "../../${path}"]\n\tpath = "${path}"\n\turl = ../hooked\n[submodule "ok"]\n\tpath = "${path}"\n\turl = ../hooked\n`,
        ...(link === undefined ? {} : { [link]: { link: '.git/hooks' } }),
        a: { link: '.git' },
        'deep/link': { link: '/tmp' },
      });
      const place = path.replace('\\r', '\r');
      try {
        repos.git(name, 'update-index', '--add', '--cacheinfo', `160000,${other},${place}`);
        repos.git(name, 'commit', '-q', '-m', 'odd');
      } catch {
        // git does not even let such a path be committed; what it lets be is asked for with the .gitmodules alone.
      }
      const got = await checkout({ url: `${web.url}/${name}` }).catch((error: unknown) => error);
      if (got instanceof Error) expect(got).toMatchObject({ code: expect.stringMatching(/^TSB_(NETWORK|NOT_FOUND|CONTEXT)$/) });
      expect([name, existsSync(marker), existsSync(victim), existsSync('/tmp/sub')]).toEqual([name, false, false, false]);
    }
  }); // oxfmt-ignore

  test('trees that name the git directory are not checked out (GIT-05)', async () => {
    repos.create('tricks', { file: 'x' });
    const blob = repos.git('tricks', 'hash-object', '-w', 'file');
    const head = repos.git('tricks', 'rev-parse', 'HEAD');
    for (const name of ['.git', '.GIT', '.Git', 'git~1', '.git ', '.g\u200cit']) {
      const entry = Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, 'hex')]);
      writeFileSync(join(repos.root, 'tricks/entry'), entry);
      const tree = repos.git('tricks', 'hash-object', '--literally', '-w', '-t', 'tree', 'entry');
      repos.git(
        'tricks',
        'update-ref',
        'refs/heads/main',
        repos.git('tricks', 'commit-tree', '-p', head, '-m', 'm', tree),
      );
      await expect(checkout({ url: `${web.url}/tricks` }), name).rejects.toMatchObject({ code: 'TSB_NETWORK' });
    }
  });

  test('the sizes of submodules count too (GIT-11)', async () => {
    repos.create('large', { file: 'x'.repeat(100_000) });
    repos.create('outer', { file: 'x' });
    repos.git(
      'outer',
      '-c',
      'protocol.file.allow=always',
      'submodule',
      '--quiet',
      'add',
      '--name',
      'a/b',
      '../large',
      'place',
    );
    repos.commit('outer', {});
    await expect(checkout({ url: `${web.url}/outer` }, open({ maxBytes: 50_000 }).source)).rejects.toMatchObject({
      message: expect.stringContaining('more than is allowed'),
    });
    await checkout({ url: `${web.url}/outer` }, open({ maxBytes: 500_000 }).source);
  });

  test('the time of a commit alone', async () => {
    const { source, dir } = open();
    const request = { ...defaults, url: `${web.url}/plain`, ref: 'main' };
    expect(await source.commitTime(testTask(), request, await source.resolve(testTask(), request))).toBe(1_600_000_000);
    expect(readdirSync(dir)).toEqual([]);
  });
});
