import { type ChildProcess, spawn } from 'node:child_process';
import type { NoUserNetwork } from './user-network.ts';

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

/** What a network is started with. */
export interface StartNetworkOptions {
  readonly helperPath: string;
  /** Arguments of the helper, which stays as long as the network does (`networkArguments`). */
  readonly arguments: readonly string[];
  readonly path: string;
  readonly resolvConf: string | undefined;
  /** What is said when it cannot be made, or ended before it was. */
  readonly refusal: (reason: string) => NoUserNetwork;
}

/** A network that is being made, and the process that it ends with. */
export interface StartedNetwork {
  readonly child: ChildProcess;
  /** Never rejects. */
  readonly made: Promise<JoinableNetwork | NoUserNetwork>;
}

/** Starts the helper. */
export function startNetwork(options: StartNetworkOptions): StartedNetwork {
  const { helperPath, path, resolvConf, refusal } = options;
  const child = spawn(helperPath, options.arguments, { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
  const lost = new AbortController();
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const made = new Promise<JoinableNetwork | NoUserNetwork>((resolve) => {
    child.stdout.once('data', () => resolve({ path, resolvConf, lost: lost.signal }));
    onEnd(child, (how) => {
      const reason = lastLine(said) ?? how;
      lost.abort(new Error(reason));
      resolve(refusal(reason));
    });
  });
  return { child, made };
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
  return line === '' ? undefined : line.replace(/^tsbuild-helper: (?:network|proxy): /, '');
}
