import type { NamespacePlan } from '../sandbox/index.ts';
import { nameServiceOf, networkArguments } from './network-arguments.ts';
import { isJoinable, type JoinableNetwork, startNetwork } from './start-network.ts';
import { findUserNetworks, type NoUserNetwork, type UserNetwork } from './user-network.ts';

/** What a network is made with, by a process in namespace A. */
export interface BuildNetworkOptions {
  readonly helperPath: string;
  readonly plan: NamespacePlan;
  /** A directory that only namespace A sees. */
  readonly directory: string;
}

/**
 * The network of a build's steps: one namespace that all of them join, made when the first of them is in sight. To make one takes 20 to
 * 30 ms, to join it none. It ends with this process.
 */
export class BuildNetwork {
  readonly #options: BuildNetworkOptions;
  #network: Promise<JoinableNetwork | NoUserNetwork> | undefined;
  #made = 0;

  constructor(options: BuildNetworkOptions) {
    this.#options = options;
  }

  /** Begins to make it, beside what comes before the first step. */
  prepare(): void {
    void this.join();
  }

  /** Waits until it is connected. Never rejects: a machine that cannot have one says why. */
  join(): Promise<JoinableNetwork | NoUserNetwork> {
    return (this.#network ??= this.#make());
  }

  async #make(): Promise<JoinableNetwork | NoUserNetwork> {
    const programs = findUserNetworks();
    if ('reason' in programs) return programs;
    let failure: NoUserNetwork | undefined;
    for (const program of programs) {
      const made = await this.#start(program);
      if (isJoinable(made)) return made;
      // The best one's reason: with what is wrong there, the others are a makeshift.
      failure ??= made;
    }
    return failure ?? { reason: 'nothing connects it', fix: 'sudo apt-get install passt' };
  }

  async #start(outside: UserNetwork): Promise<JoinableNetwork | NoUserNetwork> {
    const { helperPath, plan, directory } = this.#options;
    const path = `${directory}/network-${++this.#made}`;
    const { resolvConf, resolver } = nameServiceOf(outside);
    const made = await startNetwork({
      helperPath,
      arguments: networkArguments({ at: path, parentPid: process.pid, plan, outside, resolver }),
      path,
      resolvConf,
      refusal: (reason) => ({
        reason: `${outside.kind} cannot connect a network here: ${reason}`,
        fix: `see what ${outside.program} lacks`,
      }),
    }).made;
    // The next step gets a new one, should there be one.
    if (isJoinable(made)) made.lost.addEventListener('abort', () => (this.#network = undefined), { once: true });
    return made;
  }
}
