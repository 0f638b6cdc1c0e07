import type { Snapshots } from '../pieces.ts';

/** Has the worker make the network of steps, once. What is wrong with the worker, the step itself is told. */
export function networkPreparer({ worker }: Pick<Snapshots, 'worker'>): () => void {
  let begun = false;
  return () => {
    if (begun) return;
    begun = true;
    worker()
      .then(
        (client) => client.call('prepareNetwork', undefined),
        () => undefined,
      )
      .catch(() => undefined);
  };
}
