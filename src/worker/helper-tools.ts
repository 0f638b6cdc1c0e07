import { spawn } from 'node:child_process';
import { TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { TreeUsage } from './protocol.ts';

/** Deletes trees with the helper, which does it by descriptors, by several processes, and does not block this one. */
export async function removeTrees(
  { paths }: { readonly paths: readonly string[] },
  context: HandlerContext,
): Promise<void> {
  if (paths.length > 0) await runTool(context, 'remove', paths);
}

/** Measures trees with the helper. */
export async function usage(
  params: { readonly paths: readonly string[] },
  context: HandlerContext,
): Promise<readonly TreeUsage[]> {
  if (params.paths.length === 0) return [];
  const lines = (await runTool(context, 'usage', params.paths)).trimEnd().split('\n');
  return params.paths.map((path, index) => {
    const [bytes = '0', inodes = '0', stamp = ''] = (lines[index] ?? '').split(' ');
    return { path, bytes: Number(bytes), inodes: Number(inodes), stamp };
  });
}

async function runTool(context: HandlerContext, tool: string, paths: readonly string[]): Promise<string> {
  const child = spawn(context.config.helperPath, [tool], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  const stop = (): unknown => child.kill('SIGKILL');
  context.signal.addEventListener('abort', stop);
  try {
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (data: Buffer) => output.push(data));
    child.stderr.on('data', (data: Buffer) => errors.push(data));
    child.stdin.on('error', () => undefined);
    child.stdin.end(paths.map((path) => `${path}\0`).join(''));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (context.signal.aborted) throw new TsbuildError('TSB_CANCELED', 'Canceled', { cause: context.signal.reason });
    if (code === 0) return Buffer.concat(output).toString('latin1');
    const said = Buffer.concat(errors).toString('utf8').trim();
    throw new TsbuildError('TSB_STORE', `Cannot ${tool === 'remove' ? 'delete' : 'measure'} directories: ${said}`);
  } finally {
    context.signal.removeEventListener('abort', stop);
  }
}
