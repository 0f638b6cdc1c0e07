import type { Account, Step } from '../../src/explain/index.ts';

/** A step that ran. */
export function step(more: Partial<Step> = {}): Step {
  const name = more.name ?? 'RUN x';
  return {
    vertex: `sha256:${Buffer.from(name).toString('hex')}`,
    name,
    kind: 'run',
    outcome: 'ran',
    asked: [],
    nodes: [`node of ${name}`],
    parts: [],
    inputs: [],
    ...more,
  };
}

/** A build of these steps. */
export function account(steps: readonly Step[], more: Partial<Account> = {}): Account {
  const lineage = { context: '/c', dockerfile: 'Dockerfile', target: '', platforms: [] };
  return { lineage, at: 1000, failed: false, prints: [], steps, ...more };
}
