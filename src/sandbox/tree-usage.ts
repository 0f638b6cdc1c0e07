import { spawn } from 'node:child_process';
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
  readonly signal: AbortSignal;
}

/** Measures trees whose files may belong to sub-ids. @throws TsbuildError `TSB_STORE`, `TSB_SANDBOX`, `TSB_CANCELED` */
export async function measureTrees(
  { helperPath, plan, signal }: MeasureOptions,
  paths: readonly string[],
): Promise<readonly TreeUsage[]> {
  if (paths.length === 0) return [];
  const args = plan ? enterArguments({ plan, parentPid: process.pid }, [helperPath, 'usage']) : ['usage'];
  // A line for each path, in their order: bytes, inodes, stamp.
  const lines = (await runTreeTool(helperPath, args, paths, signal, 'measure')).trimEnd().split('\n');
  return paths.map((path, index) => {
    const [bytes = '0', inodes = '0', stamp = ''] = (lines[index] ?? '').split(' ');
    return { path, bytes: Number(bytes), inodes: Number(inodes), stamp };
  });
}

/**
 * Runs a tool of the helper that takes paths, and ends when it is through with them.
 * @param doing for messages
 * @returns what it has printed
 */
export async function runTreeTool(
  helperPath: string,
  args: readonly string[],
  paths: readonly string[],
  signal: AbortSignal,
  doing: 'delete' | 'measure',
): Promise<string> {
  const child = spawn(helperPath, args, { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = (): unknown => child.kill('SIGKILL');
  signal.addEventListener('abort', stop);
  try {
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (data: Buffer) => output.push(data));
    child.stderr.on('data', (data: Buffer) => errors.push(data));
    child.stdin.on('error', () => undefined);
    child.stdin.end(paths.map((path) => `${path}\0`).join(''));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (cause) =>
        reject(new TsbuildError('TSB_SANDBOX', `Cannot start the sandbox helper: ${cause.message}`, { cause })),
      );
      child.once('close', resolve);
    });
    if (signal.aborted) throw new TsbuildError('TSB_CANCELED', 'Canceled', { cause: signal.reason });
    if (code === 0) return Buffer.concat(output).toString('latin1');
    const said = Buffer.concat(errors).toString('utf8').trim();
    throw new TsbuildError('TSB_STORE', `Cannot ${doing} directories: ${said || `exit code ${code}`}`);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
