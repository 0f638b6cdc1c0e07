import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatList } from '../../src/cli/lists/format-list.ts';
import { filesOfGlob, isGlob, requireMatch } from '../../src/cli/options/globs.ts';
import { parseHosts } from '../../src/cli/options/hosts.ts';
import { parseImageFilters } from '../../src/cli/options/image-filters.ts';
import { parseLockOptions } from '../../src/cli/options/lock-options.ts';
import { collect, parseLists, parsePairs } from '../../src/cli/options/options.ts';
import { parseSecrets } from '../../src/cli/options/secrets.ts';
import type { ImageListEntry } from '../../src/exporter/index.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';
import { fakeContext } from '../fakes/cli-context.ts';
import { TempDir } from '../tree/support.ts';

/** The message of a mistake in what was typed, with what to do; what else is thrown is a fault. */
async function usage(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE') || isTsbuildError(error, 'TSB_NOT_FOUND'))
      return `${error.message}\n${error.hint ?? ''}`;
    throw error;
  }
  return 'no mistake';
}

describe('NAME=VALUE', () => {
  test('takes all behind the first =, and the last of a name', () => {
    expect([...parsePairs('--label', ['a=b=c', 'd=', 'a=e'])]).toEqual([
      ['a', 'e'],
      ['d', ''],
    ]);
  });

  test('without a value is what the surroundings have, where that is meant', async () => {
    expect([...parsePairs('--build-arg', ['A', 'B'], (key) => (key === 'A' ? 'x' : undefined))]).toEqual([['A', 'x']]);
    expect(await usage(() => parsePairs('--label', ['A']))).toMatch(
      /^Cannot use --label "A": the value is missing\nwrite --label A=VALUE/,
    );
    expect(await usage(() => parsePairs('--label', ['=x']))).toMatch(/the name is missing/);
  });

  test('lists are cut at commas, and repeated options add up', () => {
    expect(parseLists(['a, b', '', ',c,'])).toEqual(['a', 'b', 'c']);
    expect(parseLists(undefined)).toEqual([]);
    expect(collect('b', collect('a', undefined))).toEqual(['a', 'b']);
    // What is called --no-… begins as true.
    expect(collect('a', true)).toEqual(['a']);
  });
});

describe('--add-host', () => {
  test.each([
    ['db=10.0.0.1', 'db', '10.0.0.1'],
    ['db:10.0.0.1', 'db', '10.0.0.1'],
    ['db=::1', 'db', '::1'],
    ['db:[2001:db8::1]', 'db', '2001:db8::1'],
    ['here=host-gateway', 'here', '127.0.0.1'],
  ])('%s', async (text, host, ip) => {
    expect(await parseHosts([text])).toEqual([{ host, ip }]);
  });

  test.each([
    'db',
    'db=',
    '=10.0.0.1',
    'db=10.0.0',
    'db=name',
    'a b=10.0.0.1',
    'db=fe80::1%eth0',
    'db=10.0.0.1\n0.0.0.0 x',
  ])('%j is none', async (text) => {
    expect(await usage(() => parseHosts([text]))).toMatch(/expected NAME=IP/);
  });

  test('whatever is taken is one line of a file of hosts', async () => {
    const text = fc.oneof(
      fc.string(),
      fc.tuple(fc.string(), fc.ipV4()).map((parts) => parts.join('=')),
    );
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const said = await usage(async () => {
          for (const { host, ip } of await parseHosts([value]))
            expect(`${ip}\t${host}`).toMatch(/^[0-9a-fA-F.:]+\t\S+$/);
        });
        expect(said).toMatch(/^no mistake$|expected NAME=IP/);
      }),
    );
  });
});

