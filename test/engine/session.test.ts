import fs, { mkdtempDisposableSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSession, type Session, type SessionOptions } from '../../src/engine/index.ts';
import { parseReference } from '../../src/image/index.ts';
import { Pins } from '../../src/pins/index.ts';
import { Store } from '../../src/store/index.ts';
import { sha256, TsbuildError } from '../../src/util/index.ts';
import { makeLayer } from '../store/support.ts';
import { testTask } from '../support/task.ts';

let dir: ReturnType<typeof mkdtempDisposableSync>;
let root = '';
const warnings: string[] = [];
beforeEach(() => {
  dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-session-'));
  root = join(dir.path, 'store');
  warnings.length = 0;
});
afterEach(() => dir[Symbol.dispose]());

function open(more: Partial<SessionOptions> = {}): Session {
  return openSession({
    root,
    now: Date.now,
    signal: new AbortController().signal,
    home: dir.path,
    credentialSources: { files: [] },
    onWarning: (message) => void warnings.push(message),
    ...more,
  });
}
/** What a command that has ended leaves of itself. */
const traces = (): readonly string[] => [...readdirSync(join(root, 'sessions')), ...readdirSync(join(root, 'ingest'))];
const REFERENCE = parseReference('127.0.0.1:1/app:1');
const VERTEX = sha256('vertex');

describe('a command that ends', () => {
  test('leaves no session, no lease and no temporary file behind', async () => {
    {
      await using session = open();
      session.lease.hold({ blobs: [sha256('blob')] });
      fs.writeFileSync(join(session.remote.temporary(), 'file'), 'x');
      session.store.blobs.ingest().write(Buffer.from('half'));
      expect(traces()).not.toEqual([]);
    }
    expect(traces()).toEqual([]);
    using store = Store.open(root, { now: Date.now });
    expect(store.leases.names('blob')).toEqual(new Set());
  });

  test('that only looked has had no lease', async () => {
    await using session = open();
    session.store.images.list();
    expect(traces()).toEqual([]);
  });

  test('puts copies of layers aside, for the next collection', async () => {
    let copies = '';
    {
      await using session = open();
      copies = session.treesDir();
      expect(session.treesDir()).toBe(copies);
      // Nobody takes it away while the command runs.
      expect(session.store.leases.names('layer').size).toBe(1);
      fs.mkdirSync(join(copies, 'fs'), { recursive: true });
    }
    expect(fs.existsSync(copies)).toBe(false);
    expect(readdirSync(join(root, 'garbage'))).toHaveLength(1);
  });

  test('after it could not read how registries are reached ends all the same', async () => {
    const registriesConf = join(dir.path, 'registries.conf');
    writeFileSync(registriesConf, 'this is [not TOML');
    const session = open({ registriesConf });
    session.lease.hold({ blobs: [sha256('blob')] });
    const refused = expect.objectContaining({ code: 'TSB_USAGE' }) as unknown;
    await expect(session.registry.manifest(testTask(), REFERENCE)).rejects.toEqual(refused);
    // What was wrong was told to who asked, who may have gone on without.
    await session[Symbol.asyncDispose]();
    expect(traces()).toEqual([]);
  });

  test('gives the rest back also when one part of it cannot be', async () => {
    const session = open();
    const failure = new Error('the client is stuck');
    const ended: string[] = [];
    const { remote, objects } = session;
    remote[Symbol.asyncDispose] = () => Promise.reject(failure);
    objects[Symbol.asyncDispose] = () => Promise.resolve(void ended.push('objects'));
    session.lease.hold({ blobs: [sha256('blob')] });
    await expect(session[Symbol.asyncDispose]()).rejects.toBe(failure);
    expect(ended).toEqual(['objects']);
    expect(traces()).toEqual([]);
  });

  test('is over however often that is said', async () => {
    const session = open();
    await session[Symbol.asyncDispose]();
    await session[Symbol.asyncDispose]();
    expect(traces()).toEqual([]);
  });
});

describe('what is told', () => {
  test('once, however many steps it is true of', async () => {
    await using session = open();
    for (let step = 0; step < 3; step++) {
      session.boundProc();
      session.sharedNetwork({ reason: 'there is no slirp4netns', fix: 'install it' });
    }
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('Less isolation than usual');
    expect(warnings[1]).toContain('there is no slirp4netns');
    expect(warnings[1]).toContain('install it');
  });

  test('that the store was damaged', async () => {
    open().store.close();
    writeFileSync(join(root, 'index.sqlite'), 'x'.repeat(5000));
    for (const beside of ['index.sqlite-wal', 'index.sqlite-shm']) fs.rmSync(join(root, beside), { force: true });
    await using _session = open();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('a new one was made from the files');
  });
});

describe('without other machines', () => {
  test('nothing is asked of a registry, and that is told as what it is', async () => {
    await using session = open({ offline: true });
    await expect(session.registry.manifest(testTask(), REFERENCE)).rejects.toSatisfy(
      (error) => error instanceof TsbuildError && /offline/.test(`${error.message} ${error.hint ?? ''}`),
    );
  });

  test('with images that are never pulled, the error names the image and the way', async () => {
    await using session = open({ neverPull: true });
    const platform = { os: 'linux', architecture: 'amd64' };
    await expect(session.images.resolve(testTask(), '127.0.0.1:1/app:1', platform)).rejects.toMatchObject({
      message: expect.stringContaining('127.0.0.1:1/app:1') as string,
      hint: expect.stringContaining('tsbuild import') as string,
    });
  });
});

describe('what is shared', () => {
  test('is made once', async () => {
    await using session = open();
    expect(session.images).toBe(session.images);
    expect(session.layers).toBe(session.layers);
    expect(session.remote).toBe(session.remote);
    expect(session.cache).toBe(session.cache);
    expect(session.objects).toBe(session.objects);
    expect(session.lease).toBe(session.lease);
    expect(session.limiter).toBe(session.limiter);
  });

  test('a lock file counts from the first question on, or not at all', async () => {
    await using session = open();
    const pins = new Pins();
    session.usePins(pins);
    expect(session.pins).toBe(pins);
    void session.images;
    expect(() => session.usePins(new Pins())).toThrow(expect.objectContaining({ code: 'TSB_INTERNAL' }));
  });

  test('directories of the store are measured without a worker', async () => {
    await using session = open();
    const layer = makeLayer(session.store, { size: 5000 });
    const [usage] = await session.measure([session.store.layers.paths(layer).fs], testTask().signal);
    expect(usage?.bytes).toBeGreaterThanOrEqual(5000);
    expect(usage?.inodes).toBe(2);
  });

  test('where a blob may be is what was noted of it, for every command', async () => {
    const repository = { host: 'example.com', path: 'app' };
    {
      await using session = open();
      session.origins.note([VERTEX], repository);
    }
    await using session = open();
    expect(session.repositoriesOf({ digest: VERTEX })).toEqual([repository]);
    expect(session.repositoriesOf({ digest: sha256('other') })).toEqual([]);
  });
});
