import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offlineRefusals } from '../../src/pins/index.ts';
import { type GitRequest, GitSource } from '../../src/source/index.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { plainRequest } from './plain-request.ts';
import { testTask } from '../support/task.ts';
import type { WebServer } from '../support/web-server.ts';

/** Where nobody answers: a bundle stands in for it. */
const NOWHERE = 'https://git.invalid/app.git';

describe.skipIf(!hasGit)('a git bundle', () => {
  const repositories = new Repositories();
  const work = mkdtempSync(join(tmpdir(), 'tsbuild-git-bundle-'));
  let web: WebServer;
  let [first, second, tag] = ['', '', ''];
  beforeAll(async () => {
    first = repositories.create('app', { file: 'one', 'sub/inner': 'inner' });
    repositories.git('app', 'tag', '-a', '-m', 'annotated', 'v1');
    tag = repositories.git('app', 'rev-parse', 'v1');
    second = repositories.commit('app', { file: 'two' });
    web = await repositories.serve();
  });
  afterAll(async () => {
    await web[Symbol.asyncDispose]();
    repositories[Symbol.dispose]();
    rmSync(work, { recursive: true, force: true });
  });

  let count = 0;
  const source = (offline = true): GitSource =>
    new GitSource({
      temporary: () => mkdtempSync(join(work, 'x')),
      home: '/nonexistent',
      now: () => 0,
      ...(offline ? { offline: offlineRefusals() } : {}),
    });
  const bundleOf = (path: string): NonNullable<GitRequest['bundle']> => ({
    digest: sha256(readFileSync(path)),
    bring: () => Promise.resolve(path),
  });
  function make(name: string, ...args: readonly string[]): NonNullable<GitRequest['bundle']> {
    const path = join(work, `bundle${count++}`);
    repositories.git(name, 'bundle', 'create', '-q', path, ...args);
    return bundleOf(path);
  }
  const requestOf = (more: Partial<GitRequest>): GitRequest => ({ ...plainRequest, url: NOWHERE, ...more });
  async function checkout(more: Partial<GitRequest>, from: GitSource = source()) {
    const request = requestOf(more);
    const commit = await from.resolve(testTask(), request);
    return { commit, ...(await from.checkout(testTask(), request, commit)) };
  }
  const git = (dir: string, ...args: readonly string[]): string =>
    spawnSync('git', ['-C', dir, ...args], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', HOME: '/' },
    }).stdout.trim();

  test('gives commits by branch, tag and hash, and asks no server', async () => {
    const bundle = make('app', 'main', 'v1');
    for (const [ref, checksum, text] of [
      ['main', second, 'two'],
      ['refs/heads/main', second.slice(0, 7), 'two'],
      ['v1', first, 'one'],
      ['v1', tag, 'one'],
      ['refs/tags/v1', first, 'one'],
      ['', second, 'two'],
      ['', first.slice(0, 12), 'one'],
      [first, first, 'one'],
    ] as const) {
      const { dir, commitTime, commit } = await checkout({ bundle, ref, checksum });
      expect([ref, readFileSync(`${dir}/file`, 'utf8'), commitTime]).toEqual([ref, text, 1_600_000_000]);
      expect(commit.commit ?? commit.sha).toBe(text === 'one' ? first : second);
      expect(readdirSync(dir).toSorted()).toEqual(['file', 'sub']);
    }
  });

  test('leaves the .git of a clone of the repository', async () => {
    const { dir } = await checkout({ bundle: make('app', 'main', 'v1'), ref: 'v1', checksum: first, keepGitDir: true });
    expect(git(dir, 'config', 'remote.origin.url')).toBe(NOWHERE);
    expect(git(dir, 'for-each-ref', '--format=%(refname)')).toBe('refs/tags/v1');
    expect(git(dir, 'rev-list', '--all', '--count')).toBe('1');
    expect(git(dir, 'status', '--porcelain')).toBe('');
  });

  test('of SHA-256', async () => {
    mkdirSync(join(repositories.root, 'sha256'));
    repositories.git('sha256', 'init', '-q', '-b', 'main', '--object-format=sha256', '.');
    const checksum = repositories.commit('sha256', { file: 'x' });
    const bundle = make('sha256', 'main');
    for (const ref of ['', 'main', checksum])
      expect(readFileSync(`${(await checkout({ bundle, ref, checksum })).dir}/file`, 'utf8')).toBe('x');
  });

  test('takes submodules from their own repositories, and says that it cannot when it may not ask', async () => {
    repositories.create('inner', { inside: 'inside' });
    repositories.create('outer', { file: 'outer' });
    repositories.git('outer', 'config', '-f', '.gitmodules', 'submodule.m.path', 'm');
    repositories.git('outer', 'config', '-f', '.gitmodules', 'submodule.m.url', `${web.url}/inner`);
    const inner = repositories.git('inner', 'rev-parse', 'HEAD');
    repositories.git('outer', 'update-index', '--add', '--cacheinfo', `160000,${inner},m`);
    repositories.git('outer', 'add', '.gitmodules');
    repositories.git('outer', 'commit', '-q', '-m', 'submodule');
    const request = { bundle: make('outer', 'main'), checksum: repositories.git('outer', 'rev-parse', 'HEAD') };
    expect(readFileSync(`${(await checkout(request, source(false))).dir}/m/inside`, 'utf8')).toBe('inside');
    await expect(checkout(request)).rejects.toThrow(/submodules of git repository.*offline/s);
    // Directories of this machine are no more reachable through a bundle than through a repository.
    repositories.git('outer', 'config', '-f', '.gitmodules', 'submodule.m.url', `file://${repositories.root}/inner`);
    repositories.git('outer', 'add', '.gitmodules');
    repositories.git('outer', 'commit', '-q', '-m', 'local');
    const local = { bundle: make('outer', 'main'), checksum: repositories.git('outer', 'rev-parse', 'HEAD') };
    await expect(checkout(local, source(false))).rejects.toThrow(/transport 'file' not allowed/);
  });

  test('is refused with the commit that it does not have, or when it builds on what it lacks', async () => {
    const bundle = make('app', 'v1');
    const lacks = (what: string) =>
      expect.objectContaining({
        code: 'TSB_NOT_FOUND',
        message: `Cannot load ${what}: git bundle ${bundle.digest} does not have it`,
      }) as unknown;
    await expect(checkout({ bundle, checksum: second })).rejects.toEqual(lacks(`commit ${second}`));
    await expect(checkout({ bundle, checksum: 'abcdef' })).rejects.toEqual(lacks('a commit abcdef'));
    await expect(checkout({ bundle, ref: 'main', checksum: first })).rejects.toEqual(lacks('ref main'));
    await expect(checkout({ bundle, ref: 'v1', checksum: second })).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    await expect(checkout({ bundle: make('app', 'main', `^${first}`), checksum: second })).rejects.toMatchObject({
      code: 'TSB_CONTEXT',
      message: expect.stringMatching(/^Cannot read git bundle sha256:\w+: git: .*prerequisite/) as string,
    });
  });

  test('that is damaged ends in an error that names it (property)', async () => {
    const bundle = make('app', 'main');
    const bytes = readFileSync(await bundle.bring());
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.boolean(),
        fc.integer({ min: 1, max: 255 }),
        async (at, cut, flip) => {
          const path = join(work, `bundle${count++}`);
          const damaged = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
          if (!cut) damaged[at] = damaged[at]! ^ flip;
          writeFileSync(path, damaged);
          const done = await checkout({ bundle: bundleOf(path), checksum: second }).catch((error: unknown) => error);
          // Names of references may be others: what was asked for is the commit.
          if (isTsbuildError(done)) expect(['TSB_CONTEXT', 'TSB_NOT_FOUND', 'TSB_NETWORK']).toContain(done.code);
          else expect(readFileSync(`${(done as { dir: string }).dir}/file`, 'utf8')).toBe('two');
        },
      ),
      { numRuns: 12 },
    );
  });

  describe('made of a checkout', () => {
    const url = (): string => `${web.url}/app`;
    const made = async (more: Partial<GitRequest>) =>
      checkout({ url: url(), checkoutBundle: true, ...more }, source(false));

    test('is its only file, with all history, and gives the commit again', async () => {
      const { dir, commitTime } = await made({ ref: 'main' });
      expect(readdirSync(dir)).toEqual(['bundle']);
      expect(statSync(`${dir}/bundle`).mode & 0o7777).toBe(0o644);
      expect(commitTime).toBe(1_600_000_000);
      expect(git(work, 'bundle', 'list-heads', `${dir}/bundle`)).toBe(`${second} refs/heads/main`);
      const again = await checkout({ bundle: bundleOf(`${dir}/bundle`), ref: 'main', checksum: second });
      expect(readFileSync(`${again.dir}/file`, 'utf8')).toBe('two');
      const older = await checkout({ bundle: bundleOf(`${dir}/bundle`), checksum: first });
      expect(readFileSync(`${older.dir}/file`, 'utf8')).toBe('one');
    });

    test.each<[string | (() => string), () => string]>([
      ['', () => `${second} refs/heads/main`],
      [() => first, () => `${first} refs/heads/main`],
      [() => tag, () => `${first} refs/heads/main`],
      ['refs/heads/main', () => `${second} refs/heads/main`],
      ['v1', () => `${first} refs/heads/v1`],
      ['refs/tags/v1', () => `${tag} refs/tags/v1`],
    ])('calls what %s stands for by the name that BuildKit gives it', async (ref, heads) => {
      const { dir } = await made({ ref: typeof ref === 'string' ? ref : ref() });
      expect(git(work, 'bundle', 'list-heads', `${dir}/bundle`)).toBe(heads());
    });

    test('of a bundle', async () => {
      const bundle = make('app', 'main');
      const { dir } = await checkout({ bundle, ref: 'main', checksum: second, checkoutBundle: true });
      expect(git(work, 'bundle', 'list-heads', `${dir}/bundle`)).toBe(`${second} refs/heads/main`);
    });

    test('twice is the same', async () => {
      const [one, two] = [await made({ ref: 'main' }), await made({ ref: 'main' })];
      expect(readFileSync(`${one.dir}/bundle`).equals(readFileSync(`${two.dir}/bundle`))).toBe(true);
    });
  });
});
