import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandIn } from '../../fakes/command.ts';
import { WebServer } from '../../support/web-server.ts';
import { TempDir } from '../../tree/support.ts';

// A registry with docker's search of old, as the Docker Hub has it.
const RESULTS = [
  { name: 'debian', description: 'Debian is a Linux distribution that is composed entirely of free software.', star_count: 5000, is_official: true, is_automated: false },
  { name: 'team/debian', description: 'ours\u001b[2J\nand theirs', star_count: 3, is_official: false, is_automated: true },
  { name: 'team/plain', description: '', star_count: 0, is_official: false, is_automated: false },
]; // oxfmt-ignore
let web: WebServer;
let dir: TempDir;
beforeAll(async () => {
  dir = new TempDir();
  web = await WebServer.start(({ url = '' }, response) => {
    const path = url.split('?')[0];
    if (path === '/v2/') response.end('{}');
    else if (path === '/v1/search') response.end(JSON.stringify({ num_results: RESULTS.length, results: RESULTS }));
    else if (path === '/v2/team/app/tags/list') response.end('{"name":"team/app","tags":["1","2","latest"]}');
    else response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}');
  });
});
afterAll(async () => {
  await web[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});
const { run, ok } = commandIn(() => dir.path, {}, ['search', '--tls-verify=false']);
const host = (): string => `127.0.0.1:${web.port}`;

describe('search', () => {
  test('prints what docker prints, with descriptions of one line and forty-five characters', async () => {
    const rows = (await ok(`${host()}/debian`)).split('\n');
    expect(rows[0]).toMatch(/^NAME +DESCRIPTION +STARS +OFFICIAL$/);
    expect(rows[1]).toMatch(/debian +Debian is a Linux distribution that is compo… +5000 +\[OK\]$/);
    expect(rows).toHaveLength(RESULTS.length + 2);
    // A registry does not get to draw on the terminal.
    expect(rows.join('')).not.toContain('\u001b');
  });

  test('prints descriptions whole with --no-trunc, and what a template asks for', async () => {
    expect(await ok('--no-trunc', '--format', '{{.Description}}', '--filter', 'is-official=true', `${host()}/d`)).toBe(
      `${RESULTS[0]?.description}\n`,
    );
    expect(await ok('--format', '{{.StarCount}} {{.IsOfficial}}|{{.IsAutomated}}|{{.Index}}', `${host()}/d`)).toBe(
      `5000 [OK]||${host()}\n3 |[OK]|${host()}\n0 ||${host()}\n`,
    );
  });

  test.each([
    [['stars=3'], ['debian', 'team/debian']],
    [['stars=4'], ['debian']],
    [['is-official'], ['debian']],
    [['is-official=false'], ['team/debian', 'team/plain']],
    [['is-automated=true'], ['team/debian']],
    [['is-official=false', 'stars=1'], ['team/debian']],
    // Several in one, as podman has them.
    [['is-official=false,is-automated=false'], ['team/plain']],
  ])('--filter %j finds %j', async (filters, names) => {
    const words = filters.flatMap((filter) => ['--filter', filter]);
    const found = await ok('--format', '{{.Name}}', ...words, `${host()}/d`);
    expect(found.split('\n').filter(Boolean)).toEqual(names.map((name) => `${host()}/${name}`));
  });

  test.each(['stars', 'stars=', 'stars=3=4', 'stars=-1', 'stars=many', 'is-official=', 'is-official=maybe', 'official', 'Stars=3', ''])(
    '--filter %j is refused with those that there are, before anybody is asked',
    async (filter) => {
      const asked = web.seen.length;
      // Nothing at all is no filter.
      const { code, err } = await run('--filter', filter, `${host()}/d`);
      if (filter === '') return expect(code, err).toBe(0);
      expect(code).toBe(2);
      expect(err).toBe(
        `error: Cannot use --filter ${JSON.stringify(filter)}\nhint: there are stars=NUMBER, is-official=true|false and is-automated=true|false\n`,
      );
      return expect(web.seen.length).toBe(asked);
    },
  ); // oxfmt-ignore

  test('takes a name as podman and skopeo write it', async () => {
    expect(await ok('--list-tags', '--format', '{{.Tag}}', `docker://${host()}/team/app`)).toBe('1\n2\nlatest\n');
    await ok(`docker://${host()}/debian`);
    expect(web.seen.at(-1)?.path).toBe('/v1/search?q=debian&n=25');
  });

  test('asks for as many as are wanted, and shows no more', async () => {
    expect(await ok('--limit', '2', '--format', '{{.Name}}', `${host()}/d`)).toBe(
      `${host()}/debian\n${host()}/team/debian\n`,
    );
    expect(web.seen.at(-1)?.path).toBe('/v1/search?q=d&n=2');
    expect(JSON.parse(await ok('--list-tags', '--limit', '1', '--format', 'json', `${host()}/team/app`))).toEqual({
      Name: `${host()}/team/app`,
      Tags: ['1'],
    });
  });

  test.each(['0', '-1', '1.5', 'x', '', '1000000000'])('--limit %j is refused', async (limit) => {
    const { code, err } = await run('--limit', limit, `${host()}/d`);
    expect(code).toBe(2);
    expect(err).toBe(`error: Cannot use --limit ${JSON.stringify(limit)}: expected a number from 1 on\n`);
  });

  test('of tags of a repository that is not there says so', async () => {
    const { code, out, err } = await run('--list-tags', `${host()}/team/none`);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain(`Cannot list the tags of "${host()}/team/none"`);
  });
});