describe('--secret', () => {
  const read = (text: string, env: Readonly<Record<string, string>> = {}) =>
    parseSecrets(fakeContext({ cwd: '/project', env }), [text]).get('id');
  test.each<[string, Readonly<Record<string, string>>, unknown]>([
    ['id=id', {}, { kind: 'file', path: '/project/id' }],
    ['id=id', { id: 'value' }, { kind: 'value', value: 'value' }],
    ['id=id,src=a/b', {}, { kind: 'file', path: '/project/a/b' }],
    ['id=id,source=/a', { id: 'value' }, { kind: 'file', path: '/a' }],
    ['id=id,env=TOKEN', { TOKEN: 't' }, { kind: 'value', value: 't' }],
    ['id=id,env=TOKEN', {}, { kind: 'value', value: '', unset: 'TOKEN' }],
    ['type=env,id=id', { id: 'value' }, { kind: 'value', value: 'value' }],
    ['type=env,id=id,src=TOKEN', { TOKEN: 't' }, { kind: 'value', value: 't' }],
    ['type=file,id=id', { id: 'value' }, { kind: 'file', path: '/project/id' }],
    ['"id=id","src=with, comma"', {}, { kind: 'file', path: '/project/with, comma' }],
    ['ID=id,SRC=x', {}, { kind: 'file', path: '/project/x' }],
  ])('%s with %j', (text, env, secret) => {
    expect(read(text, env)).toEqual(secret);
  });

  test.each([
    ['src=x', /the id is missing/],
    ['id=', /the id is missing/],
    ['id=a,nonsense=b', /unexpected "nonsense=b"/],
    ['id=a,optional', /unexpected "optional"/],
    ['id=a,type=vault', /unsupported secret type "vault"/],
    ['"id=a', /a quote is not closed/],
  ])('%s is refused', async (text, why) => {
    expect(await usage(() => read(text))).toMatch(why);
  });
});

describe('the lock file', () => {
  const lock = (options: Parameters<typeof parseLockOptions>[1], contextDir: string | undefined = '/ctx') =>
    parseLockOptions('/project', options, contextDir);

  test('lies in the context, or where it is said; in no context it is looked for on request only', () => {
    expect(lock({})).toEqual({ path: '/ctx/tsbuild.lock', named: false, policy: { kind: 'use' } });
    expect(lock({ lockFile: 'sub/own.lock' })).toEqual({
      path: '/project/sub/own.lock',
      named: true,
      policy: { kind: 'use' },
    });
    expect(parseLockOptions('/project', {}, undefined)).toBeUndefined();
    for (const options of [{ locked: true }, { network: 'record' }, { network: 'locked' }])
      expect(parseLockOptions('/project', options, undefined)).toMatchObject({ path: '/project/tsbuild.lock' });
    // It is written then.
    expect(lock({ lockFile: 'own.lock', network: 'record' })).toMatchObject({ named: false });
  });

  test('counts alone, or is written, or a part of it', () => {
    expect(lock({ locked: true })?.policy).toEqual({ kind: 'locked' });
    expect(lock({ updateLock: true })?.policy).toEqual({ kind: 'update' });
    expect(lock({ updateLockName: ['debian:12'] })?.policy).toEqual({ kind: 'update', names: ['debian:12'] });
    expect(lock({ updateLock: true, updateLockName: ['x'] })?.policy).toEqual({ kind: 'update' });
  });

  test.each([
    [{ locked: true, updateLock: true }, /Cannot use --locked with --update-lock/],
    [{ locked: true, updateLockName: ['x'] }, /Cannot use --locked with --update-lock/],
    [{ offline: true, updateLock: true }, /Cannot use --offline with --update-lock/],
    [{ offline: true, pull: true }, /Cannot use --offline with --pull/],
    [{ lockFile: '' }, /it is no path/],
  ])('%j is refused', async (options, why) => {
    expect(await usage(() => lock(options))).toMatch(why);
  });
});

