// A thread for tests of the pool: echoes, fails, dies, or works until it is canceled without ever returning to its event loop.
import { parentPort } from 'node:worker_threads';
import { sharedSignal } from '../../src/worker/shared-signal.ts';
import type { FromThread, Job } from '../../src/worker/thread-pool.ts';
import { toWire } from '../../src/worker/wire-error.ts';
import { TsbuildError } from '../../src/util/index.ts';

const post = (message: FromThread): void => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(message);
};
parentPort?.on('message', ({ method, params, flag }: Job) => {
  const signal = sharedSignal(flag);
  post({ type: 'progress', data: method });
  if (method === 'echo') post({ type: 'result', value: params });
  else if (method === 'die') process.exit(3);
  else if (method === 'leave') {
    post({ type: 'result', value: params });
    setImmediate(() => process.exit(0));
  } else if (method === 'throw later') {
    post({ type: 'result', value: params });
    setImmediate(() => {
      throw new Error('too late');
    });
  } else if (method === 'fail')
    post({ type: 'error', error: toWire(new TsbuildError('TSB_ARCHIVE', 'Bad', { hint: 'h' })) });
  else {
    let rounds = 0;
    while (!signal.aborted) rounds++;
    post({ type: 'result', value: rounds > 0 });
  }
});
