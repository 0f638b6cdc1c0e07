import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { volumesFrom } from '../../../src/cli/options/volumes-from.ts';
import { type ContainerRecord, Containers, Volumes } from '../../../src/containers/index.ts';
import type { MountSpec } from '../../../src/sandbox/index.ts';
import { Store } from '../../../src/store/index.ts';
import { TempDir } from '../../tree/support.ts';

let dir: TempDir;
let store: Store;
beforeEach(() => {
  dir = new TempDir();
  store = Store.open(join(dir.path, 'store'), { now: () => 0 });
});
afterEach(() => {
  store[Symbol.dispose]();
  dir[Symbol.dispose]();
});

const bind = (source: string, target: string, more: object = {}): MountSpec => ({
  type: 'bind',
  source,
  target,
  readonly: false,
  ...more,
});
function container(name: string, mounts: readonly MountSpec[] | undefined): void {
  const record = {
    format: 1,
    id: Buffer.from(name).toString('hex').padEnd(64, '0'),
    created: '2026-01-01T00:00:00.000Z',
    image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
    imageConfig: { os: 'linux', config: {} },
    restart: { name: 'no', most: 0 },
    labels: {},
    step: { args: ['true'], network: 'host', env: [], mounts, cwd: '/', user: '', hostname: 'h' },
  } as unknown as ContainerRecord;
  new Containers(store).create(record, name, { layers: [], blobs: [] }, 0);
}
const from = (wanted: readonly string[], own: readonly MountSpec[] = []): readonly string[] =>
  volumesFrom({ store }, wanted, own).map(
    (mount) =>
      `${'source' in mount ? mount.source : '?'} at ${mount.target}${'readonly' in mount && mount.readonly ? ' ro' : ''}`,
  );

// docs.docker.com/reference/cli/docker/container/run: "mounts all the defined volumes from the referenced containers", with :ro or
// :rw, "by default, Docker mounts the volumes in the same mode as that of the reference container".
describe('--volumes-from', () => {
  beforeEach(() => {
    container('one', [bind('/a', '/data'), bind('/b', '/config', { readonly: true }), { type: 'tmpfs', target: '/mem' }]);
    container('two', [bind('/c', '/data/'), bind('/d', '/more')]);
    container('bare', undefined);
  });

  test('has the mounts at the same places and in the same modes, but for what is in memory', () => {
    expect(from(['one'])).toEqual(['/a at /data', '/b at /config ro']);
    expect(from(['bare'])).toEqual([]);
    expect(from([])).toEqual([]);
  });

  test.each([
    ['one:ro', ['/a at /data ro', '/b at /config ro']],
    // More than the other container may, this one may not.
    ['one:rw', ['/a at /data', '/b at /config ro']],
    ['one:ro,z', ['/a at /data ro', '/b at /config ro']],
    ['one:Z', ['/a at /data', '/b at /config ro']],
  ])('%s', (text, mounts) => expect(from([text])).toEqual(mounts));

  test('of several has what the last has of each place, and what was mounted by itself before all', () => {
    expect(from(['one', 'two'])).toEqual(['/c at /data/', '/b at /config ro', '/d at /more']);
    expect(from(['two:ro', 'one'])).toEqual(['/a at /data', '/d at /more ro', '/b at /config ro']);
    expect(from(['one'], [bind('/mine', '/data/')])).toEqual(['/b at /config ro']);
    expect(from(['one'], [{ type: 'tmpfs', target: '/config/../data' }])).toEqual(['/b at /config ro']);
  });

  test('finds a container by the beginning of its id', () => {
    expect(from([Buffer.from('two').toString('hex').padEnd(12, '0')])).toHaveLength(2);
  });

  test.each(['', ':ro', 'one:rx', 'one:ro:rw', 'one:/data', 'one:ro,rw', 'one:z,Z', 'one:ro,nocopy'])('%j is refused', (text) => {
    expect(() => from([text])).toThrow(
      expect.objectContaining({ code: 'TSB_USAGE', message: `Cannot use --volumes-from ${JSON.stringify(text)}` }),
    );
  });

  test('of a container that is not there is an error', () => {
    expect(() => from(['one', 'none'])).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
  });

  test('makes a volume without a name everybody’s, which stays when the first container goes', () => {
    const volumes = new Volumes(store);
    const [unnamed, hidden] = [volumes.ensure(undefined, 0), volumes.ensure(undefined, 0)];
    container('has', [
      bind(unnamed.directory, '/data', { volume: unnamed.name }),
      bind(hidden.directory, '/own', { volume: hidden.name }),
    ]);
    expect(volumesFrom({ store }, ['has'], [bind('/mine', '/own')])).toHaveLength(1);
    // What is not taken over stays the first one's alone.
    expect([unnamed, hidden].map(({ name }) => volumes.find(name).shared)).toEqual([true, false]);
  });

  test('of a volume that is gone is an error', () => {
    container('lost', [bind('/x', '/data', { volume: 'gone' })]);
    expect(() => from(['lost'])).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
  });
}); // oxfmt-ignore
