import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { edgesOf, exportCaches } from '../../../src/engine/caches/cache-export.ts';
import { CacheRace } from '../../../src/engine/caches/cache-race.ts';
import type { Session } from '../../../src/engine/session.ts';
import type { StepExports } from '../../../src/engine/caches/step-export.ts';
import { type Descriptor, mediaTypes, parseReference } from '../../../src/image/index.ts';
import type { OpResult } from '../../../src/ops/index.ts';
import { createRegistry, type Registry } from '../../../src/registry/index.ts';
import {
  CACHE_CONFIG_TYPE,
  type CachedLayer,
  type OwnCacheExport,
  type StepCacheExport,
} from '../../../src/remote-cache/index.ts';
import type { KnownEdge } from '../../../src/solver/index.ts';
import { hexOf, sha256, TsbuildError } from '../../../src/util/index.ts';
import { openStore, type TestStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';
import { startUploadRegistry, type UploadRegistry } from '../../support/upload-registry.ts';

const NOW = 1_700_000_000_000;
let dir = '';
let opened: TestStore;
let server: UploadRegistry;
let registry: Registry & AsyncDisposable;
beforeEach(async () => {
  dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-cache-export-'));
  opened = openStore();
  server = await startUploadRegistry();
  registry = createRegistry({ now: () => Date.now(), limits: { attempts: 1, backoffMs: 1 } });
});
afterEach(async () => {
  await registry[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  opened[Symbol.dispose]();
  fs.rmSync(dir, { recursive: true });
});

/** Layers that the session can have, each a blob that comes into the store when it is fetched. */
const LAYERS = new Map(['base', 'made', 'aside', 'windows'].map((id) => [id, Buffer.from(`bytes of ${id}`)]));
const bytesOf = (id: string): Buffer => LAYERS.get(id) ?? Buffer.alloc(0);
const cached = (id: string): CachedLayer => ({
  descriptor: { mediaType: mediaTypes.ociLayerGzip, digest: sha256(bytesOf(id)), size: bytesOf(id).length },
  diffId: sha256(`content of ${id}`),
  createdAt: 1,
  description: `RUN ${id}`,
  fromImage: false,
});

/** Nodes of a graph: a source, and two steps on it, one of which the build's result is. */
const [SOURCE, STEP, ASIDE] = ['source', 'step', 'aside'].map((name) => hexOf(sha256(name))) as [
  string,
  string,
  string,
];
const edge = (node: string, layers: readonly string[], more: Partial<KnownEdge<OpResult>> = {}): KnownEdge<OpResult> =>
  ({
    vertex: sha256(node),
    name: node,
    nodes: [node],
    result: { kind: 'layers', layers },
    source: false,
    target: false,
    ...more,
  }) as unknown as KnownEdge<OpResult>;
const KNOWN = [
  edge(SOURCE, ['base'], { source: true }),
  edge(ASIDE, ['base', 'aside']),
  edge(STEP, ['base', 'made'], { target: true }),
];

interface Seen {
  readonly session: Session;
  /** Layers whose bytes were wanted, and in which form they were described. */
  readonly fetched: string[];
  readonly described: string[];
  readonly noted: string[];
}
function rig(): Seen {
  const [fetched, described, noted]: [string[], string[], string[]] = [[], [], []];
  const session = {
    now: () => NOW,
    store: opened.store,
    registry,
    repositoriesOf: () => [],
    origins: { note: (digests: Iterable<string>) => void noted.push(...digests) },
    cache: {
      linksTo: (node: string) =>
        node === SOURCE ? [] : [{ op: sha256(`op of ${node}`), output: 0, input: 0, from: SOURCE }],
      records: (node: string) => [{ createdAt: node === STEP ? 7 : 3 }, { createdAt: 2 }],
    },
    layers: {
      isWindows: (ids: readonly string[]) => ids.includes('windows'),
      describe: (_: unknown, id: string, form: { readonly kind: string }) => {
        described.push(`${id} ${form.kind}`);
        return Promise.resolve(cached(id));
      },
      fetch: (_: unknown, ids: readonly string[]) => {
        for (const id of ids) opened.store.blobs.put(bytesOf(id));
        fetched.push(...ids);
        return Promise.resolve();
      },
    },
  } as unknown as Session;
  return { session, fetched, described, noted };
}

const OPTIONS = {
  mode: 'max',
  compression: { kind: 'gzip' },
  imageManifest: true,
  ociMediaTypes: true,
  ignoreError: false,
} as unknown as OwnCacheExport;
const local = (more: Partial<OwnCacheExport> = {}, dest = join(dir, 'cache')): OwnCacheExport =>
  ({ ...OPTIONS, type: 'local', dest, tag: 'main', ...more }) as OwnCacheExport;
const remote = (more: Partial<OwnCacheExport> = {}): OwnCacheExport =>
  ({
    ...OPTIONS,
    type: 'registry',
    reference: parseReference(`${server.host}/team/cache:main`),
    ...more,
  }) as OwnCacheExport;

async function write(
  exports: readonly (OwnCacheExport | StepCacheExport)[],
  { session }: Seen = rig(),
  { known = KNOWN, task = testTask(), steps = {} as StepExports, race = new CacheRace(registry, testTask(), []) } = {},
) {
  await exportCaches(session, task, exports, known, { race, steps });
  return task.seen;
}
const warnings = (seen: readonly { readonly type: string; readonly diagnostic?: { readonly message: string } }[]) =>
  seen.flatMap(({ diagnostic }) => (diagnostic === undefined ? [] : [diagnostic.message]));

interface Manifest {
  readonly mediaType: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
}
const layoutBlob = (digest: string): Buffer => fs.readFileSync(join(dir, 'cache/blobs', digest.replace(':', '/')));
function layoutManifest(): Manifest {
  const index = JSON.parse(fs.readFileSync(join(dir, 'cache/index.json'), 'utf8')) as Manifest;
  return JSON.parse(layoutBlob(index.manifests?.[0]?.digest ?? '').toString()) as Manifest;
}
const digests = (ids: readonly string[]): readonly string[] => ids.map((id) => sha256(bytesOf(id))).toSorted();
const digestsIn = (of: readonly Descriptor[] | undefined): readonly string[] =>
  (of ?? []).map(({ digest }) => digest).toSorted();

describe('a cache in a directory', () => {
  test('is an image whose layers are those of all steps, and whose config is the graph', async () => {
    const seen = rig();
    await write([local()], seen);
    const manifest = layoutManifest();
    expect(manifest).toMatchObject({ mediaType: mediaTypes.ociManifest, config: { mediaType: CACHE_CONFIG_TYPE } });
    expect(digestsIn(manifest.layers)).toEqual(digests(['aside', 'base', 'made']));
    for (const { digest } of manifest.layers ?? []) expect(sha256(layoutBlob(digest))).toBe(digest);
    const config = JSON.parse(layoutBlob(manifest.config?.digest ?? '').toString()) as { records: unknown[] };
    expect(config.records.length).toBeGreaterThanOrEqual(3);
    expect(seen.fetched.toSorted()).toEqual(['aside', 'base', 'made']);
  });

  test('with mode=min has the layers of the result alone; the others go in as keys', async () => {
    const seen = rig();
    await write([local({ mode: 'min' })], seen);
    expect(digestsIn(layoutManifest().layers)).toEqual(digests(['base', 'made']));
    expect(seen.described.toSorted()).toEqual(['base gzip', 'made gzip']);
  });

  test('has no layers of Windows images, and no results that stand on one', async () => {
    await write([local()], rig(), { known: [...KNOWN.slice(0, 2), edge(STEP, ['base', 'windows'], { target: true })] });
    expect(digestsIn(layoutManifest().layers)).toEqual(digests(['aside', 'base']));
  });

  test.each<readonly [what: string, more: Partial<OwnCacheExport>, manifest: string, layer: string]>([
    ['as an index', { imageManifest: false }, mediaTypes.ociIndex, mediaTypes.ociLayerGzip],
    [
      'with docker’s types',
      { ociMediaTypes: false, imageManifest: false },
      mediaTypes.dockerIndex,
      mediaTypes.dockerLayerGzip,
    ],
  ])('%s names the same blobs', async (_, more, type, layer) => {
    await write([local(more)]);
    const { mediaType, manifests = [] } = layoutManifest();
    expect(mediaType).toBe(type);
    expect(manifests.at(-1)?.mediaType).toBe(CACHE_CONFIG_TYPE);
    expect(new Set(manifests.slice(0, -1).map((each) => each.mediaType))).toEqual(new Set([layer]));
    expect(digestsIn(manifests.slice(0, -1))).toEqual(digests(['aside', 'base', 'made']));
  });
});

describe('a cache in a registry', () => {
  test('has all blobs before the tag leads to them, and layers are noted to be there', async () => {
    const seen = rig();
    await write([remote()], seen);
    const puts = server.requests.filter(({ method, path }) => method === 'PUT' && /manifests|blobs/.test(path));
    expect(puts.at(-1)?.path).toBe('/v2/team/cache/manifests/main');
    expect(puts.filter(({ path }) => path.includes('manifests'))).toHaveLength(1);
    expect([...server.blobs.keys()].filter((name) => /sha256/.test(name))).toHaveLength(4);
    expect(seen.noted).toEqual(expect.arrayContaining(digests(['aside', 'base', 'made']) as string[]));
  });

  test('fetches no layer that is there', async () => {
    await write([remote()]);
    const again = rig();
    server.requests.length = 0;
    await write([remote()], again);
    expect(again.fetched).toEqual([]);
    expect(server.requests.filter(({ method }) => method === 'POST' || method === 'PATCH')).toEqual([]);
  });

  test('that takes a blob not gets no tag, and the error says which cache it was', async () => {
    server.fault = ({ method, path }) => (method !== 'HEAD' && path.includes('/blobs/') ? { status: 400 } : undefined);
    await expect(write([remote()])).rejects.toMatchObject({
      code: 'TSB_EXPORT',
      message: expect.stringContaining(`Cannot export cache to ${server.host}/team/cache:main: `) as string,
    });
    expect([...server.manifests.keys()]).toEqual([]);
  });

  test('that somebody else wrote meanwhile is written all the same, with a warning and a way out', async () => {
    const race = { lost: () => Promise.resolve(true) } as unknown as CacheRace;
    const seen = await write([remote()], rig(), { race });
    expect(seen).toContainEqual(
      expect.objectContaining({
        diagnostic: expect.objectContaining({
          code: 'CacheExport',
          severity: 'warning',
          message: `The cache ${server.host}/team/cache:main was written by somebody else during this build: what that build cached is replaced`,
          description: expect.stringContaining('ref=…:BRANCH') as string,
        }) as unknown,
      }),
    );
    expect([...server.manifests.keys()].some((name) => name.includes('main'))).toBe(true);
  });
});

describe('caches of one build', () => {
  const refused = (): void => {
    server.fault = ({ method }) => (method === 'HEAD' ? undefined : { status: 400 });
  };

  test('one that cannot be written does not keep the others, and fails the build in the end', async () => {
    refused();
    await expect(write([remote(), local()])).rejects.toThrow(`Cannot export cache to ${server.host}/team/cache:main`);
    expect(digestsIn(layoutManifest().layers)).toHaveLength(3);
  });

  test('of several that fail the first is told', async () => {
    refused();
    fs.writeFileSync(join(dir, 'file'), '');
    await expect(write([local({}, join(dir, 'file/cache')), remote()])).rejects.toThrow(join(dir, 'file/cache'));
  });

  test('one whose errors are to be ignored is a warning, with its hint', async () => {
    refused();
    const seen = await write([remote({ ignoreError: true }), local()]);
    expect(warnings(seen)).toEqual([
      expect.stringContaining(`Cannot export cache to ${server.host}/team/cache:main: `),
    ]);
    expect(digestsIn(layoutManifest().layers)).toHaveLength(3);
  });

  test('each has a line of its own in the progress, which says how it ended', async () => {
    refused();
    const seen = await write([remote({ ignoreError: true }), local()]);
    const states = seen.flatMap((event) => (event.type === 'vertex' ? [`${event.name}: ${event.state}`] : []));
    expect(states).toEqual([
      'exporting cache to registry: started',
      'exporting cache to registry: failed',
      'exporting cache to client directory: started',
      'exporting cache to client directory: done',
    ]);
  });

  test('a canceled build writes no further one, and is no failure of a cache', async () => {
    const abort = new AbortController();
    const canceled = new TsbuildError('TSB_CANCELED', 'Canceled');
    const race = {
      lost: () => {
        abort.abort(canceled);
        return Promise.reject(new Error('It was ended'));
      },
    } as unknown as CacheRace;
    const task = { ...testTask(), signal: abort.signal };
    await expect(write([remote({ ignoreError: true }), local()], rig(), { race, task })).rejects.toBe(canceled);
    expect(fs.existsSync(join(dir, 'cache'))).toBe(false);
    expect(warnings(task.seen)).toEqual([]);
  });

  test('what was written step by step is only finished here', async () => {
    const finished: unknown[] = [];
    const spec = {
      type: 'steps',
      ignoreError: false,
      place: { type: 'local', path: '/shared' },
    } as unknown as StepCacheExport;
    const steps = {
      finish: (...args: unknown[]) => {
        finished.push(args[0]);
        return Promise.reject(new TsbuildError('TSB_NETWORK', 'it is full', { hint: 'make room' }));
      },
    } as unknown as StepExports;
    await expect(write([spec], rig(), { steps })).rejects.toMatchObject({
      code: 'TSB_EXPORT',
      message: 'Cannot export cache to /shared: it is full',
      hint: 'make room',
    });
    expect(finished).toEqual([spec]);
  });
});

describe('what a cache has of a result', () => {
  const layers = new Map([
    ['base', cached('base')],
    ['made', cached('made')],
  ]);

  test('is its layers with the age of the newest record that led to it', () => {
    const [source, aside, step] = edgesOf(rig().session, KNOWN, layers);
    expect(step).toEqual({ nodes: [STEP], result: { layers: [cached('base'), cached('made')], createdAt: 7 } });
    // Sources are asked anew anyway, and a result with a layer that is not sent could not be had.
    expect([source, aside]).toEqual([{ nodes: [SOURCE] }, { nodes: [ASIDE] }]);
  });

  test('is nothing where it is no layers, and the empty stack where it has none', () => {
    const other = edge(STEP, [], { result: undefined });
    expect(edgesOf(rig().session, [other], layers)).toEqual([{ nodes: [STEP] }]);
    expect(edgesOf(rig().session, [edge(STEP, [])], layers)).toEqual([
      { nodes: [STEP], result: { layers: [], createdAt: 7 } },
    ]);
  });
});
