import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ProcessOptions } from '../../../src/cli/options/container-options.ts';
import { findShares } from '../../../src/cli/options/find-shares.ts';
import { type ContainerRecord, Containers } from '../../../src/containers/index.ts';
import type { Session } from '../../../src/engine/index.ts';
import { Store } from '../../../src/store/index.ts';
import { TempDir } from '../../tree/support.ts';

let dir: TempDir;
let store: Store;
const idOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0');

beforeAll(() => {
  dir = new TempDir();
  store = Store.open(join(dir.path, 'store'), { now: () => 0 });
  const containers = new Containers(store);
  const container = (name: string, step: object = {}, more: object = {}): void => {
    const record = {
      format: 1,
      id: idOf(name),
      created: '2026-01-01T00:00:00.000Z',
      image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
      labels: {},
      step: { args: ['true'], network: 'isolated', ...step },
      ...more,
    } as unknown as ContainerRecord;
    containers.create(record, name, { layers: [], blobs: [] }, 0);
  };
  container('web');
  container('of-machine', { processes: 'host', ipc: 'host' });
  container('shares', { ipc: 'shareable' });
  container('hides', { ipc: 'private' });
  container('guest', {}, { ipcOf: idOf('shares'), processesOf: idOf('web') });
  container('keeps', { keepIds: { uid: 1000, gid: 1000 } });
});
afterAll(() => {
  store[Symbol.dispose]();
  dir[Symbol.dispose]();
});

const find = (options: ProcessOptions) => findShares({ store } as unknown as Session, options);

describe('namespaces of other containers', () => {
  test('are none where none were asked for', () => expect(find({})).toEqual({ record: {}, process: {} }));

  test.each<[ProcessOptions, object, object]>([
    [{ pid: 'container:web' }, { processesOf: idOf('web') }, {}],
    // As everywhere, by the beginning of an id.
    [{ pid: `container:${idOf('web').slice(0, 12)}` }, { processesOf: idOf('web') }, {}],
    [{ ipc: 'container:shares' }, { ipcOf: idOf('shares') }, {}],
    [{ pid: 'container:shares', ipc: 'container:shares' }, { processesOf: idOf('shares'), ipcOf: idOf('shares') }, {}],
    // What it shares is not its own, and is shared all the same.
    [{ ipc: 'container:guest' }, { ipcOf: idOf('guest') }, {}],
    // Those of a container that has the machine's are the machine's.
    [{ pid: 'container:of-machine' }, {}, { processes: 'host' }],
    [{ ipc: 'container:of-machine' }, {}, { ipc: 'host' }],
    [{ pid: 'container:of-machine', ipc: 'container:shares' }, { ipcOf: idOf('shares') }, { processes: 'host' }],
    [{ pid: 'container:keeps', userns: 'keep-id' }, { processesOf: idOf('keeps') }, {}],
  ])('of %j are found', (options, record, process) => expect(find(options)).toEqual({ record, process }));

  test.each<[ProcessOptions, string, string]>([
    [{ pid: 'container:none' }, 'TSB_NOT_FOUND', 'No such container: none'],
    [{ ipc: 'container:none' }, 'TSB_NOT_FOUND', 'No such container: none'],
    // Docker's words: "non-shareable IPC (hint: use IpcMode:shareable for the donor container)".
    [{ ipc: 'container:web' }, 'TSB_USAGE', 'Cannot use --ipc container:web: non-shareable IPC'],
    [{ ipc: 'container:hides' }, 'TSB_USAGE', 'Cannot use --ipc container:hides: non-shareable IPC'],
    [{ pid: 'container:web', network: ['private'] }, 'TSB_USAGE', 'Cannot use --pid with --network private'],
    [{ pid: 'host', network: ['private'] }, 'TSB_USAGE', 'Cannot use --pid with --network private'],
    [{ pid: 'container:keeps' }, 'TSB_USAGE', 'Cannot use --pid container:keeps without --userns=keep-id'],
    [{ pid: 'container:web', userns: 'keep-id' }, 'TSB_USAGE', 'Cannot use --pid container:web with --userns=keep-id'],
  ])('of %j are refused', (options, code, message) => {
    expect(() => find(options)).toThrow(expect.objectContaining({ code }));
    expect(() => find(options)).toThrow(message);
  });
});
