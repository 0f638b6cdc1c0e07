import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ContainerRecord, Containers, Volumes } from '../../src/containers/index.ts';
import { Store } from '../../src/store/index.ts';
import { commandIn } from '../fakes/command.ts';
import { TempDir } from '../tree/support.ts';

// Containers that were made and never started are files of the store: nothing of this needs a namespace.
const NOW = Date.UTC(2026, 0, 31, 12);
let dir: TempDir;
beforeAll(() => {
  dir = new TempDir();
  using store = Store.open(join(dir.path, 'store'), { now: () => NOW });
  const containers = new Containers(store);
  const make = (name: string, created: string, labels: object, more: object = {}): void => {
    const id = Buffer.from(name).toString('hex').padEnd(64, '0');
    const record = {
      format: 1,
      id,
      created,
      image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
      imageConfig: { os: 'linux', config: {} },
      restart: { name: 'no', most: 0 },
      labels,
      step: { args: ['sleep', '👍'.repeat(20)], network: 'host', env: [], mounts: [], ...more },
    } as unknown as ContainerRecord;
    containers.create(record, name, { layers: [], blobs: [] }, 0);
  };
  make('web', '2026-01-31T11:00:00.000Z', { 'com.example.build-number': '7', tier: 'front' });
  const mounts = [
    { type: 'bind', volume: 'data', source: '/store/volumes/data/data', target: '/data' },
    { type: 'bind', source: '/host/dir', target: '/dir' },
    { type: 'tmpfs', target: '/tmp' },
  ];
  make('db', '2026-01-31T10:00:00.000Z', { tier: 'back' }, { mounts });
  new Volumes(store).ensure('data', 0, { 'com.example.owner': 'team', keep: '' }, false);
});
afterAll(() => dir[Symbol.dispose]());

const storePath = (): string => join(dir.path, 'store');
const { run, ok } = commandIn(() => dir.path, { now: () => NOW });

