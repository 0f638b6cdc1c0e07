import type { StepUsage } from '../../events/index.ts';
import type { ExitStatus, StepSpec } from '../../sandbox/index.ts';
import {
  formatMemory,
  type LimitedStep,
  type Limiter,
  machineOutOfMemory,
  type OutOfMemory,
  outOfMemory,
  processOutOfMemory,
  type ResourceLimits,
  withStandIns,
} from '../../limits/index.ts';
import type { Digest } from '../../util/index.ts';
import type { StepProgress } from '../../worker/index.ts';

/** What steps may use of the machine, and what holds that. */
export interface StepLimits {
  /** Of the graph for single steps, else what was asked for all. No part of any key. */
  readonly of: (vertex: Digest) => ResourceLimits;
  readonly limiter: Limiter;
}

/** One step with its limits. Dispose it when the step has ended. */
export class HeldStep implements AsyncDisposable {
  readonly #limits: ResourceLimits;
  readonly #held: LimitedStep;
  readonly #watch: Limiter['watch'];
  #filesInMemory: number | undefined;

  /** @throws TsbuildError `TSB_SANDBOX` when the kernel refuses limits that it should take */
  constructor({ of, limiter }: StepLimits, vertex: Digest, { processLimit = 0 }: StepSpec) {
    this.#limits = { ...of(vertex), processes: processLimit };
    this.#watch = limiter.watch;
    this.#held = limiter.begin(this.#limits);
  }

  /** The step as it runs in its limits. */
  within(spec: StepSpec): StepSpec {
    const { cgroups, ulimits } = this.#held;
    return { ...spec, cgroups, ulimits: withStandIns(ulimits, spec.ulimits ?? []) };
  }

  /** What the step used, with what was counted for its limits. */
  used({ usage, filesInMemory }: StepProgress): StepUsage {
    this.#filesInMemory = filesInMemory;
    const { peakMemory } = this.#held.counts();
    return peakMemory === undefined ? usage : { ...usage, groupMemory: peakMemory };
  }

  /**
   * Whether the step, which failed, or a part of it was ended for want of memory.
   * @param said the last that it printed
   */
  outOfMemory(status: ExitStatus, said: string): OutOfMemory | undefined {
    const { memory } = this.#limits;
    if (memory && this.#held.counts().killed > 0) return outOfMemory(memory, this.#filesInMemory, 'step');
    const { cgroups } = this.#held;
    // Where each process has a limit, the kernel says no to the process, and what that says of it is all there is to see.
    if (memory && cgroups.length === 0 && REFUSED.test(said)) return processOutOfMemory(memory);
    return wasKilled(status, said) && this.#watch.hasKilled() ? machineOutOfMemory : undefined;
  }

  /** What to warn of when a step got on although the kernel ended a part of it. */
  survived(name: string): string | undefined {
    const { killed } = this.#held.counts();
    const limit = formatMemory(this.#limits.memory ?? 0);
    return killed === 0 ? undefined : `A process of ${JSON.stringify(name)} was ended: out of memory (limit: ${limit})`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held[Symbol.asyncDispose]();
  }
}

/** What C libraries, C++, Python, Go, Java, Node and shells say when they get no more memory. */
const REFUSED =
  /cannot allocate memory|can't allocate memory|out of memory|bad_alloc|MemoryError|OutOfMemoryError|memory exhausted|memory allocation (of|failed)|failed to allocate/i;

/** The kernel's signal, or that of a child as shells and compilers pass it on. */
function wasKilled(status: ExitStatus, said: string): boolean {
  if (status.kind === 'signaled') return status.signal === 'SIGKILL';
  return status.kind === 'exited' && (status.code === 137 || /\bkilled\b/i.test(said));
}
