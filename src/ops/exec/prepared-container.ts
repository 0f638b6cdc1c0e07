import { posix } from 'node:path';
import type { Platform } from '../../image/index.ts';
import type { ExecOp, Mount } from '../../llb/index.ts';
import type { StepSpec } from '../../sandbox/index.ts';
import type { LayerSlot } from '../../snapshots/index.ts';
import { sha256, type TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { PrepareUpperParams } from '../../worker/index.ts';
import { LocalLayers } from '../file/local-layers.ts';
import type { OpPieces } from '../pieces.ts';
import type { OpResult } from '../result.ts';
import { arrivals } from './cache-mount.ts';
import { checkEntitlements } from './exec-op.ts';
import { withEmulator } from './foreign-step.ts';
import { HeldStep } from './step-limits.ts';
import { ranTooLong } from './step-deadline.ts';
import { baseOf, environment, scratchSlot, stepSpec } from './step-spec.ts';

/** A sandbox as a step's, for programs that no graph names. */
export interface PreparedContainer {
  /** The first program is still to be put in: of another one than `program` gives, nothing is known. */
  readonly spec: StepSpec;
  readonly uppers: readonly PrepareUpperParams[];
  /** What is at each mount of the op; undefined for what lies in memory. */
  readonly views: readonly (MountView | undefined)[];
  /** Milliseconds that it may exist from its first program on, and what it fails of then. */
  readonly deadline: { readonly ms: number; readonly error: (command: string) => TsbuildError } | undefined;
  /** What a program gets, from the op with its command. @throws TsbuildError `TSB_STEP` */
  program(exec: ExecOp, tty: boolean): Promise<Pick<StepSpec, 'args' | 'env' | 'cwd' | 'user' | 'security' | 'tty'>>;
}

/** The files at a mount, for who looks at them from outside. */
export interface MountView {
  /** Directories, bottom first. What is written to the topmost one shows at once, unless it is written to a copy. */
  readonly layers: readonly string[];
  /** Where programs can write to it: `root`, or its place among the mounts of the spec. */
  readonly written?: 'root' | number;
}

/**
 * Prepares a container: what it writes is thrown away with it, but for cache mounts.
 * @param held gets what is to be given back at its end
 * @param id of the container, for its limits
 * @param exec whose command means nothing, and which has no outputs
 * @throws TsbuildError as a step would, before it runs
 */
export async function prepareContainer(
  pieces: Omit<OpPieces, 'origins'>,
  task: Task,
  held: AsyncDisposableStack,
  { id, exec, platform }: { readonly id: string; readonly exec: ExecOp; readonly platform: Platform },
  inputs: readonly OpResult[],
): Promise<PreparedContainer> {
  checkEntitlements(pieces.grants, exec);
  const locals = new LocalLayers(pieces);
  const own = { ...pieces, locals, prepareNetwork: () => undefined };
  const bases = await Promise.all(inputs.map((input) => locals.of(task, input)));
  const uppers: PrepareUpperParams[] = [];
  const slots = new Map<Mount, LayerSlot>();
  // On the disk, where who looks into the container from outside sees it, too.
  for (const mount of exec.mounts)
    if (mount.type === 'bind' && (mount.dest === '/' || !mount.readonly || mount.input < 0))
      slots.set(mount, await scratchSlot(own, task, held, mount, bases, uppers));
  const step = { exec, arrive: arrivals(undefined, sha256(id)), stays: true };
  const made = withEmulator(await stepSpec(own, task, held, step, bases, slots, uppers), pieces.emulation, platform);
  const limited = held.use(new HeldStep(pieces.limits, sha256(`tsbuild.container:${id}`), made));
  const ms = pieces.timeLimit(sha256(id));
  return {
    spec: limited.within(made),
    uppers,
    views: await Promise.all(
      exec.mounts.map(async (mount): Promise<MountView | undefined> => {
        const written = placeOf(made, mount);
        if (mount.type === 'cache') return cacheView(made, written);
        if (mount.type !== 'bind') return undefined;
        const slot = slots.get(mount);
        if (slot !== undefined) return { layers: [...slot.lowers, slot.fs], written };
        return { layers: await pieces.snapshots.layers.directories(task, baseOf(bases, mount)) };
      }),
    ),
    deadline: ms === undefined ? undefined : { ms, error: (command) => ranTooLong(command, ms) },
    async program(program, tty) {
      checkEntitlements(pieces.grants, program);
      const { args, cwd, user } = program.meta;
      const env = await environment(pieces, program);
      const hasTerm = !tty || env.some((entry) => entry.startsWith('TERM='));
      return { args, env: hasTerm ? env : [...env, 'TERM=xterm'], cwd, user, security: program.security, tty };
    },
  };
}

function placeOf({ mounts = [] }: StepSpec, { dest }: Mount): 'root' | number {
  if (dest === '/') return 'root';
  const target = posix.resolve('/', dest);
  return mounts.findIndex((mount) => mount.target === target);
}

/** The directory of a cache mount. */
function cacheView({ mounts = [] }: StepSpec, written: 'root' | number): MountView | undefined {
  const mount = written === 'root' ? undefined : mounts[written];
  return mount?.type === 'bind' ? { layers: [mount.source], written } : undefined;
}