describe('images --filter', () => {
  const image = (name: string, created: string, more: Partial<ImageListEntry> = {}): ImageListEntry => ({
    name: `docker.io/library/${name}`,
    familiar: name,
    digest: sha256(`digest ${name}`),
    id: sha256(`id ${name}`),
    platforms: ['linux/amd64'],
    size: 1,
    created,
    namedAt: 0,
    ...more,
  });
  const all = [
    image('old:1', '2024-01-01T00:00:00Z', { labels: { team: 'a' } }),
    image('mid:1', '2024-02-01T00:00:00Z', { labels: { team: 'b', only: '' } }),
    image('new:latest', '2024-03-01T00:00:00Z'),
  ];
  const shown = (...filters: readonly string[]): readonly string[] => {
    const accepts = parseImageFilters(filters, all, Date.parse('2024-03-02T00:00:00Z'));
    return all.filter(accepts).map(({ familiar }) => familiar);
  };

  test.each<[readonly string[], readonly string[]]>([
    [[], ['old:1', 'mid:1', 'new:latest']],
    [['reference=old'], ['old:1']],
    [['reference=*:1'], ['old:1', 'mid:1']],
    [['reference=docker.io/library/new'], ['new:latest']],
    [
      ['reference=old', 'reference=new'],
      ['old:1', 'new:latest'],
    ],
    [['label=team'], ['old:1', 'mid:1']],
    [['label=team=b'], ['mid:1']],
    [['label=team', 'label=only'], ['mid:1']],
    [['label=toString'], []],
    [['before=mid:1'], ['old:1']],
    [['since=mid:1'], ['new:latest']],
    [['since=old:1', 'before=new'], ['mid:1']],
    [['until=48h'], ['old:1', 'mid:1']],
    [['until=2024-01-15'], ['old:1']],
    [['dangling=true'], []],
    [['dangling=false'], ['old:1', 'mid:1', 'new:latest']],
    [['since=' + sha256('id mid:1').slice(7, 19)], ['new:latest']],
    [['reference=*:1', 'label=team=b'], ['mid:1']],
    [['label!=team'], ['new:latest']],
    [
      ['label!=team=b', 'reference=*'],
      ['old:1', 'new:latest'],
    ],
    [['reference!=old', 'reference!=new'], ['mid:1']],
    [['reference=*:1', 'reference!=old'], ['mid:1']],
    [['dangling!=true'], ['old:1', 'mid:1', 'new:latest']],
  ])('%j', (filters, names) => {
    expect(shown(...filters)).toEqual(names);
  });

  test.each([
    ['size=1', /Cannot use --filter "size=1"[^]*reference=PATTERN/],
    ['nonsense', /Cannot use --filter/],
    ['dangling=perhaps', /Cannot use --filter/],
    ['until=soon', /Cannot use --filter until "soon"/],
    ['until=2024-13-45', /Cannot use --filter until "2024-13-45"/],
    ['reference!x', /Cannot use --filter/],
    ['nonsense!=x', /Cannot use --filter/],
    ['before=none', /no such image/],
    ['reference=[', /malformed/],
  ])('%s is refused', async (filter, why) => {
    expect(await usage(() => shown(filter))).toMatch(why);
  });
});

describe('--format of lists', () => {
  const list = {
    columns: [
      ['NAME', 'Name'],
      ['SIZE', 'Size'],
    ] as const,
    headers: { CreatedAt: 'MADE' },
    rows: [
      { Name: 'a', Size: '1kB', CreatedAt: 'today' },
      { Name: 'longer', Size: '2B', CreatedAt: 'then' },
    ],
    json: [{ name: 'a' }],
  };
  test.each([
    [undefined, 'NAME    SIZE\na       1kB\nlonger  2B\n'],
    ['table', 'NAME    SIZE\na       1kB\nlonger  2B\n'],
    ['json', '[\n  {\n    "name": "a"\n  }\n]\n'],
    ['{{.Name}}={{.Size}}', 'a=1kB\nlonger=2B\n'],
    [String.raw`{{.Name}}\t{{.Size}}`, 'a\t1kB\nlonger\t2B\n'],
    [String.raw`table {{.Name}}\t{{.CreatedAt}}`, 'NAME    MADE\na       today\nlonger  then\n'],
    ['{{upper .Name}}', 'A\nLONGER\n'],
  ])('%j', (format, text) => {
    expect(formatList(format, list)).toBe(text);
  });

  test.each(['{{', '{{.Nope}}', '{{nope .Name}}'])('%j is refused', async (format) => {
    expect(await usage(() => formatList(format, list))).not.toBe('no mistake');
  });

  test('of no rows is a header alone', () => {
    expect(formatList('table {{.Name}}', { ...list, rows: [] })).toBe('NAME\n');
    expect(formatList('{{.Name}}', { ...list, rows: [] })).toBe('');
  });
});

