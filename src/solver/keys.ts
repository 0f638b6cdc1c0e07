import { type Digest, canonicalDigest, hexOf, leafKey } from '../util/index.ts';
import type { EdgeNode } from './graph.ts';
import type { CacheSource, KeyLink, NamedCache } from './types.ts';

/** The node of an input's content, whatever made it. */
export function contentKey(content: Digest): string {
  return leafKey(content, -1);
}

/** The nodes of an edge without inputs: one per identity of the op. */
export function leafKeys<Op, R>(edge: EdgeNode<Op, R>): string[] {
  return edge.vertex.digests.map((digest) => leafKey(digest, edge.output));
}

/** Whether a cache names its nodes by what they stand for. */
export function isNamed<R>(cache: CacheSource<R> | NamedCache<R> | undefined): cache is NamedCache<R> {
  return cache !== undefined && 'derive' in cache;
}

/**
 * A name for a node that no cache knows yet. It follows from one link per input, so that two processes that save the same result
 * for the first time meet at one node.
 */
export function nodeKey(op: Digest, output: number, links: readonly KeyLink[]): string {
  const inputs = links.map(({ input, from, selector }) => [input, from, selector]);
  return hexOf(canonicalDigest('tsbuild.node.v1', [op, output, inputs]));
}

/** What one input of an op is, as far as the op can tell. */
export interface InputIdentity {
  /** Content key of what the op reads, where there is one. */
  readonly content: Digest | undefined;
  readonly selector: Digest | undefined;
  /** Which result the input is. */
  readonly result: string;
}

/**
 * Names one execution: vertices with the same key would do the same work on the same results.
 * @param fresh tells a vertex that ignores the cache from one that does not
 */
export function executionKey(op: Digest, inputs: readonly InputIdentity[], fresh: boolean): string {
  const parts = inputs.map(({ content, selector, result }) => content ?? [result, selector]);
  return hexOf(canonicalDigest('tsbuild.execution.v1', [op, fresh, parts]));
}
