import { randomHex } from '../util/index.ts';
import { StepGroup, type GroupCounts } from './group.ts';
import { readHierarchies } from './hierarchies.ts';
import { kernelFiles, type KernelFiles } from './kernel-files.ts';
import { Ledger, sweepGroup } from './ledger.ts';
import { shortfall } from './explain.ts';
import { MemoryWatch } from './out-of-memory.ts';
import { ownerName } from './owners.ts';
import { findPlaces, type Place, type Places } from './places.ts';
import { handDown } from './prepare.ts';
import { controllersFor } from './settings.ts';
import type { Controller, HeldGroup, ResourceLimits } from './types.ts';

/** What limits are held with. */
export interface LimiterOptions {
  /** A directory of the store, for {@link Ledger}. */
  readonly ledger: string;
  /** Told once what cannot be held here. */
  readonly onWarning: (message: string) => void;
  /** Default: this machine, and this process. */
  readonly files?: KernelFiles;
  readonly pid?: number;
}

/** A limit of one process, as `Ulimit` of src/sandbox has it. */
export interface ProcessLimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** What holds the limits of one step. Dispose it when the step has ended. */
export interface LimitedStep extends AsyncDisposable {
  /** Directories of groups for `StepSpec.cgroups`. */
  readonly cgroups: readonly string[];
  /** What stands in for a group: before the step's own, which may set something else. */
  readonly ulimits: readonly ProcessLimit[];
  /** What was counted, once the step has ended. */
  counts(): GroupCounts;
}

/**
 * Holds the limits of steps and containers: by groups of control where this process may make some, else by limits of each process, and says
 * what does not hold. One for each command. Costs nothing until something is limited.
 */
export class Limiter implements AsyncDisposable {
  readonly #options: LimiterOptions;
  readonly #files: KernelFiles;
  readonly #said = new Set<string>();
  readonly #groups = new Set<StepGroup>();
  readonly #places = new Map<string, Places>();
  #owner: string | undefined;
  /** Tells apart what several commands of one process make. */
  readonly #token = randomHex(4);
  #ledger: Ledger | undefined;
  readonly #parents = new Set<string>();
  #count = 0;
  #watch: MemoryWatch | undefined;

  constructor(options: LimiterOptions) {
    this.#options = options;
    this.#files = options.files ?? kernelFiles;
  }

  /** From the first call on: whether the machine has run out of memory. */
  get watch(): MemoryWatch {
    return (this.#watch ??= new MemoryWatch(this.#files));
  }

  /**
   * Prepares what holds the limits of a step that is about to start.
   * @throws TsbuildError `TSB_SANDBOX` when the kernel refuses what it should allow
   */
  begin(limits: ResourceLimits): LimitedStep {
    const { places, ulimits } = this.#look(limits);
    if (places.length === 0) return { ...unlimited, ulimits };
    this.#note(places);
    const group = new StepGroup(this.#files, places, `${this.#ownName()}.${this.#token}-${++this.#count}`, limits);
    this.#groups.add(group);
    return {
      cgroups: group.directories,
      ulimits,
      counts: () => group.counts(),
      [Symbol.asyncDispose]: async () => {
        this.#groups.delete(group);
        if (group.isLost())
          this.#warn(
            'Limits were not held to the end: somebody took the groups away that held them (cgroups), and nothing limited what ran any more',
          );
        await group.remove();
      },
    };
  }

  /**
   * The same for what outlives this command, such as a container with a supervisor. The first command after its end takes the groups away.
   * @param owner number of the process that they are for
   * @throws TsbuildError `TSB_SANDBOX` when the kernel refuses what it should allow
   */
  keep(
    limits: ResourceLimits,
    owner: number,
  ): Pick<LimitedStep, 'ulimits'> & { readonly groups: readonly HeldGroup[] } {
    const { places, ulimits } = this.#look(limits);
    if (places.length === 0) return { groups: [], ulimits };
    const name = ownerName(this.#files, owner);
    this.#ledgerOf(name).open(places.map(({ directory }) => directory));
    const { held } = new StepGroup(this.#files, places, `${name}.${this.#token}-${++this.#count}`, limits);
    return { groups: held, ulimits };
  }

  /** Takes away what is left of groups. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#groups].map((group) => group.remove()));
    this.#ledger?.close();
  }

  /** What holds limits here; what does not is told, once. */
  #look(limits: ResourceLimits): { readonly places: readonly Place[]; readonly ulimits: readonly ProcessLimit[] } {
    const wanted = controllersFor(limits);
    if (wanted.length === 0) return { places: [], ulimits: [] };
    const { places, missing } = this.#find(wanted);
    const text = shortfall(limits, missing);
    if (text !== undefined) this.#warn(`Limits are not all held here: ${text}`);
    // Of what a process allocates, and not of what it has mapped (RLIMIT_AS): many map much more than they use.
    const most = Math.min(limits.memory ?? 0, this.#hardLimit('data'));
    return { places, ulimits: missing.has('memory') ? [{ name: 'data', soft: most, hard: most }] : [] };
  }

  #warn(text: string): void {
    if (this.#said.has(text)) return;
    this.#said.add(text);
    this.#options.onWarning(text);
  }

  /** Looked for once for each kind of limits: a group that is there stays. */
  #find(wanted: readonly Controller[]): Places {
    const key = wanted.join();
    let found = this.#places.get(key);
    if (found === undefined) {
      found = findPlaces(this.#files, readHierarchies(this.#files), wanted, this.#options.pid ?? process.pid);
      for (const { directory } of found.places) sweepGroup(this.#files, directory);
      for (const place of found.places) handDown(this.#files, place, `${this.#ownName()}.own`);
      this.#places.set(key, found);
    }
    return found;
  }

  /** Before a group is made in a place for the first time. */
  #note(places: readonly Place[]): void {
    const fresh = places.filter(({ directory }) => !this.#parents.has(directory));
    if (fresh.length === 0) return;
    for (const { directory } of fresh) this.#parents.add(directory);
    (this.#ledger ??= this.#ledgerOf(this.#ownName())).open([...this.#parents]);
  }

  #ledgerOf(owner: string): Ledger {
    return new Ledger(this.#options.ledger, `${owner}.${this.#token}`);
  }

  /** Of this process: a step can have less, and not more. */
  #hardLimit(name: string): number {
    const line = new RegExp(`^Max ${name} size +\\S+ +(\\d+)`, 'm').exec(this.#files.read('/proc/self/limits') ?? '');
    return line ? Number(line[1]) : Infinity;
  }

  #ownName(): string {
    return (this.#owner ??= ownerName(this.#files, this.#options.pid ?? process.pid));
  }
}

/** A step without limits. */
export const unlimited: LimitedStep = {
  cgroups: [],
  ulimits: [],
  counts: () => ({ killed: 0 }),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** What stands in for groups, and a step's own limits of its processes, which count where both set the same one. */
export function withStandIns<T extends ProcessLimit>(standIns: readonly T[], own: readonly T[]): readonly T[] {
  return [...standIns.filter(({ name }) => !own.some((one) => one.name === name)), ...own];
}
