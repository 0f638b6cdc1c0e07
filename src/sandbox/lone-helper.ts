import { spawn, type StdioOptions } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { type StartedProgram, startProgram } from '../sys/index.ts';
import { readLines } from './run-step.ts';

/** Standard input, output and error of a helper, which passes bytes on. */
export type HelperStreams = readonly [
  'inherit' | 'ignore' | Socket,
  'inherit' | 'ignore' | 'pipe' | Socket,
  'inherit' | 'ignore' | 'pipe',
];

/** A helper that runs one step. */
export interface LoneHelper {
  /** Signals reach the step; killing it kills everything. */
  kill(signal: NodeJS.Signals): boolean;
  /** What it prints, where that is for this process. */
  readonly stdout?: Readable | null;
  readonly stderr?: Readable | null;
  /** Says which step. */
  give(encoded: Uint8Array): void;
  /** Resolves when all have let go of the descriptor that it says things at. @param take told each line */
  told(take: (line: string) => void): Promise<void>;
  /** Its exit code, null when it was killed. @throws when it cannot be started */
  ended(): Promise<number | null>;
  /** Nobody waits for its end any more. */
  leave(): void;
}

/**
 * Starts a helper in a session of its own: the terminal's signals reach this process only, which passes them on once. Where the streams
 * are this process's own, without loading what Node starts programs with.
 * @throws when it cannot be started
 */
export function startHelper(path: string, args: readonly string[], streams: HelperStreams): LoneHelper {
  const own = streams.map((stream, fd) => (stream === 'inherit' ? fd : stream));
  const started = own.every(isOwn) ? startProgram([path, ...args], own) : undefined;
  return started === undefined ? spawnHelper(path, args, streams) : lightHelper(started);
}

function isOwn(stream: number | 'ignore' | 'pipe' | Socket): stream is number | 'ignore' {
  return typeof stream === 'number' || stream === 'ignore';
}

function lightHelper(program: StartedProgram): LoneHelper {
  const { promise: silent, resolve } = Promise.withResolvers<void>();
  return {
    kill: (signal) => program.kill(signal),
    give: (encoded) => program.give(encoded),
    async told(take) {
      let rest = Buffer.alloc(0);
      await program.told((bytes) => {
        rest = Buffer.concat([rest, bytes]);
        const end = rest.lastIndexOf('\n') + 1;
        for (const line of rest.toString('utf8', 0, end).split('\n').slice(0, -1)) take(line);
        rest = rest.subarray(end);
      });
      resolve();
    },
    ended: () => silent.then(() => program.ended()),
    leave: () => undefined,
  };
}

function spawnHelper(path: string, args: readonly string[], streams: HelperStreams): LoneHelper {
  const stdio: StdioOptions = [...streams, 'pipe', 'pipe'];
  const child = spawn(path, args, { env: {}, stdio, detached: true });
  const spec = child.stdio[3] as Duplex;
  spec.on('error', () => undefined);
  const said = child.stdio[4] as Duplex;
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
  return {
    kill: (signal) => child.kill(signal),
    stdout: child.stdout,
    stderr: child.stderr,
    give: (encoded) => void spec.end(encoded),
    told: (take) =>
      new Promise((resolve) => {
        readLines(said, take);
        said.once('close', () => resolve());
      }),
    ended: () => ended,
    leave: () => child.unref(),
  };
}