describe('ps', () => {
  const ps = (...words: string[]): Promise<string> => ok('ps', '-a', ...words);

  test('has a label of its own in formats, and its header in tables', async () => {
    expect(await ps('--format', '{{.Names}} {{.Label "tier"}} [{{.Label "none"}}]')).toBe('web front []\ndb back []\n');
    expect(await ps('--format', 'table {{.Names}}\t{{.Label "com.example.build-number"}}')).toBe(
      'NAMES  build number\nweb    7\ndb\n',
    );
    expect(await ps('--format', '{{.Label "toString"}}')).toBe('\n\n');
    expect(await ps('--format', '{{if eq (.Label "tier") "back"}}{{.Names}}{{end}}')).toBe('\ndb\n');
  });

  test.each([
    ['{{.Label}}', '".Label": expected the name of one label'],
    ['{{.Label 1}}', '".Label": expected the name of one label'],
    ['{{.Label "a" "b"}}', '".Label": expected the name of one label'],
    ['{{.Names "a"}}', '".Names" is no function, and has arguments'],
    ['{{.Nmaes}}', 'did you mean ".Names"?'],
  ])('%s is refused', async (format, why) => {
    const { code, out, err } = await run('ps', '-a', '--format', format);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(why);
  });

  test('shows volumes by their names, and directories of the machine by their paths', async () => {
    expect(await ps('--format', '{{.Names}}={{.Mounts}}')).toBe('web=\ndb=data,/host/dir\n');
  });

  test('cuts a command between characters, or not at all', async () => {
    const [shown] = (await ps('--format', '{{.Command}}', '-f', 'name=web')).split('\n');
    expect(shown).toBe(`"sleep ${'👍'.repeat(6)}…"`);
    expect(await ps('--no-trunc', '--format', '{{.Command}}', '-f', 'name=web')).toBe(`"sleep ${'👍'.repeat(20)}"\n`);
  });

  test('of nothing is a header of whatever the table has, an empty list, or nothing', async () => {
    const none = (format: string): Promise<string> => ok('ps', '--format', format);
    expect(await none('table {{.Names}}\t{{.State}}\t{{.Labels}}')).toBe('NAMES  STATE  LABELS\n');
    expect(await none('table {{.Label "a.b_c"}}')).toBe('b c\n');
    expect(await none('json')).toBe('[]\n');
    expect(await none('{{.Names}}')).toBe('');
    expect(await ok('ps', '-q')).toBe('');
    expect(await ok('ps')).toBe('CONTAINER ID  IMAGE  COMMAND  CREATED  STATUS  PORTS  NAMES\n');
  });

  test('prints its rows as JSON by what docker calls them, and ids short or whole', async () => {
    const rows = JSON.parse(await ps('--format=json')) as Record<string, string>[];
    expect(rows).toHaveLength(2);
    expect(rows[1]).toEqual({
      ID: '646200000000',
      Image: 'app:1',
      Command: `"sleep ${'👍'.repeat(6)}…"`,
      CreatedAt: '2026-01-31T10:00:00.000Z',
      RunningFor: '2 hours ago',
      State: 'created',
      Status: 'Created',
      Ports: '',
      Names: 'db',
      Labels: 'tier=back',
      Mounts: 'data,/host/dir',
      LocalVolumes: '1',
      Networks: 'host',
      Size: '0B',
    });
    expect(await ps('-q', '--no-trunc', '-f', 'name=db')).toBe(`${'6462'.padEnd(64, '0')}\n`);
  });

  test.each<[readonly string[], readonly string[]]>([
    [['-n', '1'], ['web']],
    [['-l'], ['web']],
    [['-n', '0'], []],
    [
      ['-f', 'status=created'],
      ['web', 'db'],
    ],
    [['-a', '-f', 'label=tier=front'], ['web']],
    [['-a', '-f', 'label!=tier=front'], ['db']],
    [['-a', '-f', 'name!=web', '-f', 'label=tier'], ['db']],
    [['-a', '-f', 'before=web'], ['db']],
    [['-a', '-f', 'since=db'], ['web']],
    [['-a', '-f', 'ancestor='], []],
  ])('%j shows %j', async (words, names) => {
    expect((await ok('ps', '--format', '{{.Names}}', ...words)).split('\n').filter(Boolean)).toEqual(names);
  });

  test.each([
    [['-n', 'two'], 'Cannot use --last "two": expected a number'],
    [['-f', 'lable=x'], 'Cannot use --filter "lable=x": there is no filter "lable"\nhint: did you mean "label"?'],
    [['-f', 'before=none'], 'none'],
  ])('%j is refused', async (words, why) => {
    const { code, out, err } = await run('ps', ...words);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
  });
});

describe('inspect and volume inspect', () => {
  test('have labels by any name, as maps have them', async () => {
    const format =
      '{{index .Config.Labels "com.example.build-number"}} {{.Config.Labels.tier}} {{.Config.Labels.none}}';
    expect(await ok('inspect', '-f', format, 'web')).toBe('7 front <no value>\n');
    expect(await ok('inspect', '-f', '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}', 'web')).toBe(
      'com.example.build-number=7;tier=front;\n',
    );
    const [whole] = JSON.parse(await ok('inspect', 'web')) as { Config: { Labels: object } }[];
    expect(whole?.Config.Labels).toEqual({ 'com.example.build-number': '7', tier: 'front' });
  });
});

describe('volume ls and volume inspect', () => {
  test('have labels in formats', async () => {
    expect(await ok('volume', 'ls', '--format', '{{.Name}}:{{.Label "com.example.owner"}}')).toBe('data:team\n');
    expect(
      await ok('volume', 'inspect', '-f', '{{index .Labels "com.example.owner"}} [{{.Labels.none}}]', 'data'),
    ).toBe('team [<no value>]\n');
    const [whole] = JSON.parse(await ok('volume', 'inspect', 'data')) as { Labels: object; Options: object }[];
    expect(whole).toMatchObject({ Labels: { 'com.example.owner': 'team', keep: '' }, Options: {} });
  });
});

