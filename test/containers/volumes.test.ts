import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Container, isVolumeName, usersOf, Volumes } from '../../src/containers/index.ts';
import { Store } from '../../src/store/index.ts';

let root = '';
let store: Store;
let volumes: Volumes;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-volumes-'));
  store = Store.open(root, { now: () => Date.UTC(2026, 0, 1) });
  volumes = new Volumes(store);
});
afterEach(() => {
  store.close();
  fs.rmSync(root, { recursive: true, force: true });
});
const removeTrees = (paths: readonly string[]): Promise<void> => {
  for (const path of paths) fs.rmSync(path, { recursive: true });
  return Promise.resolve();
};
const names = (): readonly string[] => volumes.list().map(({ name }) => name);
const having = (container: string, volume: string): Container =>
  ({
    name: container,
    record: {
      step: {
        mounts: [
          { type: 'tmpfs', target: '/t' },
          { type: 'bind', volume },
        ],
      },
    },
  }) as unknown as Container;

describe('volumes of a store', () => {
  test('are made when they are first wanted, and are the same afterwards', () => {
    expect(names()).toEqual([]);
    const made = volumes.ensure('db', 0, { job: '7' });
    expect(made).toEqual({
      name: 'db',
      directory: join(root, 'volumes/db/data'),
      created: '2026-01-01T00:00:00.000Z',
      labels: { job: '7' },
      anonymous: false,
      shared: false,
    });
    fs.writeFileSync(join(made.directory, 'file'), 'kept');
    expect(volumes.ensure('db', 0, { job: '8' })).toEqual(made);
    expect(fs.readFileSync(join(made.directory, 'file'), 'utf8')).toBe('kept');
    expect(volumes.find('db')).toEqual(made);
  });

  test('without a name get one that nobody else has', () => {
    const [one, two] = [volumes.ensure(undefined, 0), volumes.ensure(undefined, 0)];
    expect(one).toMatchObject({ anonymous: true, name: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect(one.name).not.toBe(two.name);
    // One that somebody has named is to be kept, another not: whoever makes it may say so.
    expect(volumes.ensure('named', 0, {}, true).anonymous).toBe(true);
  });

  test('are whole or not there: what a killed command left is none', () => {
    volumes.ensure('whole', 0);
    fs.mkdirSync(join(root, 'volumes/.new-0123/data'), { recursive: true });
    fs.mkdirSync(join(root, 'volumes/half'));
    expect(names()).toEqual(['whole']);
    expect(volumes.lookUp('half')).toBeUndefined();
  });

  test('what names no volume is a path, and never leaves the directory', () => {
    for (const name of ['..', '.', '', '/etc', 'a/b', '-a', '.hidden', 'a b', 'ä', 'a'.repeat(256), 'a\0']) {
      expect(isVolumeName(name)).toBe(false);
      expect(volumes.lookUp(name)).toBeUndefined();
      expect(() => volumes.ensure(name, 0)).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
    }
    for (const name of ['a', '0', 'a.b_c-d', 'A'.repeat(255)]) expect(isVolumeName(name)).toBe(true);
    expect(names()).toEqual([]);
  });

  test('one that is not there is told, with what was probably meant', () => {
    expect(() => volumes.find('db')).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', hint: '"tsbuild volume ls" lists them' }),
    );
    volumes.ensure('database', 0);
    expect(() => volumes.find('databse')).toThrow(expect.objectContaining({ hint: 'did you mean "database"?' }));
  });

  test('are removed with what is in them, unless a container has them', async () => {
    const volume = volumes.ensure('db', 0);
    fs.writeFileSync(join(volume.directory, 'file'), 'x');
    const containers = [having('web', 'db'), having('other', 'cache'), having('job', 'db')];
    expect(usersOf(volume, containers).map(({ name }) => name)).toEqual(['web', 'job']);
    await expect(volumes.remove(volume, containers, removeTrees)).rejects.toMatchObject({
      code: 'TSB_STORE',
      message: 'Cannot remove volume db: container web and container job has it',
      hint: 'remove what uses it first: tsbuild rm -f web job',
    });
    expect(names()).toEqual(['db']);
    await volumes.remove(volume, [having('other', 'cache')], removeTrees);
    expect(names()).toEqual([]);
    expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
  });

  test('two that remove the same at once have both removed it', async () => {
    const volume = volumes.ensure('db', 0);
    await Promise.all([volumes.remove(volume, [], removeTrees), volumes.remove(volume, [], removeTrees)]);
    expect(names()).toEqual([]);
  });
});
