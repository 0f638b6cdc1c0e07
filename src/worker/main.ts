// Entry of the worker process and of its threads. Its one argument is a WorkerConfig as JSON.
import { isMainThread } from 'node:worker_threads';
import type { WorkerConfig } from './protocol.ts';

if (isMainThread) {
  const { serve } = await import('./server.ts');
  serve(JSON.parse(process.argv[2] ?? '{}') as WorkerConfig);
} else {
  const { runThread } = await import('./thread.ts');
  runThread();
}
