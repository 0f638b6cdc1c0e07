import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { diffLayer, DirectoryWriter, type LayerEntry, writeEntries } from '../../src/layer/index.ts';
import { applyLayer } from './support/apply-layer.ts';
import { LayerWriter } from '../../src/layer/write-layer.ts';
import { describeLayerSink, everything } from '../suites/layer-sink.ts';
import { sortEntries } from './support/sort-entries.ts';
import { MemorySink } from './support/memory-sink.ts';

const compression = { kind: 'none' } as const;

function newDirectory(folder: string): string {
  const target = mkdtempSync(join(folder, 'layer-'));
  return target;
}

async function unpack(blob: Buffer, folder: string, lowers: readonly string[]): Promise<string> {
  const target = newDirectory(folder);
  await applyLayer({ blob: [blob], compression: 'none', target, lowers, idShift: 0 });
  return target;
}

describeLayerSink('LayerWriter', (folder, lowers) => {
  const blob = new MemorySink();
  return {
    sink: new LayerWriter(blob, { compression }),
    toDirectory: () => unpack(blob.bytes, folder, lowers),
    isEmpty: () => blob.state === 'aborted',
  };
});

describeLayerSink('DirectoryWriter', (folder, lowers) => {
  const target = newDirectory(folder);
  return {
    sink: new DirectoryWriter({ target, lowers, idShift: 0 }),
    toDirectory: () => Promise.resolve(target),
    isEmpty: () => readdirSync(target).length === 0,
  };
});

/** Entries of a tree: parents have entries of their own, names sort in ways that trip up who compares names and not paths. */
const entries: fc.Arbitrary<readonly LayerEntry[]> = fc
  .uniqueArray(fc.array(fc.constantFrom('a', 'a-', 'a.', 'b', 'é'), { minLength: 1, maxLength: 4 }), {
    maxLength: 25,
    selector: (names) => names.join('/'),
  })
  .chain((paths) => fc.tuple(fc.constant(paths), fc.array(fc.nat(4095), { minLength: 25, maxLength: 25 })))
  .map(([paths, numbers]) => {
    const made = new Map<string, LayerEntry>();
    for (const [index, names] of paths.entries()) {
      const mode = (numbers[index] ?? 0) & 0o777;
      const mtime = { sec: 1_500_000_000 + mode, nsec: 0 };
      const latin = names.map((name) => Buffer.from(name).toString('latin1'));
      for (let depth = 1; depth < latin.length; depth++) {
        const path = latin.slice(0, depth).join('/');
        made.set(path, { path, type: 'directory', mode: 0o700 | mode, mtime });
      }
      const path = latin.join('/');
      if (made.has(path)) continue;
      const content = Buffer.from(`${path} ${mode}`);
      made.set(path, { path, type: 'file', mode, mtime, size: content.length, content, uid: mode, gid: 7 });
    }
    return sortEntries([...made.values()]);
  });

test('packing the directory of entries gives the blob of the entries, byte for byte', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-sinks-'));
  try {
    await fc.assert(
      fc.asyncProperty(entries, async (given) => {
        const blob = new MemorySink();
        await writeEntries(given, new LayerWriter(blob, { compression }), {});
        const target = newDirectory(folder);
        await writeEntries(given, new DirectoryWriter({ target, lowers: [], idShift: 0 }), {});
        const packed = new MemorySink();
        await diffLayer({ upper: target, lowers: [], idShift: 0, compression, sink: packed });
        expect(packed.bytes.equals(blob.bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('owners that cannot be stored are refused before anything has their name', async () => {
  const target = newDirectory(tmpdir());
  mkdirSync(target, { recursive: true });
  try {
    const sink = new DirectoryWriter({ target, lowers: [], idShift: 0, idCount: 10 });
    const given = everything.map((entry): LayerEntry => (entry.path === 'large' ? { ...entry, uid: 10 } : entry));
    await expect(writeEntries(given, sink, {})).rejects.toMatchObject({
      code: 'TSB_PERMISSION',
      message: expect.stringContaining('id 10 is not below 10'),
    });
    expect(readdirSync(target)).toEqual([]);
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
});
