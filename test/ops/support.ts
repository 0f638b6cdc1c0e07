import type { DeviceCatalog } from '../../src/cdi/index.ts';
import type { ExecMeta, ExecOp, Mount, Op, OpBody } from '../../src/llb/index.ts';
import {
  createRunner,
  type MovedMounts,
  noDevices,
  type OpPieces,
  type OpResult,
  type PackingPlan,
  SshAgents,
  StepDevices,
} from '../../src/ops/index.ts';
import { Limiter } from '../../src/limits/index.ts';
import { BuildSecrets, type SecretSource } from '../../src/secrets/index.ts';
import { LayerService } from '../../src/snapshots/index.ts';
import type { OpRunner, SolverVertex } from '../../src/solver/index.ts';
import { Emulation, type StepSpec } from '../../src/sandbox/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { FakeWorker } from '../fakes/worker.ts';
import { openStore, type TestStore } from '../store/support.ts';
import { testTask } from '../support/task.ts';

export interface KitOptions {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly secrets?: Readonly<Record<string, SecretSource>>;
  readonly entitlements?: readonly string[];
  readonly plan?: PackingPlan;
  readonly timeLimitMs?: number;
  readonly limits?: OpPieces['limits'];
  readonly beforeNetwork?: OpPieces['beforeNetwork'];
  readonly origins?: Partial<OpPieces['origins']>;
  readonly moved?: MovedMounts;
}

export interface Kit extends TestStore {
  readonly worker: FakeWorker;
  /** The steps that ran. */
  readonly steps: readonly StepSpec[];
  readonly layers: LayerService;
  /** What was warned of. */
  readonly said: readonly string[];
  readonly runner: OpRunner<Op, OpResult>;
}

const none = (): never => {
  throw new Error('The test has none');
};

/** The runners of all ops on a store of their own, with a worker whose steps are noted instead of run. */
export async function openKit(options: KitOptions = {}): Promise<Kit> {
  const opened = openStore();
  const { store } = opened;
  const worker = new FakeWorker(store);
  const steps: StepSpec[] = [];
  worker.on.runStep = (spec: StepSpec) => {
    steps.push(spec);
    return { kind: 'exited', code: 0 };
  };
  worker.on.prepareCacheMount = () => undefined;
  const lease = store.leases.create();
  const start = (): Promise<FakeWorker> => Promise.resolve(worker);
  const warnings: string[] = [];
  const layers = new LayerService({ store, lease, worker: start, onWarning: (message) => void warnings.push(message) });
  const build = testTask();
  const pieces: OpPieces = {
    snapshots: { store, lease, layers, worker: start, movedMounts: () => Promise.resolve(options.moved) },
    origins: { image: none, blob: none, local: none, remote: undefined as never, ...options.origins },
    credentials: {
      secrets: new BuildSecrets(new Map(Object.entries(options.secrets ?? {}))),
      ssh: await SshAgents.open(new Map(), { temporary: none, discard: none }),
    },
    grants: {
      entitlements: new Set(options.entitlements),
      processLimit: 0,
      devices: new StepDevices(noDevices, () => none() as Promise<DeviceCatalog>),
    },
    travel: () => undefined,
    timeLimit: () => options.timeLimitMs,
    ...(options.beforeNetwork === undefined ? {} : { beforeNetwork: options.beforeNetwork }),
    limits: options.limits ?? { of: () => ({}), limiter: new Limiter({ ledger: '/nonexistent', onWarning: none }) },
    emulation: new Emulation({ scratchDir: () => store.root, find: () => undefined, formats: () => [] }),
    report: {
      build,
      notes: { source: () => undefined, read: () => undefined },
      now: options.now ?? (() => 1),
      warn: (message) => void warnings.push(message),
    },
  };
  const runner: OpRunner<Op, OpResult> = createRunner(pieces, options.plan);
  return { ...opened, worker, steps, layers, said: warnings, runner, [Symbol.dispose]: () => opened[Symbol.dispose]() };
}

/** A vertex of an op; its inputs are only counted. */
export function vertexOf(body: OpBody, inputs = 0, more: Partial<Op> = {}): SolverVertex<Op> {
  const input = {
    vertex: { digest: sha256('in'), name: 'input', op: { inputs: [] }, inputs: [], ignoreCache: false },
    output: 0,
  };
  return {
    digest: sha256(JSON.stringify(body, (_, value: unknown) => (value instanceof Map ? [...value] : value))),
    name: `[stage 1/1] ${body.kind}`,
    op: { inputs: [], body, ...more },
    inputs: Array.from({ length: inputs }, () => input),
    ignoreCache: false,
  };
}

export function mountOf(more: Partial<Mount> = {}): Mount {
  return {
    type: 'bind', input: -1, selector: '', dest: '/', output: 0, readonly: false, resultId: '', contentCache: 'default', ...more,
  }; // oxfmt-ignore
}

export function execOf(more: Partial<Omit<ExecOp, 'meta'>> & { readonly meta?: Partial<ExecMeta> } = {}): ExecOp {
  const { meta, ...rest } = more;
  return {
    kind: 'exec',
    mounts: [mountOf()],
    network: 'sandbox',
    security: 'sandbox',
    secretEnv: [],
    cdiDevices: [],
    ...rest,
    meta: {
      args: ['/bin/sh', '-c', 'make'], env: ['PATH=/bin'], cwd: '/', user: '', extraHosts: [], hostname: '', ulimits: [],
      cgroupParent: '', removeMountStubsRecursive: false, validExitCodes: [], ...meta,
    }, // oxfmt-ignore
  };
}
