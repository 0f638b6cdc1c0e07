import { mkdtempSync, openSync, closeSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EntrySink, type LayerEntry, writeEntries } from '../../src/layer/index.ts';
import { LayersTree, toByteString } from '../../src/tree/index.ts';
import { sortEntries } from '../layer/support/sort-entries.ts';
import { sha256 } from '../../src/util/index.ts';
import { describeTree } from '../fileop/support.ts';

/** A sink that was just opened, and how to look at what came of it. */
export interface SinkFixture {
  readonly sink: EntrySink<unknown>;
  /** The layer as a directory, once the sink has finished. */
  readonly toDirectory: () => Promise<string>;
  /** Whether nothing is left of the layer. */
  readonly isEmpty: () => boolean;
}

const time = { sec: 1_600_000_000, nsec: 0 };

function file(path: string, content: string, more: Partial<LayerEntry> = {}): LayerEntry {
  const bytes = Buffer.from(content);
  return {
    path: toByteString(path),
    type: 'file',
    mode: 0o644,
    mtime: time,
    size: bytes.length,
    content: bytes,
    ...more,
  };
}

function directory(path: string, more: Partial<LayerEntry> = {}): LayerEntry {
  return { path: toByteString(path), type: 'directory', mode: 0o755, mtime: time, ...more };
}

/** A layer with one entry of each kind. */
export const everything: readonly LayerEntry[] = sortEntries([
  directory('', { mode: 0o750 }),
  directory('d', { mode: 0o1777 }),
  file('d/f', 'text', { mode: 0o4755 }),
  { path: 'd/same', type: 'hardlink', linkPath: 'd/f', mode: 0o4755, mtime: time },
  { path: 'd/link', type: 'symlink', linkPath: '../e', mode: 0o777, mtime: time },
  { path: 'd/fifo', type: 'fifo', mode: 0o600, mtime: time },
  file('d/empty', ''),
  file(`d/${'ä'.repeat(90)}`, 'a name that takes a header of its own'),
  file('large', 'x'.repeat(3_000_000)),
]);

/** The layer beneath which the sinks write, as it is described. */
export const below: readonly LayerEntry[] = sortEntries([
  directory('old', { mode: 0o700 }),
  file('old/gone', '1'),
  file('old/stays', '2'),
  directory('hidden'),
  file('hidden/inside', '3'),
  file('a', '4'),
]);

/**
 * The contract of `EntrySink`: the same entries give the same layer, wherever it is written to.
 * @param open a sink on top of the layer directories, bottom first
 */
export function describeLayerSink(
  name: string,
  open: (folder: string, lowers: readonly string[]) => SinkFixture,
): void {
  describe(`${name} as a sink of layer entries`, () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'tsbuild-layer-sink-'));
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    async function treeOf(
      entries: readonly LayerEntry[],
      lowers: readonly string[] = [],
    ): Promise<Record<string, string>> {
      const { sink, toDirectory } = open(folder, lowers);
      await writeEntries(entries, sink, {});
      return describeTree(new LayersTree([...lowers, await toDirectory()], { idShift: 0 }));
    }

    test('has every kind of entry as it was given', async () => {
      const tree = await treeOf(everything.filter(({ path }) => path !== ''));
      expect(tree).toEqual({
        d: 'directory 1777 0:0 1600000000',
        'd/empty': 'file 644 0:0 1600000000 ""',
        'd/f': 'file 4755 0:0 1600000000 "text"',
        'd/fifo': 'fifo 600 0:0 1600000000',
        'd/link': 'symlink  0:0 1600000000 -> ../e',
        'd/same': 'file 4755 0:0 1600000000 "text" = d/f',
        [`d/${'ä'.repeat(90)}`]: 'file 644 0:0 1600000000 "a name that takes a header of its own"',
        large: `file 644 0:0 1600000000 "${'x'.repeat(3_000_000)}"`,
      });
    });

    test('marks what is deleted below, and hides what a new directory replaces', async () => {
      const { sink, toDirectory } = open(folder, []);
      await writeEntries(below, sink, {});
      const lower = await toDirectory();
      const tree = await treeOf(
        [
          file('.wh.a', ''),
          directory('hidden'),
          file('hidden/.wh..wh..opq', ''),
          file('hidden/new', '5'),
          file('old/.wh.gone', ''),
        ],
        [lower],
      );
      expect(Object.keys(tree).sort()).toEqual(['hidden', 'hidden/new', 'old', 'old/stays'].sort());
      expect(tree['old']).toContain('700');
    });

    test('reads contents from open files, and tells their digests', async () => {
      writeFileSync(join(folder, 'source'), 'content');
      const fd = openSync(join(folder, 'source'), 'r');
      try {
        let told = '';
        const onDigest = (digest: string): void => void (told = digest);
        const tree = await treeOf([file('f', '', { size: 7, content: { fd, onDigest } })]);
        expect(told).toBe(sha256('content'));
        expect(tree['f']).toContain('content');
      } finally {
        closeSync(fd);
      }
    });

    test('leaves nothing behind when a file is shorter than stated or not what it was', async () => {
      const source = join(folder, 'source');
      writeFileSync(source, 'content');
      const wrong = { path: source, digest: sha256('other') };
      const { sink, isEmpty } = open(folder, []);
      const done = writeEntries([directory('d'), file('d/f', '', { size: 7, content: wrong })], sink, {});
      await expect(done).rejects.toMatchObject({ code: 'TSB_CHANGED', message: expect.stringContaining('hashed') });
      expect(isEmpty()).toBe(true);
      truncateSync(source, 3);
      const again = open(folder, []);
      const short = writeEntries(
        [directory('d'), file('d/f', '', { size: 7, content: { path: source } })],
        again.sink,
        {},
      );
      await expect(short).rejects.toMatchObject({ code: 'TSB_CHANGED', message: expect.stringContaining('shorter') });
      expect(again.isEmpty()).toBe(true);
    });

    test('leaves nothing behind when the entries fail, or the task is canceled', async () => {
      function* failing(): Generator<LayerEntry> {
        yield directory('d');
        yield file('d/f', 'text');
        throw new Error('no more');
      }
      const first = open(folder, []);
      await expect(writeEntries(failing(), first.sink, {})).rejects.toThrow('no more');
      expect(first.isEmpty()).toBe(true);
      const second = open(folder, []);
      const signal = AbortSignal.abort(new Error('stop'));
      await expect(writeEntries([undefined, ...everything], second.sink, { signal })).rejects.toThrow('stop');
      expect(second.isEmpty()).toBe(true);
    });

    test('says when all was read, before it is done', async () => {
      const order: string[] = [];
      const { sink } = open(folder, []);
      await writeEntries(everything, sink, { onRead: () => order.push('read') });
      order.push('done');
      expect(order).toEqual(['read', 'done']);
    });
  });
}