describe('events', () => {
  const event = (time: string, name: string, action: string, labels: object, attributes?: object): string =>
    `${JSON.stringify({ time, action, id: name.repeat(2), name, image: 'app:1', labels, attributes })}\n`;
  beforeAll(() => {
    const lines = [
      event('2026-01-31T11:30:00.123456789Z', 'web', 'start', { tier: 'front', zone: 'a' }),
      event('2026-01-31T11:40:00.000000001Z', 'db', 'die', { tier: 'back', zone: 'a' }, { exitCode: '3' }),
    ];
    // What a power cut has left of a line is passed over.
    writeFileSync(join(storePath(), 'containers/events'), `{"time":"2026\n${lines.join('')}`);
  });
  const events = (...words: string[]): Promise<string> =>
    ok('events', '--no-stream', '--since', '2026-01-31T11:15:00Z', ...words);

  test('are lines as docker has them, oldest first', async () => {
    expect(await events()).toBe(
      '2026-01-31T11:30:00.123456789Z container start webweb (image=app:1, name=web, tier=front, zone=a)\n' +
        '2026-01-31T11:40:00.000000001Z container die dbdb (exitCode=3, image=app:1, name=db, tier=back, zone=a)\n',
    );
  });

  test('are JSON with every digit of their time', async () => {
    for (const format of ['json', '{{json .}}', '{{ json . }}']) {
      const [first = ''] = (await events('--format', format)).split('\n');
      expect(first).toMatch(/,"time":1769859000,"timeNano":1769859000123456789\}$/);
      expect(JSON.parse(first)).toMatchObject({
        status: 'start',
        Type: 'container',
        Action: 'start',
        Actor: { ID: 'webweb', Attributes: { image: 'app:1', name: 'web', tier: 'front', zone: 'a' } },
        scope: 'local',
      });
    }
  });

  test.each([
    ['{{.Time}} {{.TimeNano}}', '1769859000 1769859000123456789\n1769859600 1769859600000000001\n'],
    [
      '{{.Type}} {{.Status}} {{.ID}} {{.From}} {{.Scope}}',
      'container start webweb app:1 local\ncontainer die dbdb app:1 local\n',
    ],
    ['{{.Name}} {{.Image}} {{.Attributes.zone}}', 'web app:1 a\ndb app:1 a\n'],
    ['{{.Actor.Attributes.exitCode}}', '<no value>\n3\n'],
    ['{{index .Actor.Attributes "name"}}', 'web\ndb\n'],
    ['{{range $k, $v := .Actor.Attributes}}{{$k}} {{end}}', 'image name tier zone \nexitCode image name tier zone \n'],
  ])('%s', async (format, text) => {
    expect(await events('--format', format)).toBe(text);
  });

  test.each<[readonly string[], string]>([
    [['-f', 'label=tier=front', '-f', 'label=tier=back'], ''],
    [['-f', 'label=tier=back', '-f', 'label=zone=a'], 'db\n'],
    [['-f', 'event=start', '-f', 'event=die'], 'web\ndb\n'],
    [['-f', 'event!=start'], 'db\n'],
    [['--until', '25m'], 'web\n'],
    [['--until', '2026-01-31T11:30:00.123456788Z'], ''],
    [['--until', '2026-01-31T11:30:00.123456789Z'], 'web\n'],
  ])('%j', async (words, text) => {
    expect(await events('--format', '{{.Name}}', ...words)).toBe(text);
  });

  test.each([
    [['--until', '1h'], '--until is before --since'],
    [['--until', 'soon'], 'Cannot use --until "soon"'],
    [['--format', '{{.Nmae}}'], 'did you mean ".Name"?'],
    [['--format', '{{'], 'is not closed'],
    [['-f', 'container'], 'expected NAME=VALUE'],
  ])('%j is refused', async (words, why) => {
    const { code, out, err } = await run('events', '--no-stream', '--since', '30m', ...words);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(why);
  });
});
