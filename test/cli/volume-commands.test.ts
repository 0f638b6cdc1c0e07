import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ContainerRecord, Containers, Volumes } from '../../src/containers/index.ts';
import { Store } from '../../src/store/index.ts';
import { commandIn } from '../fakes/command.ts';

// Volumes are directories of the store: nothing of this needs a namespace.
let root = '';
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-volume-cli-'));
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const storePath = (): string => join(root, 'store');
const { run, ok } = commandIn(() => root, { now: () => Date.UTC(2026, 0, 1) }, ['volume']);
const lines = async (...words: string[]): Promise<readonly string[]> =>
  (await ok(...words)).split('\n').filter(Boolean);

/** Does something with the store, as another command would. */
function inStore<T>(work: (store: Store) => T): T {
  using store = Store.open(storePath(), { now: () => Date.UTC(2026, 0, 1) });
  return work(store);
}
/** A container that has volumes, and does not run. */
function container(name: string, ...volumes: readonly string[]): void {
  const id = Buffer.from(name).toString('hex').padEnd(64, '0');
  const record = {
    format: 1,
    id,
    created: '2026-01-01T00:00:00.000Z',
    image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
    labels: {},
    step: { args: ['true'], mounts: volumes.map((volume) => ({ type: 'bind', volume, target: `/${volume}` })) },
  } as unknown as ContainerRecord;
  inStore((store) => new Containers(store).create(record, name, { layers: [], blobs: [] }, 0));
}
/** A volume that no one has named. */
const nameless = (): string => inStore((store) => new Volumes(store).ensure(undefined, 0).name);

describe('volume create', () => {
  test('prints the name, its own or one that is made up; what is there stays as it is', async () => {
    expect(await ok('create', 'db', '--label', 'job=7', '--label', 'keep')).toBe('db\n');
    const file = join(storePath(), 'volumes/db/data/file');
    fs.writeFileSync(file, 'kept');
    expect(await ok('create', 'db', '--label', 'job=8')).toBe('db\n');
    expect(fs.readFileSync(file, 'utf8')).toBe('kept');
    expect(await ok('inspect', 'db', '--format', '{{json .Labels}}')).toBe('{"job":"7","keep":""}\n');
    const [made = ''] = await lines('create');
    expect(made).toMatch(/^[0-9a-f]{64}$/);
    expect(await lines('ls', '-q')).toEqual([made, 'db'].toSorted());
  });

  test('a made-up name is still one that was asked for, and not swept with those of containers', async () => {
    const [made = ''] = await lines('create');
    await ok('prune');
    expect(await lines('ls', '-q')).toEqual([made]);
  });

  test('what cannot be a name is refused before anything is made', async () => {
    for (const name of ['../x', 'a/b', '.hidden', 'a b', 'x'.repeat(256)]) {
      const { code, err } = await run('create', name);
      expect(code).not.toBe(0);
      expect(err).toMatch(/^error: Cannot name a volume .*\nhint: a name has letters, digits/);
    }
    expect(await ok('ls', '-q')).toBe('');
    expect(fs.existsSync(join(root, 'x'))).toBe(false);
  });
});

describe('volume ls', () => {
  beforeEach(async () => {
    await ok('create', 'data-one', '--label', 'tier=front');
    await ok('create', 'data-two', '--label', 'tier=back');
    await ok('create', 'logs');
    container('web', 'data-one');
  });

  test('is a table as docker has it, JSON, or what a template says', async () => {
    expect(await lines('ls')).toEqual([
      expect.stringMatching(/^DRIVER\s+VOLUME NAME\s*$/),
      expect.stringMatching(/^local\s+data-one\s*$/),
      expect.stringMatching(/^local\s+data-two\s*$/),
      expect.stringMatching(/^local\s+logs\s*$/),
    ]);
    expect(JSON.parse(await ok('ls', '--format=json'))).toEqual([
      expect.objectContaining({ Name: 'data-one', Driver: 'local', Scope: 'local', Labels: 'tier=front' }),
      expect.objectContaining({ Name: 'data-two', CreatedAt: '2026-01-01T00:00:00.000Z' }),
      expect.objectContaining({ Name: 'logs', Mountpoint: join(storePath(), 'volumes/logs/data'), Labels: '' }),
    ]);
    expect(await lines('ls', '--format', '{{.Name}}={{.Labels}}')).toEqual([
      'data-one=tier=front',
      'data-two=tier=back',
      'logs=',
    ]);
  });

  test.each<readonly [filters: readonly string[], expected: readonly string[]]>([
    [['name=data'], ['data-one', 'data-two']],
    [['label=tier'], ['data-one', 'data-two']],
    [['label=tier=back'], ['data-two']],
    [['label=tier='], []],
    [['dangling=true'], ['data-two', 'logs']],
    [['dangling=1', 'name=data'], ['data-two']],
    [['dangling=false'], ['data-one']],
    [['driver=local', 'name=one'], ['data-one']],
    [['driver=nfs'], []],
    [['name=nothing'], []],
  ])('--filter %j leaves %j', async (filters, expected) => {
    expect(await lines('ls', '-q', ...filters.flatMap((filter) => ['--filter', filter]))).toEqual(expected);
  });

  test('a filter that there is not is refused with those that there are', async () => {
    for (const [filter, why] of [
      ['until=1h', 'there is no filter "until"'],
      ['dangling=perhaps', 'expected true or false'],
      ['dangling', 'expected NAME=VALUE'],
      ['x', 'expected NAME=VALUE'],
    ] as const) {
      const { code, out, err } = await run('ls', '--filter', filter);
      expect(code).not.toBe(0);
      expect(out).toBe('');
      expect(err).toBe(
        `error: Cannot use --filter ${JSON.stringify(filter)}: ${why}\nhint: there are name=, label=NAME[=VALUE], driver= and dangling=true\n`,
      );
    }
  });
});