describe('patterns of files', () => {
  const files = [
    'Dockerfile',
    'a/Dockerfile',
    'a/b/Dockerfile.dev',
    'a/.hidden/Dockerfile',
    'node_modules/x/Dockerfile',
    '.git/Dockerfile',
    'c.txt',
  ];
  async function found(pattern: string, exclude: readonly string[] = [], below = ''): Promise<readonly string[]> {
    using dir = new TempDir();
    for (const file of files) dir.write(file);
    dir.link('a', 'linked');
    dir.link('nowhere', 'a/dangling-Dockerfile');
    dir.mkdir('sub');
    return await filesOfGlob(pattern, { cwd: `${dir.path}${below}`, exclude });
  }

  test.each<[string, readonly string[], readonly string[]]>([
    ['**/Dockerfile', [], ['Dockerfile', 'a/.hidden/Dockerfile', 'a/Dockerfile']],
    ['**/Dockerfile*', ['a/b'], ['Dockerfile', 'a/.hidden/Dockerfile', 'a/Dockerfile']],
    ['**/Dockerfile*', ['**/.hidden'], ['Dockerfile', 'a/Dockerfile', 'a/b/Dockerfile.dev']],
    ['node_modules/**/Dockerfile', [], ['node_modules/x/Dockerfile']],
    ['**/node_modules/**/Dockerfile', [], ['node_modules/x/Dockerfile']],
    ['*', [], ['Dockerfile', 'c.txt']],
    ['a/*-Dockerfile', [], ['a/dangling-Dockerfile']],
    ['{a,b}/Dockerfile', [], ['a/Dockerfile']],
    ['?/Dockerfile', [], ['a/Dockerfile']],
    ['{x,?}/?/D*.de?', [], ['a/b/Dockerfile.dev']],
    ['[a?]/Dockerfile', [], ['a/Dockerfile']],
    ['?(a)/Dockerfile', [], ['a/Dockerfile']],
    ['\\?/Dockerfile', [], []],
    ['?Dockerfile', [], []],
    ['none*', [], []],
  ])('%s without %j', async (pattern, exclude, expected) => {
    expect(await found(pattern, exclude)).toEqual(expected);
  });

  test('may lead out of the directory, and are spelled as they were typed', async () => {
    expect(await found('../**/Dockerfile.*', [], '/sub')).toEqual(['../a/b/Dockerfile.dev']);
    expect(await found('../?/?/Dockerfile.*', [], '/sub')).toEqual(['../a/b/Dockerfile.dev']);
  });

  test('are told from names', async () => {
    for (const word of ['*', 'a/**', '{a,b}', '[ab]', 'a?']) expect(await isGlob(word), word).toBe(true);
    for (const word of ['a', 'a/b.txt', '..', '/x/y']) expect(await isGlob(word), word).toBe(false);
  });

  test('of which none is found are a mistake', async () => {
    expect(await usage(() => requireMatch('**/x', []))).toMatch(
      /^Cannot check "\*\*\/x": no file matches\n\*\*\/ stands for/,
    );
    expect(await usage(() => requireMatch('x', ['x']))).toBe('no mistake');
  });
});
