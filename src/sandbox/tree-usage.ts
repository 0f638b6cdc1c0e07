import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { TsbuildError } from '../util/index.ts';
import { enterArguments } from './enter.ts';
import type { NamespacePlan } from './types.ts';

/** What one tree takes. */
export interface TreeUsage {
  readonly path: string;
  /** Bytes on disk. */
  readonly bytes: number;
  readonly inodes: number;
  /** What shows whether anything in the tree changed since: `sameStamp` of src/store compares two. Made from `lstat` alone. */
  readonly stamp: string;
}

/** How the helper is started that measures. */
export interface MeasureOptions {
  readonly helperPath: string;
  /** For a namespace A of its own: some 5 ms, where a worker takes 100 ms of a processor. Undefined for who is in one. */
  readonly plan?: NamespacePlan;
}

/** Measures trees whose files may belong to sub-ids, once. @throws as `TreeMeasurer.measure` */
export async function measureTrees(
  { signal, ...options }: MeasureOptions & { readonly signal: AbortSignal },
  paths: readonly string[],
): Promise<readonly TreeUsage[]> {
  using measurer = new TreeMeasurer(options);
  return await measurer.measure(paths, signal);
}

/**
 * Measures trees by one helper that stays, since starting it takes the worker, whose memory is large, 3 ms of a processor: short steps would
 * spend a twentieth of their time on it.
 */
export class TreeMeasurer implements Disposable {
  readonly #options: MeasureOptions;
  #run: HelperRun | undefined;

  constructor(options: MeasureOptions) {
    this.#options = options;
  }

  /**
   * @param signal ends the waiting; what is being measured for others goes on
   * @throws TsbuildError `TSB_STORE`, `TSB_SANDBOX`, `TSB_CANCELED`
   */
  async measure(paths: readonly string[], signal: AbortSignal): Promise<readonly TreeUsage[]> {
    if (paths.length === 0) return [];
    if (signal.aborted) throw canceled(signal);
    if (this.#run === undefined || this.#run.ended) this.#run = new HelperRun(this.#options);
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = (): void => reject(canceled(signal));
    signal.addEventListener('abort', abort);
    try {
      return await Promise.race([this.#run.measure(paths), promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Ends the helper. */
  [Symbol.dispose](): void {
    this.#run?.end();
    this.#run = undefined;
  }
}

/** Somebody who waits for the lines of some trees, which come in the order in which they were asked for. */
interface Request {
  readonly paths: readonly string[];
  readonly usages: TreeUsage[];
  readonly resolve: (usages: readonly TreeUsage[]) => void;
  readonly reject: (error: unknown) => void;
}

/** One helper, until it ends. */
class HelperRun {
  ended = false;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #requests: Request[] = [];
  #rest = '';
  #said = '';

  constructor({ helperPath, plan }: MeasureOptions) {
    const args = plan ? enterArguments({ plan, parentPid: process.pid }, [helperPath, 'usage']) : ['usage'];
    this.#child = spawn(helperPath, args, { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin.on('error', () => undefined);
    this.#child.stdout.setEncoding('latin1').on('data', (text: string) => this.#take(text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-4000);
    });
    this.#child.once('error', (cause) =>
      this.#fail(new TsbuildError('TSB_SANDBOX', `Cannot start the sandbox helper: ${cause.message}`, { cause })),
    );
    this.#child.once('close', (code) =>
      this.#fail(
        new TsbuildError('TSB_STORE', `Cannot measure directories: ${this.#said.trim() || `exit code ${code}`}`),
      ),
    );
  }

  measure(paths: readonly string[]): Promise<readonly TreeUsage[]> {
    return new Promise((resolve, reject) => {
      this.#requests.push({ paths, usages: [], resolve, reject });
      this.#child.stdin.write(paths.map((path) => `${path}\0`).join(''));
    });
  }

  end(): void {
    this.ended = true;
    if (this.#requests.length > 0) this.#child.kill('SIGKILL');
    else this.#child.stdin.end();
  }

  /** A line for each path: bytes, inodes, stamp. */
  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [request] = this.#requests;
      if (request === undefined) return;
      const [bytes = '0', inodes = '0', stamp = ''] = line.split(' ');
      const path = request.paths[request.usages.length] ?? '';
      request.usages.push({ path, bytes: Number(bytes), inodes: Number(inodes), stamp });
      if (request.usages.length < request.paths.length) continue;
      this.#requests.shift();
      request.resolve(request.usages);
    }
  }

  #fail(error: TsbuildError): void {
    this.ended = true;
    for (const request of this.#requests.splice(0)) request.reject(error);
  }
}

function canceled(signal: AbortSignal): TsbuildError {
  return new TsbuildError('TSB_CANCELED', 'Canceled', { cause: signal.reason });
}
