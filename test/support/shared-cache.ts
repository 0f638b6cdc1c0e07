import { mediaTypes } from '../../src/image/index.ts';
import {
  type CachedLayer,
  type ExportReport,
  type Policy,
  SharedCache,
  type SigningKey,
  StepExporter,
  type StepPlace,
  trustAll,
} from '../../src/remote-cache/index.ts';
import { createSolver, type KnownEdge, type SolverVertex } from '../../src/solver/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { MemoryCache } from '../fakes/memory-cache.ts';
import { Rig, type TestOp } from '../solver/rig.ts';
import { testTask } from './task.ts';

/** What the layers of all tests are made of: fetching one is looking here. */
const texts = new Map<string, string>();

/** The layer that a result of the test ops is: its text. */
export function layerOf(text: string): CachedLayer {
  const bytes = Buffer.from(text);
  texts.set(sha256(bytes), text);
  const descriptor = { mediaType: mediaTypes.ociLayer, digest: sha256(bytes), size: bytes.length };
  return { descriptor, diffId: descriptor.digest, createdAt: 1000, description: text, fromImage: false };
}

/** What one machine is asked to do. */
export interface MachineBuild {
  readonly from?: readonly StepPlace[];
  readonly to?: StepPlace;
  readonly mode?: 'min' | 'max';
  readonly key?: SigningKey;
  readonly policy?: Policy;
  readonly maxBytes?: number;
  readonly touchMs?: number;
  readonly now?: () => number;
  /** Milliseconds. */
  readonly patienceMs?: number;
  /** The machine dies before it has written what is left in the end. */
  readonly dies?: boolean;
}

/** What came of it. */
export interface MachineOutcome {
  readonly result: string;
  readonly executed: readonly string[];
  readonly warnings: readonly string[];
  readonly report: ExportReport | undefined;
  readonly known: readonly KnownEdge<string>[];
  readonly caches: readonly SharedCache<string>[];
}

/** A machine with a store of its own, which stays from build to build. */
export class Machine {
  #clock = 0;
  readonly #local = new MemoryCache<string>({ id: 'local', now: () => ++this.#clock });

  /** Builds as `tsbuild build` does: from the nearest cache that has something, sharing each step as soon as it is done. */
  async build(target: SolverVertex<TestOp>, options: MachineBuild = {}): Promise<MachineOutcome> {
    const { from = [], to, policy = trustAll, patienceMs = 5000, now = (): number => 1_700_000_000_000 } = options;
    const rig = new Rig();
    const warnings: string[] = [];
    const caches = from.map(
      (place) =>
        new SharedCache<string>({
          place,
          policy,
          task: testTask(),
          patienceMs,
          use: (layers) => texts.get(layers.at(-1)?.descriptor.digest ?? '') ?? '',
          onWarning: (warning) => warnings.push(warning),
        }),
    );
    const exporter = to && this.#exporter(to, options, now, caches);
    const solver = createSolver<TestOp, string>(
      rig.options({
        caches: [this.#local, ...caches],
        onResult: (edge) => (options.mode === 'min' ? undefined : exporter?.offer(edge)),
      }),
    );
    const edges = [{ vertex: target, output: 0 }];
    const [result = ''] = await solver.solve(rig.task(), edges);
    const known = await solver.known(rig.task(), edges);
    const report = options.dies ? undefined : await exporter?.finish(testTask(), known);
    return { result, executed: rig.executed, warnings, report, known, caches };
  }

  #exporter(
    place: StepPlace,
    { mode = 'max', key, maxBytes, touchMs }: MachineBuild,
    now: () => number,
    caches: readonly SharedCache<string>[],
  ): StepExporter<string> {
    const layers = new Map<string, CachedLayer>();
    return new StepExporter<string>({
      place,
      task: testTask(),
      mode,
      author: { who: 'alice', ref: 'refs/heads/main', commit: 'c0ffee' },
      now,
      ...(key && { key }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(touchMs === undefined ? {} : { touchMs }),
      damaged: () => new Set(caches.flatMap(({ damagedLayers }) => [...damagedLayers])),
      layers: {
        describe: async (_task, text) => {
          const layer = layerOf(text);
          layers.set(layer.descriptor.digest, layer);
          return [layer];
        },
        ids: (text) => [text],
        blob: (_task, { descriptor }) => ({
          ...descriptor,
          open: (start) => [Buffer.from(texts.get(descriptor.digest) ?? '').subarray(start)],
        }),
        mountFrom: () => [],
        onThere: () => undefined,
        createdAt: () => 1000,
        linksTo: () => [],
      },
    });
  }
}
