import type { Outcome } from './bench.ts';

/** From plain progress: names of steps that ran and of those that came from the cache, without base images and the like. */
export function stepsOf({ err }: Outcome): { readonly ran: readonly string[]; readonly cached: readonly string[] } {
  const names = new Map<string, string>();
  const cached: string[] = [];
  const ran: string[] = [];
  for (const line of err.split('\n')) {
    const [, number = '', rest = ''] = /^#(\d+) (.*)$/.exec(line) ?? [];
    if (/^\[[^\]]*\d\/\d+\]/.test(rest)) names.set(number, rest.replace(/^\[[^\]]*\] /, ''));
    const name = names.get(number);
    if (name === undefined || name.startsWith('FROM')) continue;
    if (rest === 'CACHED') cached.push(name);
    if (rest.startsWith('DONE')) ran.push(name);
  }
  return { ran: ran.toSorted(), cached: cached.toSorted() };
}
