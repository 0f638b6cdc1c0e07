import { readFileSync } from 'node:fs';

/** From a container's first process to its outermost one: the copy that holds it, the supervisor, PID 1 of the namespace, and `enter`. */
export function chainOf(pid: number): readonly number[] {
  const chain = [pid];
  while (chain.length < 5) {
    const status = readFileSync(`/proc/${chain.at(-1)}/status`, 'utf8');
    chain.push(Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]));
  }
  return chain;
}
