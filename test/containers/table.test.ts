import { spawn } from 'node:child_process';
import fs, { mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ContainerEvent, type ContainerRecord, Containers, EventReader } from '../../src/containers/index.ts';
import { Store } from '../../src/store/index.ts';

let root = '';
let store: Store;
let now = Date.UTC(2026, 0, 1);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'containers-'));
  store = Store.open(root, { now: () => now });
});
afterEach(() => {
  vi.restoreAllMocks();
  store.close();
  rmSync(root, { recursive: true, force: true });
});

const idOf = (letter: string): string => letter.repeat(64);
const record = (letter: string, more: Partial<ContainerRecord> = {}): ContainerRecord =>
  ({
    format: 1,
    id: idOf(letter),
    created: new Date((now += 1000)).toISOString(),
    image: { name: 'image:1', id: 'sha256:1', manifest: 'sha256:2' },
    labels: { tier: 'front' },
    step: { args: ['true'] },
    ...more,
  }) as unknown as ContainerRecord;
const HOLDS = { layers: [], blobs: [] };
const removeTrees = async (paths: readonly string[]): Promise<void> => {
  for (const path of paths) rmSync(path, { recursive: true });
};
const events = (): readonly ContainerEvent[] => {
  using reader = new EventReader(join(root, 'containers'));
  return [...reader.read()];
};

describe('containers of a store', () => {
  test('are found by name, by id, and by the beginning of an id; the newest comes first', () => {
    const containers = new Containers(store);
    expect(containers.list()).toEqual([]);
    containers.create(record('a'), 'web', HOLDS, 0);
    containers.create(record('b'), undefined, HOLDS, 0);
    const [newest, oldest] = containers.list();
    expect(newest?.name).toMatch(/^[a-z]+_[a-z]+$/);
    expect(oldest).toMatchObject({ id: idOf('a'), name: 'web', record: { labels: { tier: 'front' } } });
    for (const typed of ['web', idOf('a'), 'aaaa', 'a']) expect(containers.find(typed).id).toBe(idOf('a'));
    expect(containers.lookUp('none')).toBeUndefined();
    expect(containers.lookUp('../web')).toBeUndefined();
    expect(() => containers.find('wep')).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', hint: 'did you mean "web"?' }),
    );
    containers.create(record('c', { id: `${'a'.repeat(63)}0` }), 'other', HOLDS, 0);
    expect(() => containers.find('aaa')).toThrow('2 ids begin with aaa');
  });

  test('a name is one container’s until it is renamed or removed', async () => {
    const containers = new Containers(store);
    const web = containers.create(record('a'), 'web', HOLDS, 0);
    expect(() => containers.create(record('b'), 'web', HOLDS, 0)).toThrow(/name "web": container aaaaaaaaaaaa has it/);
    expect(readdirSync(containers.root).toSorted()).toEqual([idOf('a'), 'by-name', 'events']);
    for (const wrong of ['x', '-x', 'a b', 'ä', ''])
      expect(() => containers.create(record('b'), wrong, HOLDS, 0)).toThrow();
    containers.rename(web, 'shop');
    expect(() => containers.rename(containers.find('shop'), 'shop')).toThrow('that is its name');
    const other = containers.create(record('b'), 'web', HOLDS, 0);
    expect(() => containers.rename(other, 'shop')).toThrow('has it');
    // Somebody who still has the old name in hand takes nothing from who has it now.
    containers.rename({ ...web }, 'third');
    expect(containers.find('web').id).toBe(idOf('b'));
    await containers.remove({ ...web, name: 'web' }, removeTrees);
    expect(containers.find('web').id).toBe(idOf('b'));
    expect(events().map(({ action, name }) => `${action} ${name}`)).toEqual([
      'create web',
      'rename shop',
      'create web',
      'rename third',
      'destroy web',
    ]);
    expect(events()[1]?.attributes).toEqual({ oldName: 'web' });
  });

  test('the name of what a killed command has left is free after a minute', () => {
    const containers = new Containers(store);
    containers.create(record('a'), 'web', HOLDS, 0);
    renameSync(join(containers.root, idOf('a')), join(containers.root, `new-${idOf('a')}`));
    now = Date.now();
    expect(() => containers.create(record('b'), 'web', HOLDS, 0)).toThrow('has it');
    now = Date.now() + 61_000;
    expect(containers.create(record('b'), 'web', HOLDS, 0).name).toBe('web');
    expect(containers.list()).toHaveLength(1);
  });

  test('one that becomes ready while its name is looked at keeps it', () => {
    const containers = new Containers(store);
    containers.create(record('a'), 'web', HOLDS, 0);
    const ready = join(containers.root, idOf('a'));
    const making = join(containers.root, `new-${idOf('a')}`);
    renameSync(ready, making);
    now = Date.now();
    // Whatever is looked at first, it gets its directory right afterwards.
    const after =
      <T extends unknown[], R>(original: (...args: T) => R) =>
      (...args: T): R => {
        const result = original(...args);
        if ([ready, making].includes(String(args[0])) && fs.readdirSync(containers.root).includes(`new-${idOf('a')}`))
          renameSync(making, ready);
        return result;
      };
    const { existsSync, lstatSync } = fs;
    vi.spyOn(fs, 'existsSync').mockImplementation(after(existsSync));
    vi.spyOn(fs, 'lstatSync').mockImplementation(after(lstatSync) as typeof lstatSync);
    expect(() => containers.create(record('b'), 'web', HOLDS, 0)).toThrow('has it');
    vi.restoreAllMocks();
    expect(containers.find('web').id).toBe(idOf('a'));
  });

  test('of several who want the name of a container that is gone, one gets it', async () => {
    const containers = new Containers(store);
    containers.create(record('a'), 'first', HOLDS, 0);
    const names = Array.from({ length: 60 }, (_, at) => `n${at}`);
    for (const name of names) symlinkSync(idOf('d'), join(containers.names, name));
    const program = `
      import { Containers } from ${JSON.stringify(join(import.meta.dirname, '../../src/containers/index.ts'))};
      import { Store } from ${JSON.stringify(join(import.meta.dirname, '../../src/store/index.ts'))};
      import { randomBytes } from 'node:crypto';
      const store = Store.open(${JSON.stringify(root)}, { now: Date.now });
      const containers = new Containers(store);
      const record = ${JSON.stringify(record('e'))};
      for (const name of ${JSON.stringify(names)}) {
        const id = randomBytes(32).toString('hex');
        try { containers.create({ ...record, id }, name, { layers: [], blobs: [] }, 0); console.log(name); } catch (error) { if (!/has it/.test(error.message)) throw error; }
      }
      store.close();`;
    const runs = Array.from({ length: 4 }, () => {
      const child = spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let out = '';
      let err = '';
      child.stdout.on('data', (data) => (out += String(data)));
      child.stderr.on('data', (data) => (err += String(data)));
      return new Promise<string>((resolve, reject) => {
        child.once('close', (code) => (code === 0 ? resolve(out) : reject(new Error(err))));
      });
    });
    const won = (await Promise.all(runs)).flatMap((out) => out.split('\n').filter(Boolean));
    expect(won.toSorted()).toEqual(names.toSorted());
    for (const name of names) expect(containers.find(name).name).toBe(name);
    const held = containers.list().map(({ name, id }) => [name, readlinkSync(join(containers.names, name)) === id]);
    expect(held).toHaveLength(61);
    expect(held.filter(([, own]) => !own)).toEqual([]);
  });

  test('the state of one whose supervisor was killed is put right once, and told', async () => {
    const containers = new Containers(store);
    const web = containers.create(record('a'), 'web', HOLDS, 0);
    expect(await containers.state(web)).toMatchObject({ status: 'created', exitCode: 0, started: '' });
    const write = (text: string): void => fs.writeFileSync(join(web.directory, 'state.json'), text);
    write('{"status":"exited","exitCode":3,"pid":0,"restarts":0,"started":"x","finished":"y","oomKilled":true}');
    expect(await containers.state(web)).toMatchObject({ status: 'exited', exitCode: 3, oomKilled: true });
    write('{"status":"running","exitCode":0,"pid":17,"restarts":2,"started":"x","finished":""}');
    const states = await Promise.all([containers.state(web), containers.state(web), containers.state(web)]);
    for (const state of states)
      expect(state).toMatchObject({ status: 'exited', exitCode: 137, pid: 0, restarts: 2, lost: true });
    expect(JSON.parse(readFileSync(join(web.directory, 'state.json'), 'utf8'))).toMatchObject({
      status: 'exited',
      lost: true,
    });
    expect(events().map(({ action }) => action)).toEqual(['create', 'die']);
    // Whatever a power cut has left of the file: it does not run.
    for (const rest of ['', '{"status":"run', '{"status":"odd"}']) {
      write(rest);
      expect(await containers.state(web)).toMatchObject({ status: 'exited', exitCode: 137, lost: true });
    }
  });
});

