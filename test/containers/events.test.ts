import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setImmediate } from 'node:timers/promises';
import { buildSync } from 'esbuild';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Container, type ContainerEvent, type ContainerRecord, EventReader } from '../../src/containers/index.ts';
import { eventFacts, eventFile, writeEvent } from '../../src/containers/events.ts';
import { openStore, tempRoot } from '../store/support.ts';

const LIMIT = 1 << 20;

function containerOf(root: string, more: { name?: string; labels?: Readonly<Record<string, string>> } = {}): Container {
  const id = 'a'.repeat(64);
  const record = { image: { name: 'image:1' }, labels: more.labels ?? {} } as unknown as ContainerRecord;
  return { id, name: more.name ?? 'web', directory: join(root, 'containers', id), record };
}

function read(root: string): readonly ContainerEvent[] {
  using reader = new EventReader(join(root, 'containers'));
  return [...reader.read()];
}

describe('what happened to containers', () => {
  test('is a line of JSON each, for its owner alone, with docker’s words and time in nanoseconds', () => {
    using opened = openStore(undefined, { now: Date.UTC(2026, 0, 2, 3, 4, 5, 678) });
    writeEvent(opened.store, containerOf(opened.root, { labels: { tier: 'front' } }), 'die', { exitCode: '3' });
    const path = eventFile(join(opened.root, 'containers'));
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      time: '2026-01-02T03:04:05.678000000Z',
      action: 'die',
      id: 'a'.repeat(64),
      name: 'web',
      image: 'image:1',
      labels: { tier: 'front' },
      attributes: { exitCode: '3' },
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('comes back whatever is in names and labels', () => {
    using opened = openStore();
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string({ unit: 'binary' })), fc.string(), (labels, value) => {
        rmSync(eventFile(join(opened.root, 'containers')), { force: true });
        const container = containerOf(opened.root, { labels: { ...labels, '{"time":"': '{"time":"' } });
        writeEvent(opened.store, container, 'rename', { oldName: value });
        const [event, ...more] = read(opened.root);
        expect(more).toEqual([]);
        expect(JSON.stringify(event?.labels)).toBe(JSON.stringify(container.record.labels));
        expect(event?.attributes).toEqual({ oldName: value });
        // The supervisor puts the same between braces.
        expect(JSON.parse(`{${eventFacts(container)}}`)).toMatchObject({ image: 'image:1' });
      }),
      { numRuns: 30 },
    );
  });

  test('is not written where it cannot be, and that harms nobody', () => {
    using opened = openStore();
    const elsewhere = { ...containerOf(opened.root), directory: join(opened.root, 'none', 'deeper', 'a') };
    expect(() => writeEvent(opened.store, elsewhere, 'create')).not.toThrow();
  });

  test('a line that was cut short takes none after it with it', () => {
    using opened = openStore();
    const container = containerOf(opened.root);
    writeEvent(opened.store, container, 'create');
    const path = eventFile(join(opened.root, 'containers'));
    const line = readFileSync(path, 'utf8');
    // The disk was full in the middle of a line, and had room again for the next.
    appendFileSync(path, line.slice(0, 40));
    writeEvent(opened.store, container, 'start');
    appendFileSync(path, line.slice(0, 9));
    writeEvent(opened.store, container, 'die');
    expect(read(opened.root).map(({ action }) => action)).toEqual(['create', 'start', 'die']);
  });

  test('begins a new file when one is full, and keeps the one before', () => {
    using opened = openStore();
    const container = containerOf(opened.root, { labels: { much: 'x'.repeat(LIMIT / 4) } });
    const actions = Array.from({ length: 10 }, (_, at) => `action ${at}`);
    for (const action of actions) writeEvent(opened.store, container, action);
    const kept = read(opened.root).map(({ action }) => action);
    expect(kept).toEqual(actions.slice(-kept.length));
    expect(kept.length).toBeGreaterThanOrEqual(4);
    expect(readdirSync(join(opened.root, 'containers')).filter((name) => name.startsWith('events'))).toHaveLength(2);
  });

  test('stays in one file while somebody else is about to begin another', () => {
    using opened = openStore();
    const { store, root } = opened;
    const path = eventFile(join(root, 'containers'));
    writeFileSync(`${path}.1`, 'the older half\n');
    writeFileSync(path, `${'x'.repeat(LIMIT)}\n`);
    const lock = store.locks.tryAcquire('container-events');
    writeEvent(store, containerOf(root), 'start');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('the older half\n');
    // The other one has done it, and this one must not do it again.
    writeFileSync(path, '');
    lock?.release();
    writeEvent(store, containerOf(root), 'die');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('the older half\n');
    expect(read(root).map(({ action }) => action)).toEqual(['die']);
  });

  test('of several processes at once never has less than a full file before the last', async () => {
    const root = tempRoot();
    openStore(root)[Symbol.dispose]();
    const bundle = join(root, '..', 'renamer.mjs');
    buildSync({
      entryPoints: [fileURLToPath(new URL('programs/renamer.ts', import.meta.url))],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node22',
    });
    const children = ['a', 'b', 'c'].map((letter) =>
      spawn(process.execPath, [bundle, root, letter, '20'], { stdio: ['ignore', 'ignore', 'inherit'] }),
    );
    const state = { running: children.length };
    const ends = children.map(async (child) => {
      const [code] = (await once(child, 'close')) as [number | null];
      state.running--;
      return code;
    });
    const older = join(root, 'containers', 'events.1');
    let smallest = Number.POSITIVE_INFINITY;
    while (state.running > 0) {
      const size = statSync(older, { throwIfNoEntry: false })?.size;
      if (size !== undefined) smallest = Math.min(smallest, size);
      await setImmediate();
    }
    expect(await Promise.all(ends)).toEqual([0, 0, 0]);
    expect(existsSync(older)).toBe(true);
    expect(smallest).toBeGreaterThan(LIMIT);
    // Whole lines, and nothing of one process within another's.
    const names = read(root).map(({ name }) => name);
    for (const letter of ['a', 'b', 'c']) {
      const numbers = names.filter((name) => name.startsWith(letter)).map((name) => Number(name.slice(2)));
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, at) => 21 - numbers.length + at));
    }
  });
});
