import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listTags, searchRegistry } from '../../src/registry/index.ts';
import { parseReference } from '../../src/image/index.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

let server: ScriptedRegistry;
beforeEach(async () => {
  server = await startScriptedRegistry();
});
afterEach(() => server[Symbol.asyncDispose]());

const options = { now: () => 0, limits: { attempts: 1, backoffMs: 1 }, limit: 25 };
const search = (term: string, limit = 25) => searchRegistry(testTask(), server.host, term, { ...options, limit });
const names = async (term: string, limit?: number): Promise<readonly string[]> =>
  (await search(term, limit)).map(({ name }) => name.replace(`${server.host}/`, ''));

describe('searching a registry', () => {
  test("by docker's search of old, where there is one", async () => {
    const results = [
      {
        name: 'library/debian',
        description: 'Debian\u001b[31m',
        star_count: 5,
        is_official: true,
        is_automated: false,
      },
      { name: 'other/debian' },
      { nothing: 1 },
      'nonsense',
    ];
    server.on('/v1/search', { body: JSON.stringify({ num_results: 3, results }) });
    expect(await search('debian')).toEqual([
      {
        name: `${server.host}/library/debian`,
        description: 'Debian^[[31m',
        stars: 5,
        official: true,
        automated: false,
      },
      { name: `${server.host}/other/debian`, description: '', stars: 0, official: false, automated: false },
    ]);
    expect(server.requests.map(({ url }) => url)).toEqual(['/v1/search?q=debian&n=25']);
  });

  test('else through the catalog, page by page, until there are enough', async () => {
    server.on('/v1/search', { status: 200, body: '<html>Welcome</html>' });
    server.on('/v2/_catalog', (request, response) => {
      const last = new URL(request.url ?? '', 'http://x').searchParams.get('last');
      const page = last === null ? ['a/app', 'b'] : last === 'b' ? ['c/app', 'd'] : ['e/app'];
      const link =
        last === 'd' ? {} : { link: `<http://elsewhere.example/v2/_catalog?last=${page.at(-1)}&n=2>; rel="next"` };
      response.writeHead(200, link).end(JSON.stringify({ repositories: page }));
    });
    expect(await names('app')).toEqual(['a/app', 'c/app', 'e/app']);
    server.on('/v1/search', { status: 404 });
    expect(await names('app', 2)).toEqual(['a/app', 'c/app']);
    expect(await names('')).toHaveLength(5);
  });

  test('whatever a registry calls its place in the list, as Quay does, all pages are read, and from nowhere else', async () => {
    server.on('/v2/a/app/tags/list', (request, response) => {
      const at = new URL(request.url ?? '', 'http://x').searchParams.get('next_page');
      const link = at === 'gB=' ? {} : { link: `<http://elsewhere.example/other?n=2&next_page=${at === null ? 'gA%3D' : 'gB%3D'}>; rel="next"` }; // prettier-ignore
      response
        .writeHead(200, link)
        .end(JSON.stringify({ tags: at === null ? ['1', '2'] : at === 'gA=' ? ['3'] : ['4'] }));
    });
    const reference = parseReference(`${server.host}/a/app`);
    expect(await listTags(testTask(), reference, options)).toEqual(['1', '2', '3', '4']);
    expect(server.requests.map(({ url }) => url)).toEqual([
      '/v2/a/app/tags/list?n=1000',
      '/v2/a/app/tags/list?n=2&next_page=gA%3D',
      '/v2/a/app/tags/list?n=2&next_page=gB%3D',
    ]);
  });

  test('a catalog without an end is given up', async () => {
    server.on('/v1/search', { status: 404 });
    server.on('/v2/_catalog', {
      headers: { link: '</v2/_catalog?last=x>; rel="next"' },
      body: '{"repositories":["x"]}',
    });
    expect(await names('app')).toEqual([]);
    expect(server.requests.length).toBeLessThan(10);
    let page = 0;
    server.on(
      '/v2/_catalog',
      (_, response) =>
        void response
          .writeHead(200, { link: `</v2/_catalog?last=${page++}>; rel="next"` })
          .end('{"repositories":["x"]}'),
    );
    expect(await names('app')).toEqual([]);
    expect(page).toBe(200);
  });

  test.each([401, 403, 404, 405])('a registry that answers %d offers no search', async (status) => {
    server.on('/v1/search', { status });
    server.on('/v2/_catalog', { status });
    await expect(search('app')).rejects.toMatchObject({
      code: 'TSB_REGISTRY',
      message: expect.stringContaining('it offers no search') as string,
      hint: expect.stringContaining('tsbuild login') as string,
    });
  });

  test('answers of another form are refused', async () => {
    server.on('/v1/search', { status: 404 });
    for (const body of ['[]', 'null', '{"repositories":null}']) {
      server.on('/v2/_catalog', { body });
      expect(await names('app')).toEqual([]);
    }
    for (const body of ['{"repositories":5}', '{']) {
      server.on('/v2/_catalog', { body });
      await expect(search('app')).rejects.toHaveProperty('code');
    }
  });

  test('the tags of a repository', async () => {
    server.on('/v2/a/app/tags/list', { body: '{"name":"a/app","tags":["1","2","latest"]}' });
    const tags = (name: string) => listTags(testTask(), parseReference(`${server.host}/${name}`), options);
    expect(await tags('a/app')).toEqual(['1', '2', 'latest']);
    // One page may have as many as an answer may be long; a caller takes no more than it wants.
    server.on('/v2/a/many/tags/list', { body: JSON.stringify({ tags: Array.from({ length: 200_000 }, () => '1') }) });
    expect(await tags('a/many')).toHaveLength(options.limit);
    await expect(tags('none')).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
  });
});
