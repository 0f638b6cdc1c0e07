import { sha256 } from '../util/index.ts';
import type { Lineage, Step } from './account.ts';
import { textOf } from './align.ts';

/** As much of the steps must be the same in two builds of different directories for these to be checkouts of the same. */
const ALIKE = 0.75;

/** Names a lineage: builds of the same context, Dockerfile, target and platforms. */
export function lineageKey({ context, dockerfile, target, platforms }: Lineage): string {
  return sha256(JSON.stringify([context, dockerfile, target, platforms])).slice(7, 39);
}

/** The texts of steps, as digests, to tell how much two Dockerfiles have in common. */
export function fingerprint(steps: readonly Step[]): readonly string[] {
  return [...new Set(steps.filter(({ kind }) => kind !== 'local').map((step) => sha256(textOf(step)).slice(7, 15)))];
}

/** A build that another one may be compared with. */
export interface Candidate {
  readonly lineage: Lineage;
  readonly prints: readonly string[];
}

/**
 * The nearest earlier build: the last of the same lineage, else the one with the most steps in common among those of
 * a Dockerfile of the same name, target and platforms (a fresh checkout in another directory), if that is at least three quarters.
 * @param candidates the latest first
 */
export function nearest<C extends Candidate>(own: Candidate, candidates: readonly C[]): C | undefined {
  const key = lineageKey(own.lineage);
  const same = candidates.find(({ lineage }) => lineageKey(lineage) === key);
  if (same !== undefined) return same;
  let best: { readonly candidate: C; readonly score: number } | undefined;
  for (const candidate of candidates) {
    if (!isOfSameKind(own.lineage, candidate.lineage)) continue;
    const score = likeness(own.prints, candidate.prints);
    if (score >= ALIKE && score > (best?.score ?? 0)) best = { candidate, score };
  }
  return best?.candidate;
}

function isOfSameKind(own: Lineage, other: Lineage): boolean {
  const name = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  return (
    name(own.dockerfile) === name(other.dockerfile) &&
    own.target === other.target &&
    own.platforms.join() === other.platforms.join()
  );
}

/** What part of the longer list is in the other one too. */
function likeness(own: readonly string[], other: readonly string[]): number {
  const others = new Set(other);
  return own.filter((print) => others.has(print)).length / Math.max(1, own.length, other.length);
}
