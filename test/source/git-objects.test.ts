import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offlineRefusals } from '../../src/pins/index.ts';
import { type GitCommit, type GitRequest, GitSource } from '../../src/source/index.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { objectOf } from '../support/signed-repository.ts';
import { plainRequest } from './plain-request.ts';
import { testTask } from '../support/task.ts';
import type { WebServer } from '../support/web-server.ts';

describe.runIf(hasGit)('commits and tags as git keeps them', () => {
  const repositories = new Repositories();
  const work = mkdtempSync(join(tmpdir(), 'tsbuild-git-objects-'));
  const facts = new Map<string, unknown>();
  let web: WebServer;
  let [first, second, tag] = ['', '', ''];
  beforeAll(async () => {
    first = repositories.create('app', { file: 'one' });
    repositories.git('app', 'tag', '-a', '-m', 'annotated', 'v1');
    repositories.git('app', 'tag', '-a', '-m', 'of a tag', 'v2', 'v1');
    tag = repositories.git('app', 'rev-parse', 'v1');
    second = repositories.commit('app', { file: 'two' });
    web = await repositories.serve();
  });
  afterAll(async () => {
    await web[Symbol.asyncDispose]();
    repositories[Symbol.dispose]();
    rmSync(work, { recursive: true });
  });

  const source = (offline = false): GitSource =>
    new GitSource({
      temporary: () => mkdtempSync(join(work, 'x')),
      home: '/nonexistent',
      now: () => 0,
      facts: {
        get: (kind, key) => (facts.has(`${kind} ${key}`) ? { value: facts.get(`${kind} ${key}`) } : undefined),
        put: (kind, key, value) => void facts.set(`${kind} ${key}`, JSON.parse(JSON.stringify(value))),
      },
      ...(offline ? { offline: offlineRefusals() } : {}),
    });
  const requestOf = (ref: string): GitRequest => ({ ...plainRequest, url: `${web.url}/app`, ref });
  const objects = (commit: GitCommit, from = source()) => from.objects(testTask(), requestOf(commit.sha), commit);

  test('come with the tag that they were asked for by, are asked for once, and leave nothing', async () => {
    const commit = objectOf(repositories, 'app', 'v1^{commit}');
    for (const name of ['v1', 'v2']) {
      const asked = await source().resolve(testTask(), requestOf(name));
      expect(await objects(asked)).toEqual({ commit, tag: objectOf(repositories, 'app', name) });
      expect(await objects(asked, source(true))).toEqual({ commit, tag: objectOf(repositories, 'app', name) });
    }
    expect(await objects({ sha: second })).toEqual({ commit: objectOf(repositories, 'app', second) });
    await expect(objects({ sha: first }, source(true))).rejects.toThrow(/offline/);
    expect(readdirSync(work)).toEqual([]);
  });

  test('of a tag are those that it names, and not those that a server lists beside it (GIT-09)', async () => {
    const listed: GitCommit = { ref: 'refs/tags/v1', sha: tag, commit: second };
    const lie = `Cannot load tag ${tag}: it was listed as commit ${second}, and is ${first}`;
    for (const known of [true, false]) {
      if (!known) facts.clear();
      await expect(objects(listed)).rejects.toMatchObject({ code: 'TSB_DIGEST', message: lie });
    }
    for (const more of [{}, { checkoutBundle: true }]) {
      const checkout = source().checkout(testTask(), { ...requestOf('v1'), ...more }, listed);
      await expect(checkout).rejects.toMatchObject({ code: 'TSB_DIGEST', message: lie });
    }
    expect(readdirSync(work)).toEqual([]);
  });
});
