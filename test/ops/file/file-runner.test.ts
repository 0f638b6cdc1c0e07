import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StatCache } from '../../../src/cache/index.ts';
import type { FileAction, FileOp, Op } from '../../../src/llb/index.ts';
import { type FilePieces, fileRunner } from '../../../src/ops/file/file-runner.ts';
import { LocalLayers } from '../../../src/ops/file/local-layers.ts';
import type { OpVertex } from '../../../src/ops/kind-runner.ts';
import type { LocalResult, PackingPlan } from '../../../src/ops/index.ts';
import { BuildSecrets } from '../../../src/secrets/index.ts';
import { LayerService } from '../../../src/snapshots/index.ts';
import { ContextTree, encodeSummary, type SummaryDir, type SummaryLeaf, SummaryTree } from '../../../src/tree/index.ts';
import { type Digest, sha256 } from '../../../src/util/index.ts';
import type { WorkerClient } from '../../../src/worker/index.ts';
import { copy, entriesOf } from '../../fileop/support.ts';
import { openStore, type TestStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';

const NOW = 1_700_000_000_000;
const BASE = 'a'.repeat(64);

/** The parts around a file runner: a real store and layer service, and a worker that notes what it is asked for. */
class Rig {
  readonly folder = mkdtempSync(join(tmpdir(), 'tsbuild-file-runner-'));
  readonly opened: TestStore = openStore();
  readonly calls: { readonly method: string; readonly params: Record<string, unknown> }[] = [];
  readonly warnings: string[] = [];
  readonly pieces: FilePieces;
  readonly task = testTask();
  /** What the worker answers. */
  answers: Readonly<Record<string, unknown>> = {};

  constructor() {
    const { store } = this.opened;
    const lease = store.leases.create();
    const client = {
      call: async (method: string, params: Record<string, unknown>) => {
        // Whether directories are still as they were is looked at elsewhere.
        if (method === 'usage')
          return (params['paths'] as readonly string[]).map((path) => ({ path, bytes: 0, inodes: 1, stamp: '1.1.1' }));
        this.calls.push({ method, params });
        const answer = this.answers[method];
        return typeof answer === 'function' ? (answer as (given: typeof params) => unknown)(params) : answer;
      },
    } as unknown as WorkerClient;
    const worker = (): Promise<WorkerClient> => Promise.resolve(client);
    const layers = new LayerService({ store, lease, worker, onWarning: (message) => this.warnings.push(message) });
    this.pieces = {
      snapshots: { store, lease, layers, worker },
      origins: {
        image: async () => ({ manifestDigest: sha256('m'), chainId: BASE, layers: [BASE] }),
        blob: undefined as never,
        local: () => this.local(),
        remote: undefined as never,
      },
      credentials: { secrets: new BuildSecrets(new Map()), ssh: undefined as never },
      report: {
        build: this.task,
        notes: { source: () => undefined, read: () => undefined },
        now: () => NOW,
        warn: (message) => this.warnings.push(message),
      },
    };
    store.layers.create({ id: BASE, parents: [], type: 'source.image', description: 'base' }, lease);
    store.layers.prepareDirectory(BASE);
    store.layers.setFs(BASE, { bytes: 0, inodes: 0, stamp: '1.1.1' });
  }

  write(path: string, text: string): string {
    const file = join(this.folder, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
    utimesSync(file, 1_600_000_000, 1_600_000_000);
    return file;
  }

  local(): LocalResult {
    return { kind: 'local', tree: ContextTree.open(this.folder) };
  }

  /** The entries of the topmost layer of a result, which must be a blob. */
  entries(layers: readonly string[]): readonly string[] {
    const { store } = this.opened;
    const [blob] = store.layers.get(layers.at(-1) ?? '')?.blobs ?? [];
    if (!blob) throw new Error('the layer is no blob');
    return entriesOf(readFileSync(store.blobs.path(blob.descriptor.digest)));
  }

  get blobs(): readonly string[] {
    return [...this.opened.store.blobs.list()].map(({ digest }) => digest);
  }

  get asked(): readonly string[] {
    return this.calls.map(({ method }) => method);
  }

  [Symbol.dispose](): void {
    this.opened[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => {
  rig[Symbol.dispose]();
});

function op(...actions: readonly Partial<FileAction>[]): FileOp {
  const whole = { ...copy('/', '/d'), input: -1, secondaryInput: 0, output: -1 };
  return { kind: 'file', actions: actions.map((action) => ({ ...whole, ...action }) as FileAction) };
}

const ontoScratch = op({ output: 0 });
const ontoBase = op({ input: 0, secondaryInput: 1, output: 0 });
const imageOp = { inputs: [], body: { kind: 'source', identifier: 'docker-image://base', attrs: new Map() } };
const localOp = { inputs: [], body: { kind: 'source', identifier: 'local://context', attrs: new Map() } };

function vertexOf(file: FileOp, inputs: readonly unknown[] = [localOp], ignoreCache = false): OpVertex {
  const source = (body: unknown, name: string): OpVertex => ({
    digest: sha256(name),
    name,
    op: body as Op,
    inputs: [],
    ignoreCache: false,
  });
  return {
    digest: sha256('copy'),
    name: 'COPY . /d',
    op: { inputs: [], body: file },
    inputs: inputs.map((body, at) => ({ vertex: source(body, `input ${at}`), output: 0 })),
    ignoreCache,
  };
}

function plan(vertex: OpVertex, isNews = false): PackingPlan {
  return {
    form: { kind: 'none' },
    blobOnly: new Set([vertex.digest]),
    withoutFiles: new Set(),
    ahead: new Set(),
    isNews,
  };
}

/** What a worker says that wrote an empty layer. */
const packed = { diffId: sha256('l'), digest: sha256('l'), size: 1024, warnings: ['who is x?'], learned: [] };

describe('a copy of the context onto scratch', () => {
  test('is written by this process when only its blob is wanted', async () => {
    rig.write('a/f', 'text');
    const vertex = vertexOf(ontoScratch);
    const [result] = await fileRunner(rig.pieces, plan(vertex)).run(rig.task, vertex, ontoScratch, [rig.local()]);
    expect(rig.asked).toEqual([]);
    if (result?.kind !== 'layers') throw new Error('no layers');
    expect(result.layers).toHaveLength(1);
    const names = rig.entries(result.layers).map((line) => (JSON.parse(line) as unknown[])[0]);
    expect(names).toEqual(['d/', 'd/a/', 'd/a/f']);
    expect(rig.opened.store.layers.get(result.layers[0] ?? '')).toMatchObject({
      description: 'COPY . /d',
      type: 'regular',
      fs: false,
    });
  });

  test('is made a directory by the worker when somebody reads its files', async () => {
    rig.write('f', 'text');
    rig.answers = {
      fileOp: ({ slots }: { slots: { fs: string }[] }) => ({
        outputs: [{ lowers: [], layer: slots[0]?.fs }],
        warnings: ['odd'],
      }),
    };
    const vertex = vertexOf(ontoScratch);
    const nobody = { ...plan(vertex), blobOnly: new Set<never>() };
    for (const given of [nobody, undefined]) {
      const [result] = await fileRunner(rig.pieces, given).run(rig.task, vertex, ontoScratch, [rig.local()]);
      if (result?.kind !== 'layers') throw new Error('no layers');
      expect(rig.opened.store.layers.get(result.layers[0] ?? '')).toMatchObject({ fs: true, blobs: [] });
    }
    expect(rig.asked).toEqual(['fileOp', 'fileOp']);
    expect(rig.warnings).toEqual(['odd', 'odd']);
  });

  test('that unpacks an archive turns back to a directory, and leaves no blob behind', async () => {
    const [tar] = [Buffer.alloc(1536)];
    tar.write('x', 0);
    tar.write('0000644\0', 100);
    tar.write('ustar\x0000', 257);
    for (const at of [108, 116]) tar.write('0000000\0', at);
    for (const at of [124, 136]) tar.write('00000000000\0', at);
    tar.write('        ', 148);
    tar.write(
      `${tar
        .subarray(0, 512)
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    writeFileSync(join(rig.folder, 'x.tar'), tar);
    rig.answers = {
      fileOp: ({ slots }: { slots: { fs: string }[] }) => ({
        outputs: [{ lowers: [], layer: slots[0]?.fs }],
        warnings: [],
      }),
    };
    const add = op({ ...copy('/x.tar', '/d/', { attemptUnpack: true }), output: 0 });
    const vertex = vertexOf(add);
    await fileRunner(rig.pieces, plan(vertex)).run(rig.task, vertex, add, [rig.local()]);
    expect(rig.asked).toEqual(['fileOp']);
    expect(rig.blobs).toEqual([]);
  });

  test('that cannot be read says so, and leaves no blob behind', async () => {
    rig.write('f', 'text');
    const vertex = vertexOf(ontoScratch);
    const input = rig.local();
    input.tree.list(input.tree.root);
    rig.write('f', 'another text');
    const run = fileRunner(rig.pieces, plan(vertex)).run(rig.task, vertex, ontoScratch, [input]);
    await expect(run).rejects.toMatchObject({ code: 'TSB_CHANGED' });
    expect(rig.blobs).toEqual([]);
  });
});

test('a copy onto a base is written by the worker, on the layers of the base', async () => {
  rig.write('f', 'text');
  rig.answers = { packFileOp: packed };
  const vertex = vertexOf(ontoBase, [imageOp, localOp]);
  const inputs = [{ kind: 'layers', layers: [BASE] } as const, rig.local()];
  const [result] = await fileRunner(rig.pieces, plan(vertex)).run(rig.task, vertex, ontoBase, inputs);
  expect(rig.calls).toMatchObject([
    { method: 'packFileOp', params: { compression: { kind: 'none' }, learn: false, now: BigInt(NOW) * 1_000_000n } },
  ]);
  expect(result).toMatchObject({ layers: [BASE, expect.any(String)] });
  expect(rig.warnings).toEqual(['who is x?']);
});

describe('a copy onto a base that is known without its files', () => {
  const DIFF = sha256('layer of the base');
  const ABSENT = DIFF.slice('sha256:'.length);
  const node = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 5n, linkname: '' } as const;
  const dir = (path: string, entries: SummaryDir['entries'] = new Map()): SummaryDir => ({ path, node, entries });
  const link = { ...node, type: 'symlink', mode: 0o777, linkname: 'real' } as const;
  const old = { ...node, type: 'file', mode: 0o644, size: 4, mtimeNs: 1_600_000_000_000_000_000n } as const;
  const SUMMARY = encodeSummary(
    new SummaryTree(
      dir(
        '',
        new Map<string, SummaryDir | SummaryLeaf>([
          ['d', { node: link }],
          ['old', { node: old }],
          ['real', dir('real')],
        ]),
      ),
    ),
  );
  const asked: string[] = [];
  const wanted: unknown[] = [];
  const below = { kind: 'layers', layers: [ABSENT] } as const;

  beforeEach(() => {
    const { store, lease } = rig.pieces.snapshots;
    store.layers.create({ id: ABSENT, parents: [], diffId: DIFF, type: 'source.image', description: 'base' }, lease);
    asked.length = wanted.length = 0;
  });

  function runner(given: PackingPlan) {
    const summaries = {
      find: async (_task: unknown, chain: Digest) => {
        asked.push(chain);
        return chain === DIFF ? SUMMARY : undefined;
      },
      wanted: (chain: Digest, layers: readonly string[]) => void wanted.push([chain, layers]),
    };
    return fileRunner({ ...rig.pieces, summaries }, given);
  }

  const names = (layers: readonly string[]): readonly unknown[] =>
    rig.entries(layers).map((line) => (JSON.parse(line) as unknown[])[0]);

  test('is written by this process, and fetches nothing', async () => {
    rig.write('f', 'text');
    const vertex = vertexOf(ontoBase, [imageOp, localOp]);
    const [result] = await runner({ ...plan(vertex), withoutFiles: new Set([vertex.digest]) }).run(
      rig.task,
      vertex,
      ontoBase,
      [below, rig.local()],
    );
    if (result?.kind !== 'layers') throw new Error('no layers');
    expect(result.layers.slice(0, -1)).toEqual([ABSENT]);
    // The base has a link there.
    expect(names(result.layers)).toEqual(['real/', 'real/f']);
    expect([rig.asked, asked, wanted]).toEqual([[], [DIFF], [[DIFF, [ABSENT]]]]);
  });

  test('tells of the base where a summary of it may be of use', async () => {
    rig.write('f', 'text');
    const vertex = vertexOf(ontoBase, [imageOp, localOp]);
    await runner(plan(vertex)).run(rig.task, vertex, ontoBase, [below, rig.local()]);
    expect(wanted).toEqual([]);
  });

  test('stands on what was copied before in the same build, and leaves out what is the same', async () => {
    rig.write('f', 'text');
    const first = vertexOf(ontoBase, [imageOp, localOp]);
    const last = { ...first, digest: sha256('last') };
    const given = { ...plan(last), withoutFiles: new Set([first.digest, last.digest]) };
    const ops = runner(given);
    const [one] = await ops.run(rig.task, first, ontoBase, [below, rig.local()]);
    rig.write('g', 'more');
    const [two] = await ops.run(rig.task, last, ontoBase, [one!, rig.local()]);
    if (two?.kind !== 'layers') throw new Error('no layers');
    expect(two.layers).toHaveLength(3);
    expect(names(two.layers)).toEqual(['real/', 'real/g']);
    expect([rig.asked, asked]).toEqual([[], [DIFF]]);
  });

  test('is written by the worker where files of another stage are copied', async () => {
    rig.answers = { packFileOp: packed };
    const vertex = vertexOf(ontoBase, [imageOp, imageOp]);
    await runner(plan(vertex)).run(rig.task, vertex, ontoBase, [below, { kind: 'layers', layers: [BASE] }]);
    expect(rig.calls).toMatchObject([
      { method: 'packFileOp', params: { inputs: [{ kind: 'known', above: [] }, { kind: 'layers' }] } },
    ]);
  });

  test('has the layers of the base where content decides, or who reads its files', async () => {
    rig.write('f', 'same');
    const over = op({ ...copy('/f', '/old'), input: 0, secondaryInput: 1, output: 0 });
    const read = op({ ...copy('/old', '/new'), input: 0, secondaryInput: 0, output: 0 });
    const group = { user: { kind: 'byName', name: 'app', input: 0 } } as const;
    const owned = op({ ...copy('/f', '/new', { owner: group }), input: 0, secondaryInput: 1, output: 0 });
    for (const [file, questions] of [
      [over, 1],
      [read, 0],
      [owned, 0],
    ] as const) {
      asked.length = 0;
      const vertex = vertexOf(file, [imageOp, localOp]);
      const run = runner(plan(vertex)).run(rig.task, vertex, file, [below, rig.local()]);
      // Nobody has them here.
      await expect(run).rejects.toThrow(/no blob of it|not in the store/);
      expect(asked).toHaveLength(questions);
    }
    expect(rig.blobs).toEqual([]);
  });
});

describe('before the key is known', () => {
  const many = (): void => {
    for (let n = 0; n < 600; n++) rig.write(`f${n}`, `${n}`);
  };

  async function keyOf(vertex: OpVertex, file: FileOp, given: PackingPlan, at = 0): Promise<string | undefined> {
    const runner = fileRunner(rig.pieces, given);
    const { deps } = await runner.cacheMap(rig.task, vertex, file);
    const digest = await deps[at]?.contentDigest?.(rig.task, rig.local());
    const inputs = at === 0 ? [rig.local()] : [{ kind: 'layers', layers: [BASE] } as const, rig.local()];
    await runner.run(rig.task, vertex, file, inputs);
    return digest;
  }

  test('a large copy that is news is packed while it is hashed, once, with the key that it has otherwise', async () => {
    many();
    const vertex = vertexOf(ontoScratch);
    const early = await keyOf(vertex, ontoScratch, plan(vertex, true));
    const blobs = rig.blobs;
    expect(blobs).toHaveLength(1);
    // As seen by a build that hashes first.
    expect(await keyOf(vertex, ontoScratch, plan(vertex, false))).toBe(early);
    expect(rig.blobs).toEqual(blobs);
    expect(rig.asked).toEqual([]);
  });

  test('onto a base the worker does it, and tells what it learned of the files', async () => {
    many();
    rig.answers = { packFileOp: packed };
    const vertex = vertexOf(ontoBase, [imageOp, localOp]);
    const early = await keyOf(vertex, ontoBase, plan(vertex, true), 1);
    expect(rig.calls).toMatchObject([{ method: 'packFileOp', params: { learn: true } }]);
    expect(await keyOf(vertex, ontoBase, plan(vertex, false), 1)).toBe(early);
  });

  test('of a file that its user may not read the worker is told nothing', async () => {
    many();
    chmodSync(join(rig.folder, 'f7'), 0);
    const vertex = vertexOf(ontoBase, [imageOp, localOp]);
    const runner = fileRunner(rig.pieces, plan(vertex, true));
    const { deps } = await runner.cacheMap(rig.task, vertex, ontoBase);
    const hashed = Promise.resolve(deps[1]?.contentDigest?.(rig.task, rig.local()));
    if (process.geteuid?.() === 0) return void (await hashed);
    await expect(hashed).rejects.toMatchObject({ code: 'TSB_PERMISSION' });
    expect(rig.asked).toEqual([]);
  });

  test('files that are known from an earlier build are not read again', async () => {
    many();
    const vertex = vertexOf(ontoScratch);
    const stats = StatCache.open(rig.opened.store, rig.folder);
    const input = { kind: 'local', tree: ContextTree.open(rig.folder, { stats }) } as const;
    const runner = fileRunner(rig.pieces, plan(vertex, true));
    const { deps } = await fileRunner(rig.pieces).cacheMap(rig.task, vertex, ontoScratch);
    await deps[0]?.contentDigest?.(rig.task, input);
    const again = await runner.cacheMap(rig.task, vertex, ontoScratch);
    await again.deps[0]?.contentDigest?.(rig.task, input);
    expect(rig.blobs).toEqual([]);
  });
});

test('a directory that several steps mount is copied into a layer once', async () => {
  rig.write('f', 'text');
  rig.answers = {
    fileOp: ({ slots }: { slots: { fs: string }[] }) => ({
      outputs: [{ lowers: [], layer: slots[0]?.fs }],
      warnings: [],
    }),
  };
  const locals = new LocalLayers(rig.pieces);
  const input = rig.local();
  const [one, two] = await Promise.all([locals.of(rig.task, input), locals.of(rig.task, input)]);
  expect(one).toEqual(two);
  expect(rig.asked).toEqual(['fileOp']);
  expect(rig.opened.store.layers.get(one?.[0] ?? '')?.type).toBe('source.local');
  expect(await locals.of(rig.task, { kind: 'layers', layers: [BASE] })).toEqual([BASE]);
});
