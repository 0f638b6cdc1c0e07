import type { extractLayer } from './extract-layer.ts';
import type { HandlerContext } from './handler-context.ts';
import type { MethodName, ParamsOf, ResultOf } from './protocol.ts';

/** The code of a method. */
export type Handler<M extends MethodName> = (
  params: ParamsOf<M>,
  context: HandlerContext,
) => ResultOf<M> | Promise<ResultOf<M>>;

/**
 * Where a method runs: in the worker's main thread, in one of its threads because it computes or reads for long, or in either:
 * starting a thread costs more than a small job, so the main thread takes such jobs while it has few of them.
 */
export interface Method<M extends MethodName> {
  readonly place: 'main' | 'thread' | 'either';
  /** Loads the code at the first call: what a build does not need costs it nothing. */
  readonly load: () => Promise<Handler<M>>;
}

/** Everything the worker can do. */
export const methods: { readonly [M in MethodName]: Method<M> } = {
  prepareUpper: { place: 'main', load: async () => (await import('./prepare-upper.ts')).prepareUpper },
  runStep: { place: 'main', load: async () => (await import('./steps.ts')).runStepHere },
  supervise: { place: 'main', load: async () => (await import('./contained.ts')).superviseHere },
  prepareNetwork: { place: 'main', load: async () => (await import('./step-network.ts')).prepareNetwork },
  removeTrees: { place: 'main', load: async () => (await import('./helper-tools.ts')).removeTrees },
  usage: { place: 'main', load: async () => (await import('./helper-tools.ts')).usage },
  readFile: { place: 'main', load: async () => (await import('./stack-files.ts')).readFile },
  statPath: { place: 'main', load: async () => (await import('./stack-files.ts')).statPath },
  applyLayer: { place: 'main', load: async () => (await import('./apply-layer.ts')).applyLayer },
  recompressLayer: { place: 'thread', load: async () => (await import('./layer-jobs.ts')).recompressLayer },
  diffLayer: { place: 'either', load: async () => (await import('./layer-jobs.ts')).diffLayer },
  diffTrees: { place: 'either', load: async () => (await import('./layer-jobs.ts')).diffTrees },
  maskLayers: { place: 'either', load: async () => (await import('./layer-masks.ts')).maskLayers },
  fileOp: { place: 'either', load: async () => (await import('./file-jobs.ts')).fileOp },
  packFileOp: { place: 'either', load: async () => (await import('./file-jobs.ts')).packFileOp },
  checksum: { place: 'either', load: async () => (await import('./layer-jobs.ts')).checksum },
  summarizeTree: { place: 'thread', load: async () => (await import('./tree-jobs.ts')).summarizeTree },
  prepareCacheMount: { place: 'main', load: async () => (await import('./file-jobs.ts')).prepareCacheMount },
  packMount: { place: 'thread', load: async () => (await import('./mount-jobs.ts')).packMount },
  unpackMount: { place: 'thread', load: async () => (await import('./mount-jobs.ts')).unpackMount },
  writeTreeTar: { place: 'thread', load: async () => (await import('./tree-jobs.ts')).writeTreeTar },
  writeTreeDirectory: { place: 'thread', load: async () => (await import('./tree-jobs.ts')).writeTreeDirectory },
  syncStore: { place: 'either', load: async () => (await import('./layer-jobs.ts')).syncStore },
  openContainer: { place: 'main', load: async () => (await import('./container-files.ts')).openContainer },
  copyFiles: { place: 'main', load: async () => (await import('./container-files.ts')).copyFiles },
  exportTree: { place: 'main', load: async () => (await import('./container-layers.ts')).exportTree },
  listChanges: { place: 'main', load: async () => (await import('./container-layers.ts')).listChanges },
  readDirectory: { place: 'main', load: async () => (await import('./stack-files.ts')).readDirectory },
};

/** What threads do for methods that run in the main thread. */
export const threadJobs = {
  extractLayer: async (): Promise<typeof extractLayer> => (await import('./extract-layer.ts')).extractLayer,
} as const;