describe('events', () => {
  test('are read on over a new file, and without lines that were cut off', () => {
    const containers = new Containers(store);
    containers.create(record('a'), 'web', HOLDS, 0);
    const file = join(containers.root, 'events');
    using reader = new EventReader(containers.root);
    expect([...reader.read()]).toHaveLength(1);
    expect([...reader.read()]).toHaveLength(0);
    const line = readFileSync(file, 'utf8');
    fs.appendFileSync(file, line.slice(0, 20));
    expect([...reader.read()]).toHaveLength(0);
    fs.appendFileSync(file, line.slice(20));
    fs.appendFileSync(file, 'not json\n{"other":1}\n');
    expect([...reader.read()]).toHaveLength(1);
    fs.appendFileSync(file, line);
    renameSync(file, `${file}.1`);
    containers.create(record('b'), 'next', HOLDS, 0);
    expect([...reader.read()].map(({ name }) => name)).toEqual(['web', 'next']);
    using again = new EventReader(containers.root);
    expect([...again.read()].map(({ name }) => name)).toEqual(['web', 'web', 'web', 'next']);
  });

  test('a file that has become large makes way for another', () => {
    const containers = new Containers(store);
    containers.create(record('a', { labels: { much: 'x'.repeat(1 << 20) } }), 'large', HOLDS, 0);
    containers.create(record('b'), 'small', HOLDS, 0);
    expect(
      readdirSync(containers.root)
        .filter((name) => name.startsWith('events'))
        .toSorted(),
    ).toEqual(['events', 'events.1']);
    expect(events().map(({ name }) => name)).toEqual(['large', 'small']);
  });
});
