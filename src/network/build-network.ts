import { type ChildProcess, spawn } from 'node:child_process';
import type { NamespacePlan } from '../sandbox/index.ts';
import { nameServiceOf, networkArguments } from './network-arguments.ts';
import { findUserNetworks, type NoUserNetwork, type UserNetwork } from './user-network.ts';

/** What a network is made with, by a process in namespace A. */
export interface BuildNetworkOptions {
  readonly helperPath: string;
  readonly plan: NamespacePlan;
  /** A directory that only namespace A sees. */
  readonly directory: string;
}

/** A network that steps can join. */
export interface JoinableNetwork {
  /** `StepSpec.networkPath`. */
  readonly path: string;
  /** For /etc/resolv.conf; undefined where the machine has none. */
  readonly resolvConf: string | undefined;
  /** Aborted when what connects it has ended; its reason says how. */
  readonly lost: AbortSignal;
}

/** Whether there is a network, or only a reason. */
export function isJoinable(network: JoinableNetwork | NoUserNetwork): network is JoinableNetwork {
  return 'path' in network;
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

  /** Starts the helper, which stays as long as the network does. */
  #start(outside: UserNetwork): Promise<JoinableNetwork | NoUserNetwork> {
    const { helperPath, plan, directory } = this.#options;
    const path = `${directory}/network-${++this.#made}`;
    const { resolvConf, resolver } = nameServiceOf(outside);
    const args = networkArguments({ at: path, parentPid: process.pid, plan, outside, resolver });
    const child = spawn(helperPath, args, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
    const lost = new AbortController();
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
    return new Promise((resolve) => {
      const end = (how: string): void => {
        const reason = lastLine(said) ?? how;
        lost.abort(new Error(reason));
        // The next step gets a new one, should there be one.
        if (isReady) this.#network = undefined;
        resolve({
          reason: `${outside.kind} cannot connect a network here: ${reason}`,
          fix: `see what ${outside.program} lacks`,
        });
      };
      let isReady = false;
      child.stdout.once('data', () => {
        isReady = true;
        resolve({ path, resolvConf, lost: lost.signal });
      });
      onEnd(child, end);
    });
  }
}

/** How long what has ended may keep its last words, milliseconds: something that it left behind may hold the stream open. */
const LAST_WORDS_MS = 200;

/** Calls back once, when a program could not be started, or has ended and said all. */
function onEnd(child: ChildProcess, end: (how: string) => void): void {
  child.once('error', (cause) => end(cause.message));
  child.once('exit', (code, signal) => {
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
    const timer = setTimeout(() => end(how), LAST_WORDS_MS);
    child.once('close', () => {
      clearTimeout(timer);
      end(how);
    });
  });
}

/** What was said last, without the name of the program that said it. */
function lastLine(text: string): string | undefined {
  const line = text.trimEnd().split('\n').at(-1) ?? '';
  return line === '' ? undefined : line.replace(/^tsbuild-helper: network: /, '');
}
