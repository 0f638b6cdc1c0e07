import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { mediaTypes } from '../../src/image/index.ts';
import { Incoming, type OnGrowing } from '../../src/snapshots/incoming.ts';
import { PullDisplay } from '../../src/snapshots/pull-display.ts';
import { RewrittenLayers } from '../../src/snapshots/rewritten.ts';
import { sha256 } from '../../src/util/index.ts';
import { openStore } from '../store/support.ts';
import { testTask } from '../support/task.ts';

const VERTEX = sha256('image');
const SHOWN = { vertex: VERTEX, name: 'FROM image' };

describe('transfers of the layers of an image', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function open() {
    const task = testTask();
    const display = new PullDisplay(() => 7);
    const one = () => {
      const ends = Promise.withResolvers<string>();
      const shown = display.show(task, SHOWN, () => ends.promise);
      shown.catch(() => undefined);
      return { ...ends, shown };
    };
    const states = (): readonly string[] =>
      task.seen.flatMap((event) =>
        event.type === 'vertex' ? [`${event.state}${event.error === undefined ? '' : `: ${event.error}`}`] : [],
      );
    return { task, one, states };
  }

  test('that are over at once are not shown', async () => {
    const { one, states } = open();
    const transfer = one();
    vi.advanceTimersByTime(99);
    transfer.resolve('there');
    expect(await transfer.shown).toBe('there');
    vi.advanceTimersByTime(1000);
    expect(states()).toEqual([]);
  });

  test('run as one from the first to the last, and once more when more come later', async () => {
    const { task, one, states } = open();
    for (let round = 0; round < 2; round++) {
      const [first, second] = [one(), one()];
      vi.advanceTimersByTime(100);
      first.resolve('a');
      await first.shown;
      expect(states().at(-1)).toBe('started');
      second.resolve('b');
      await second.shown;
    }
    expect(states()).toEqual(['started', 'done', 'started', 'done']);
    expect(task.seen[0]).toMatchObject({ vertex: VERTEX, name: 'FROM image', at: 7 });
  });

  test('of which one failed have failed, whatever comes of the others', async () => {
    const { one, states } = open();
    const [first, second, third] = [one(), one(), one()];
    vi.advanceTimersByTime(100);
    first.reject(new Error('the registry is gone'));
    await expect(first.shown).rejects.toThrow('the registry is gone');
    second.reject(new Error('and once more'));
    await expect(second.shown).rejects.toThrow();
    third.resolve('there');
    await third.shown;
    expect(states()).toEqual(['started', 'failed: the registry is gone']);
    // The next try is another one.
    const again = one();
    vi.advanceTimersByTime(100);
    again.resolve('there');
    await again.shown;
    expect(states().slice(2)).toEqual(['started', 'done']);
  });

  test('are canceled with the build', async () => {
    const { task, one, states } = open();
    const transfer = one();
    vi.advanceTimersByTime(100);
    task.controller.abort(new Error('enough'));
    transfer.reject(new Error('enough'));
    await expect(transfer.shown).rejects.toThrow('enough');
    expect(states()).toEqual(['started', 'canceled: enough']);
  });

  test('that fail at once are told by who wanted them', async () => {
    const { one, states } = open();
    const transfer = one();
    transfer.reject(new Error('no such layer'));
    await expect(transfer.shown).rejects.toThrow('no such layer');
    expect(states()).toEqual([]);
  });
});

describe('a blob on its way', () => {
  const blob = { mediaType: mediaTypes.ociLayerGzip, digest: sha256('blob'), size: 4 };
  function open() {
    const ends = Promise.withResolvers<undefined>();
    let grow: OnGrowing = () => undefined;
    const incoming = new Incoming(async (onGrowing) => {
      grow = onGrowing;
      await ends.promise;
    });
    incoming.done.catch(() => undefined);
    return { incoming, ends, grow: (file: string) => grow(file, blob) };
  }

  test('can be read while it grows', async () => {
    const { incoming, ends, grow } = open();
    grow('/first');
    const growing = await incoming.growing;
    expect(growing).toMatchObject({ file: '/first', blob });
    ends.resolve(undefined);
    await incoming.done;
    expect(growing?.ended.aborted).toBe(false);
  });

  test('that begins anew in another file is read no more in the first', async () => {
    const { incoming, grow } = open();
    grow('/first');
    const growing = await incoming.growing;
    grow('/second');
    expect(growing?.ended.aborted).toBe(true);
    expect((await incoming.growing)?.file).toBe('/first');
  });

  test('that was there before, or of which nothing came, is not waited for', async () => {
    for (const failure of [undefined, new Error('cut off')]) {
      const { incoming, ends } = open();
      if (failure === undefined) ends.resolve(undefined);
      else ends.reject(failure);
      expect(await incoming.growing).toBeUndefined();
      if (failure !== undefined) await expect(incoming.done).rejects.toBe(failure);
    }
  });

  test('that fails ends who reads it, with the reason', async () => {
    const { incoming, ends, grow } = open();
    grow('/first');
    const growing = await incoming.growing;
    ends.reject(new Error('cut off'));
    await expect(incoming.done).rejects.toThrow('cut off');
    expect(growing?.ended.reason).toMatchObject({ message: 'cut off' });
  });
});

describe('layers with other times', () => {
  test('are known as long as their blobs are there, and as they were made', () => {
    using opened = openStore();
    const { store } = opened;
    const layers = new RewrittenLayers(store);
    const { digest, size } = store.blobs.put('rewritten');
    const made = { diffId: sha256('content'), descriptor: { mediaType: mediaTypes.ociLayerGzip, digest, size } };
    layers.put('layer gzip 1700000000', made);
    expect(layers.get('layer gzip 1700000000')).toEqual(made);
    expect(layers.get('layer gzip 1700000001')).toBeUndefined();
    using again = openStore(opened.root);
    expect(new RewrittenLayers(again.store).get('layer gzip 1700000000')).toEqual(made);
    store.blobs.remove(digest);
    expect(layers.get('layer gzip 1700000000')).toBeUndefined();
    // What comes in its place has other bytes.
    store.blobs.put('rewritten');
    expect(layers.get('layer gzip 1700000000')).toEqual(made);
  });

  test.each([
    ['nothing', null],
    ['a text', 'x'],
    ['no digest', { diffId: 'sha256:short', descriptor: {} }],
    ['no descriptor', { diffId: sha256('x') }],
    ['a path', { diffId: sha256('x'), descriptor: { digest: 'sha256:../../../etc/passwd', size: 1 } }],
  ])('a record of %s is none', (_what, value) => {
    using opened = openStore();
    opened.store.facts.put('rewritten', 'key', value);
    expect(new RewrittenLayers(opened.store).get('key')).toBeUndefined();
  });
});