describe('volume inspect', () => {
  test('tells all in the order in which they were named, and says of one that nobody named it', async () => {
    await ok('create', 'b', '--label', 'x=y');
    const anonymous = nameless();
    const told = JSON.parse(await ok('inspect', anonymous, 'b')) as Record<string, unknown>[];
    expect(told).toEqual([
      expect.objectContaining({ Name: anonymous, Anonymous: true }),
      {
        CreatedAt: '2026-01-01T00:00:00.000Z',
        Driver: 'local',
        Labels: { x: 'y' },
        Mountpoint: join(storePath(), 'volumes/b/data'),
        Name: 'b',
        Options: {},
        Scope: 'local',
      },
    ]);
  });

  test('one that is not there is an error with what was perhaps meant, and the others are printed', async () => {
    await ok('create', 'database');
    await ok('create', 'other');
    const { code, out, err } = await run('inspect', 'database', 'databse', 'other');
    expect(code).toBe(1);
    expect((JSON.parse(out) as { Name: string }[]).map(({ Name }) => Name)).toEqual(['database', 'other']);
    expect(err).toBe('error: No such volume: databse\nhint: did you mean "database"?\n');
  });

  test.each(['json', ''])('--format %j is the whole document, as with docker', async (format) => {
    await ok('create', 'b');
    expect(JSON.parse(await ok('inspect', 'b', '--format', format))).toEqual(JSON.parse(await ok('inspect', 'b')));
  });

  test('a template that cannot be read is told before the store is opened', async () => {
    const { code, err } = await run('inspect', 'x', '--format', '{{.Name');
    expect(code).not.toBe(0);
    expect(err).toMatch(/^error: /);
    expect(err).not.toContain('No such volume');
    expect(fs.existsSync(storePath())).toBe(false);
  });
});

describe('volume rm and prune', () => {
  test('one that a container has, or that is not there, does not keep the others', async () => {
    for (const name of ['one', 'two', 'used']) await ok('create', name);
    container('web', 'used');
    const { code, out, err } = await run('rm', 'one', 'used', 'nowhere', 'two');
    expect(code).toBe(1);
    expect(out).toBe('one\ntwo\n');
    expect(err).toMatch(/^error: Cannot remove volume used: container web has it\nhint: .*tsbuild rm -f web\n/);
    expect(err).toContain('error: No such volume: nowhere\n');
    expect(await lines('ls', '-q')).toEqual(['used']);
    expect(fs.readdirSync(join(storePath(), 'volumes'))).toEqual(['used']);
  });

  test('--force does not mind those that are not there, and minds those that are used', async () => {
    await ok('create', 'used');
    container('web', 'used');
    expect(await run('rm', '--force', 'nowhere')).toEqual({ code: 0, out: '', err: '' });
    expect(await run('rm', '--force', 'used')).toMatchObject({ code: 1, out: '' });
    expect(await lines('ls', '-q')).toEqual(['used']);
  });

  test('prune removes those that nobody has named or has; with --all --force named ones, too', async () => {
    await ok('create', 'named', '--label', 'keep');
    await ok('create', 'other');
    await ok('create', 'used');
    const [lost, held] = [nameless(), nameless()];
    container('web', 'used', held);
    expect(await lines('prune')).toEqual([lost]);
    expect(await lines('ls', '-q')).toEqual([held, 'named', 'other', 'used'].toSorted());
    const refused = await run('prune', '--all');
    expect(refused.code).not.toBe(0);
    expect(refused.err).toContain('hint: what is in them cannot be made again; add --force');
    expect(await lines('prune', '--all', '--force', '--filter', 'label=keep')).toEqual(['named']);
    expect(await lines('prune', '--all', '--force')).toEqual(['other']);
    expect(await lines('ls', '-q')).toEqual([held, 'used'].toSorted());
    expect(await ok('prune', '--all', '--force')).toBe('');
  });
});
