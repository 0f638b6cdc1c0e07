import { spawn } from 'node:child_process';
import { TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { TreeUsage } from './protocol.ts';

/** Helpers that delete at a time, however few processors there are: they wait for the disk. 2,000 trees: 1 takes 800 ms, 2 510, 8 340. */
const MAX_HELPERS = 8;
/** Fewer trees than this are deleted before another helper has started. */
const TREES_FOR_ANOTHER_HELPER = 64;

/**
 * Deletes trees with the helper, which does it by descriptors and does not block this process. Many trees are shared out among
 * several helpers: a file system deletes in different directories at the same time, and mostly waits for its journal.
 */
export async function removeTrees(
  { paths }: { readonly paths: readonly string[] },
  context: HandlerContext,
): Promise<void> {
  if (paths.length === 0) return;
  const helpers = Math.min(MAX_HELPERS, Math.ceil(paths.length / TREES_FOR_ANOTHER_HELPER));
  const size = Math.ceil(paths.length / helpers);
  const shares = Array.from({ length: helpers }, (_, index) => paths.slice(index * size, (index + 1) * size));
  const done = await Promise.allSettled(
    shares.filter((share) => share.length > 0).map((share) => runTool(context, 'remove', share)),
  );
  // Only now that none runs any more: who is told of a failure may try again at once.
  for (const share of done) if (share.status === 'rejected') throw share.reason;
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
