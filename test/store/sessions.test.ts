import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { collectGarbage } from './collect-garbage.ts';
import { hasLeftovers } from '../../src/store/index.ts';
import { ended, openStore, printed, realBootId, removeTrees, startUser, tempRoot } from './support.ts';

const HEX = 'f'.repeat(32);

describe('the session of a process', () => {
  test('is made when it is first needed, is the same from then on, and others see that it lives', () => {
    using opened = openStore();
    expect(fs.readdirSync(opened.store.layout.sessions)).toEqual([]);
    const id = opened.store.session();
    expect(opened.store.session()).toBe(id);
    expect(fs.readdirSync(opened.store.layout.sessions)).toEqual([id]);
    using other = openStore(opened.root);
    expect(other.store.sessions.isAlive(id)).toBe(true);
    expect(other.store.sessions.entered()).toEqual([id]);
    opened.store.close();
    expect(other.store.sessions.isAlive(id)).toBe(false);
    expect(other.store.sessions.entered()).toEqual([]);
  });

  test.each(['', 'none', HEX, '..', `container-${'c'.repeat(64)}`])('%j is nobody’s', (id) => {
    using opened = openStore();
    expect(opened.store.sessions.isAlive(id)).toBe(false);
    // Asking makes nothing.
    expect(fs.readdirSync(opened.store.layout.sessions)).toEqual([]);
  });

  test('ends with what it was writing, and with nothing of another one', () => {
    using one = openStore();
    using two = openStore(one.root);
    one.store.blobs.ingest().write(Buffer.from('half'));
    two.store.blobs.ingest().write(Buffer.from('half'));
    one.store.close();
    expect(fs.readdirSync(two.store.layout.ingest)).toEqual([two.store.session()]);
    const writer = two.store.blobs.ingest();
    writer.write(Buffer.from('whole'));
    expect(two.store.blobs.read(writer.commit().digest).toString()).toBe('whole');
  });

  test('of a process that is killed is dead at once, and swept with all that it held', async () => {
    const root = tempRoot();
    using opened = openStore(root, { bootId: realBootId, now: Date.now() });
    const { store } = opened;
    const layer = store.layers.create({ parents: [] }, store.leases.create());
    const child = startUser(['hold', root, layer]);
    const end = ended(child);
    await printed(child, 'ready');
    const [session = ''] = fs.readdirSync(store.layout.sessions).filter((id) => id !== store.session());
    expect(store.leases.sessionsHolding('layer', layer)).toEqual([session]);
    expect(hasLeftovers(store)).toBe(false);
    // While it lives, nothing of it is swept.
    expect(store.sessions.sweep()).toEqual({ unknownAlive: false, removedFiles: 0 });
    child.kill('SIGKILL');
    await end;
    expect(store.leases.sessionsHolding('layer', layer)).toEqual([]);
    expect(hasLeftovers(store)).toBe(true);
    expect(store.sessions.sweep()).toEqual({ unknownAlive: false, removedFiles: 1 });
    expect(store.sessions.entered()).toEqual([store.session()]);
    expect(fs.readdirSync(store.layout.ingest)).toEqual([]);
  });

  test('that began before the index was replaced keeps others from removing what it may need', () => {
    using old = openStore();
    const lease = old.store.leases.create();
    using other = openStore(old.root);
    other.store.database().rebuild();
    expect(other.store.sessions.sweep().unknownAlive).toBe(true);
    lease.release();
    old.store.close();
    expect(other.store.sessions.sweep().unknownAlive).toBe(false);
  });

  test('the oldest of those that run says what is too young to be swept', async () => {
    using opened = openStore(undefined, { bootId: realBootId, now: Date.now() });
    const { store } = opened;
    expect(store.sessions.oldestStart()).toBe(Number.POSITIVE_INFINITY);
    const own = fs.statSync(join(store.layout.sessions, store.session())).ctimeMs;
    expect(store.sessions.oldestStart()).toBe(own);
    // A file that nobody holds is no session.
    fs.writeFileSync(join(store.layout.sessions, HEX), '');
    fs.utimesSync(join(store.layout.sessions, HEX), 1, 1);
    expect(store.sessions.oldestStart()).toBe(own);
  });
});

describe('in a store that something else wrote to', () => {
  const HARM: readonly (readonly [string, (path: string) => void])[] = [
    ['garbage', (path) => fs.writeFileSync(path, 'x'.repeat(5000))],
    ['an empty file', (path) => fs.writeFileSync(path, '')],
    ['a directory', (path) => fs.mkdirSync(path)],
    ['a directory with files', (path) => fs.cpSync(import.meta.dirname, path, { recursive: true })],
    ['a dangling link', (path) => fs.symlinkSync('nowhere', path)],
  ];

  test.each(HARM.flatMap(([what, harm]) => (['sessions', 'locks'] as const).map((dir) => [what, dir, harm] as const)))(
    '%s among the %s is cleared away',
    async (_what, dir, harm) => {
      using opened = openStore();
      const { store } = opened;
      harm(join(store.layout[dir], HEX));
      expect(store.sessions.isAlive(HEX)).toBe(false);
      await collectGarbage(store, removeTrees);
      expect(fs.readdirSync(store.layout.locks)).toEqual([]);
      {
        await using _lock = await store.lock(HEX);
      }
      // Who comes next is not disturbed by it.
      using other = openStore(opened.root);
      other.store.leases.create();
      expect(other.store.sessions.isAlive(other.store.session())).toBe(true);
    },
  );

  test('files among the directories of those who write are no sessions', async () => {
    using opened = openStore(undefined, { now: Date.now() });
    const { store } = opened;
    const file = join(store.layout.ingest, 'stray');
    fs.writeFileSync(file, '');
    await collectGarbage(store, removeTrees);
    // It may be one of this minute.
    expect(fs.existsSync(file)).toBe(true);
  });
});
