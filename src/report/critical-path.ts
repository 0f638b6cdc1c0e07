import type { CriticalPiece, Span } from './facts.ts';

/** What the critical path is made from. */
export interface TimedStep {
  readonly spans: readonly Span[];
  /** Places of the steps that it stands on. */
  readonly inputs: readonly number[];
  /** Not in the graph, such as exporting: it counts as waiting for whatever was over when it began. */
  readonly apart: boolean;
}

/** A time at work, and the longest chain that ends with it. */
interface Node {
  readonly step: number;
  /** When what it stands on was there: later than it began where it waited for layers of its base image. */
  start: number;
  readonly end: number;
  /** Milliseconds that the chain covers. */
  length: number;
  before: Node | undefined;
}

/**
 * The longest chain of work in which each piece waited for the one before it. A step that begins before what it stands on has ended (layers
 * of its base image are still fetched) counts from that end on, so that pieces of the chain never overlap: it is never longer than the build. Steps that did not run, as they were cached, pass on what they stand on.
 */
export function criticalPath(steps: readonly TimedStep[]): readonly CriticalPiece[] {
  const nodes = steps
    .flatMap(({ spans }, step) =>
      spans
        .filter(([start, end]) => end > start)
        .map(([start, end]): Node => ({ step, start, end, length: 0, before: undefined })),
    )
    .sort((a, b) => a.end - b.end || a.step - b.step);
  const needs = standsOn(steps);
  /** Per step, what of it was met so far, by its end. */
  const met = new Map<number, Node[]>();
  let longest: Node | undefined;
  /** The longest chain among all that ended, for work apart: its ends grow, and a better one is only ever later. */
  const best: Node[] = [];
  const apart: Node[] = [];
  for (const node of nodes) {
    const needed = [...(needs[node.step] ?? []), node.step].flatMap((need) => met.get(need) ?? []);
    for (const { end } of needed) node.start = Math.max(node.start, end);
    const took = node.end - node.start;
    node.length = took;
    const consider = (other: Node): void => {
      if (other.length + took > node.length) [node.length, node.before] = [other.length + took, other];
    };
    for (const other of needed) consider(other);
    const after = (list: readonly Node[]): void => {
      const other = list[countUntil(list, node.start) - 1];
      if (other !== undefined) consider(other);
    };
    // Nothing waits for work apart by the graph, but all of it came first: loading the Dockerfile, exporting.
    after(steps[node.step]?.apart ? best : apart);
    const own = met.get(node.step);
    if (own === undefined) met.set(node.step, [node]);
    else own.push(node);
    if (node.length > (best.at(-1)?.length ?? 0)) best.push(node);
    if (steps[node.step]?.apart && node.length > (apart.at(-1)?.length ?? 0)) apart.push(node);
    if (node.length > (longest?.length ?? 0)) longest = node;
  }
  const path: CriticalPiece[] = [];
  for (let node = longest; node !== undefined; node = node.before)
    if (node.end > node.start) path.push({ step: node.step, span: [node.start, node.end] });
  return path.reverse();
}

/** How many of the nodes, which are sorted by their ends, had ended at a time. */
function countUntil(nodes: readonly Node[], time: number): number {
  let low = 0;
  let high = nodes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((nodes[middle] as Node).end <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** For each step the nearest ones below it that were at work, through those that were not. */
function standsOn(steps: readonly TimedStep[]): readonly (readonly number[])[] {
  const worked = steps.map(({ spans }) => spans.some(([start, end]) => end > start));
  return steps.map(({ inputs }, step) => {
    if (!worked[step]) return [];
    const found: number[] = [];
    const seen = new Set<number>();
    const open = [...inputs];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      if (worked[at]) found.push(at);
      else open.push(...(steps[at]?.inputs ?? []));
    }
    return found;
  });
}
