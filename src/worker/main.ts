// Entry of the worker process and of its threads. Its one argument is a WorkerConfig as JSON.
import { isMainThread } from 'node:worker_threads';
import type { WorkerConfig } from './protocol.ts';

if (isMainThread) {
  void import('./server.ts').then(({ serve }) => serve(JSON.parse(process.argv[2] ?? '{}') as WorkerConfig));
} else {
  void import('./thread.ts').then(({ runThread }) => runThread());
}
