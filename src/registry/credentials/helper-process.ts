import type { Task } from '../../events/index.ts';
import type { TsbuildError } from '../../util/index.ts';
import { throwIfCanceled } from '../http/http.ts';

/** Answers are a few hundred bytes; a list of all servers a few thousand. */
const OUTPUT_LIMIT = 1 << 20;

/** One call of a credential helper. */
export interface HelperRun {
  readonly program: string;
  readonly verb: 'get' | 'store' | 'erase' | 'list';
  readonly input: string;
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Makes the error of a call that came to nothing. */
  readonly fail: (why: string) => TsbuildError;
}

/**
 * Runs a credential helper. It has a session of its own, so that all that it starts ends with it: when it takes too long, says too
 * much, or the task is canceled. What it says on standard error is read and dropped, for secrets may be in it.
 * @throws TsbuildError
 */
export async function runHelper(
  task: Task,
  { program, verb, input, env, timeoutMs, fail }: HelperRun,
): Promise<{ readonly code: number; readonly output: Buffer }> {
  throwIfCanceled(task);
  const { spawn } = await import('node:child_process');
  const child = spawn(program, [verb], { cwd: '/', env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const output: Buffer[] = [];
  let size = 0;
  let stop: TsbuildError | undefined;
  const kill = (why?: TsbuildError): void => {
    stop ??= why;
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
    // Something that it started may have left its session, and hold the pipes for ever.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const onAbort = (): void => kill();
  task.signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => kill(fail(`it did not end in ${Math.ceil(timeoutMs / 1000)} seconds`)), timeoutMs);
  child.stdout.on('data', (data: Buffer) => {
    size += data.length;
    if (size > OUTPUT_LIMIT) kill(fail(`it printed more than ${OUTPUT_LIMIT} bytes`));
    else output.push(data);
  });
  child.stderr.resume();
  // One that does not read what it is told says by its exit code what is wrong.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...end) => resolve(end));
    });
    throwIfCanceled(task);
    if (stop) throw stop;
    if (code === null) throw fail(`it ended with signal ${signal}`);
    return { code, output: Buffer.concat(output, size) };
  } catch (error) {
    throwIfCanceled(task);
    throw (
      stop ??
      ('syscall' in (error as object) ? fail(`it cannot be started (${(error as NodeJS.ErrnoException).code})`) : error)
    );
  } finally {
    clearTimeout(timer);
    task.signal.removeEventListener('abort', onAbort);
  }
}
