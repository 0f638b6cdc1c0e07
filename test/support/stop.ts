import type { ChildProcess } from 'node:child_process';

/** Ends a process that a test has started, if it has not ended yet, and waits until it and all that it printed are there. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // It may have ended before: nobody is told of that again.
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await closed;
}
