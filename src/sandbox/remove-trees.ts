import { spawn } from 'node:child_process';
import { TsbuildError } from '../util/index.ts';

/**
 * Deletes trees whose files may belong to sub-ids, from inside namespace A.
 * @throws TsbuildError `TSB_STORE`, `TSB_SANDBOX`, `TSB_CANCELED`
 */
export async function removeTrees(helperPath: string, paths: readonly string[], signal: AbortSignal): Promise<void> {
  if (paths.length === 0) return;
  const child = spawn(helperPath, ['remove'], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = (): unknown => child.kill('SIGKILL');
  signal.addEventListener('abort', stop);
  try {
    const errors: Buffer[] = [];
    child.stdout.resume();
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
    if (code === 0) return;
    const said = Buffer.concat(errors).toString('utf8').trim();
    throw new TsbuildError('TSB_STORE', `Cannot delete directories: ${said || `exit code ${code}`}`);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
