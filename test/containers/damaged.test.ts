import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type ContainerRecord,
  Containers,
  EventReader,
  Networks,
  readState,
  Volumes,
} from '../../src/containers/index.ts';
import { Store } from '../../src/store/index.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
let store: Store;
beforeEach(() => {
  dir = new TempDir();
  store = Store.open(dir.path, { now: () => Date.UTC(2026, 0, 1) });
});
afterEach(() => {
  store.close();
  dir[Symbol.dispose]();
});

const removeTrees = async (paths: readonly string[]): Promise<void> => {
  for (const path of paths) fs.rmSync(path, { recursive: true });
};

/** What a power cut, a full disk or another version of tsbuild may have left of a file of JSON. */
const REMAINS: readonly [what: string, text: string][] = [
  ['nothing', ''],
  ['NUL bytes', '\0'.repeat(200)],
  ['its beginning', '{"format":1,"id":"aaaa","crea'],
  ['null', 'null'],
  ['a list', '[1,2]'],
  ['a text', '"format"'],
  ['an object without anything', '{}'],
  ['another form', '{"format":2,"id":"x","created":"2026-01-01T00:00:00Z","subnets":[],"image":{},"step":{},"labels":{}}'],
  ['wrong kinds', '{"format":1,"id":7,"created":"2026","subnets":{},"image":null,"step":"sh","labels":[]}'],
]; // oxfmt-ignore

const HOLDS = { layers: [], blobs: [] };
const record = (letter: string): ContainerRecord =>
  ({
    format: 1,
    id: letter.repeat(64),
    created: '2026-01-01T00:00:00.000Z',
    image: { name: 'image:1', id: 'sha256:1', manifest: 'sha256:2' },
    labels: {},
    step: { args: ['true'] },
  }) as unknown as ContainerRecord;

describe('where little is left of what was written down', () => {
  test('a container is left out, told about when it is named, and can be removed', async () => {
    const containers = new Containers(store);
    containers.create(record('a'), 'whole', HOLDS, 0);
    const { id, directory } = containers.create(record('b'), 'web', HOLDS, 0);
    for (const [what, text] of REMAINS) {
      fs.writeFileSync(join(directory, 'config.json'), text);
      expect(
        containers.list().map(({ name }) => name),
        what,
      ).toEqual(['whole']);
      for (const typed of ['web', id, 'bbb'])
        expect(() => containers.find(typed), what).toThrow(
          expect.objectContaining({
            code: 'TSB_STORE',
            message: expect.stringContaining('Cannot use container bbbbbbbbbbbb') as string,
            hint: expect.stringContaining(`tsbuild rm --force ${typed}`) as string,
          }),
        );
      expect(containers.lookUpDamaged('web'), what).toBe(id);
    }
    expect(containers.lookUpDamaged('whole')).toBeUndefined();
    expect(containers.lookUpDamaged('none')).toBeUndefined();
    // Its name is taken for as long as it is there.
    expect(() => containers.create(record('c'), 'web', HOLDS, 0)).toThrow(/has it/);
    await containers.removeDamaged(id, removeTrees);
    expect(fs.existsSync(directory)).toBe(false);
    expect(containers.lookUp('web')).toBeUndefined();
    expect(containers.create(record('c'), 'web', HOLDS, 0).name).toBe('web');
    expect(
      containers
        .list()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(['web', 'whole']);
  });

  test('a volume keeps what is in it, and is nobody’s to take away', () => {
    const volumes = new Volumes(store);
    const made = volumes.ensure(undefined, 0, { tier: 'front' });
    fs.writeFileSync(join(made.directory, 'file'), 'content');
    volumes.ensure('other', 0);
    for (const [what, text] of REMAINS) {
      fs.writeFileSync(join(made.directory, '..', 'volume.json'), text);
      expect(volumes.list(), what).toHaveLength(2);
      const found = volumes.find(made.name);
      expect(found, what).toMatchObject({ directory: made.directory, labels: {}, anonymous: false, shared: false });
      expect(Date.parse(found.created), what).toBeGreaterThan(Date.UTC(2026, 0, 1));
      expect(fs.readFileSync(join(volumes.ensure(made.name, 0).directory, 'file'), 'utf8')).toBe('content');
    }
  });

  test('a network is left out, and can be made anew', async () => {
    const networks = new Networks(store);
    await networks.create('ci', {});
    await networks.findDefault();
    for (const [what, text] of REMAINS) {
      for (const name of ['ci', 'bridge']) fs.writeFileSync(join(networks.root, name, 'network.json'), text);
      expect(networks.list(), what).toEqual([]);
      expect(() => networks.find('ci'), what).toThrow(
        expect.objectContaining({ code: 'TSB_STORE', hint: '"tsbuild network create ci" makes it anew' }),
      );
      expect((await networks.create('ci', {})).record.subnets, what).toHaveLength(1);
      // Nobody makes the default one by hand.
      expect((await networks.findDefault()).record.format, what).toBe(1);
      expect(networks.list().map(({ name }) => name)).toEqual(['bridge', 'ci']);
    }
    expect(fs.readdirSync(networks.root).toSorted()).toEqual(['bridge', 'ci']);
  });

  test.each(REMAINS)('a container that may have run does not run: %s', (_what, text) => {
    dir.write('own/state.json', text);
    expect(readState(join(dir.path, 'own'))).toMatchObject({ status: 'exited', exitCode: 137, pid: 0, lost: true });
  });

  test('an event is left out, and the others are told', () => {
    const event = (action: string): string => `{"time":"2026-01-01T00:00:00Z","action":"${action}"}\n`;
    dir.write(
      'containers/events',
      `${event('create')}${REMAINS.map(([, text]) => `${text}\n`).join('')}${event('start')}`,
    );
    using reader = new EventReader(join(dir.path, 'containers'));
    expect([...reader.read()].map(({ action }) => action)).toEqual(['create', 'start']);
  });
});

test('a container without its name is called by its id', () => {
  const containers = new Containers(store);
  const made = containers.create(
    { format: 1, id: 'd'.repeat(64), created: '', image: {}, labels: {}, step: {} } as unknown as ContainerRecord,
    'web',
    HOLDS,
    0,
  );
  fs.writeFileSync(join(made.directory, 'name'), '');
  expect(containers.list().map(({ name }) => name)).toEqual(['d'.repeat(12)]);
  expect(containers.find('web').id).toBe(made.id);
  expect(containers.find('d'.repeat(12)).id).toBe(made.id);
});

test('what is no volume, network or container in their directories is none', async () => {
  for (const kind of ['volumes', 'networks', 'containers']) {
    dir.write(`${kind}/a-file`);
    dir.mkdir(`${kind}/empty`);
    dir.mkdir(`${kind}/${'e'.repeat(64)}`);
  }
  expect(new Volumes(store).list()).toEqual([]);
  expect(new Networks(store).list()).toEqual([]);
  expect(new Containers(store).list()).toEqual([]);
});
