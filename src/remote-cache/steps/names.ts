import type { NamedInput } from '../../solver/index.ts';
import { canonicalDigest, type Digest, hexOf, sha256 } from '../../util/index.ts';

/** Ways to combine what is known of the inputs of one step: each is a name that is asked for. */
const MAX_COMBINATIONS = 16;

/** What a step and the inputs that it is made from come to: 64 hexadecimal digits, the same on every machine. */
export function stepName(op: Digest, output: number, inputs: readonly NamedInput[]): string {
  return hexOf(canonicalDigest('tsbuild.step.v1', [op, output, inputs.map(({ from, selector }) => [from, selector])]));
}

/**
 * The names of a step whose inputs are known in several ways: one for each combination, and for no more than 16. That of the first way of each
 * input comes first.
 */
export function stepNames(
  op: Digest,
  output: number,
  inputs: readonly (readonly NamedInput[])[],
): readonly [string, ...string[]] {
  let combinations: (readonly NamedInput[])[] = [[]];
  for (const ways of inputs)
    combinations = combinations.flatMap((begun) => ways.map((way) => [...begun, way])).slice(0, MAX_COMBINATIONS);
  const [first = [], ...others] = combinations;
  return [stepName(op, output, first), ...others.map((combination) => stepName(op, output, combination))];
}

/** A scope as part of a tag or of the name of an object: as much of it as these may have, and a hash of all of it. */
export function scopeId(scope: string): string {
  const readable = scope
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+/, '')
    .slice(0, 40);
  return `${readable === '' ? 'scope' : readable}-${hexOf(sha256(`tsbuild.scope.v1 ${scope}`)).slice(0, 16)}`;
}

/** The name of the object that has a layer. */
export function layerObject(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

/** The tag of a record in a registry, whose repositories know no folders. */
export function recordTag(scope: string, name: string): string {
  return `tsb-${hexOf(canonicalDigest('tsbuild.cache-tag.v1', [scope, name]))}`;
}
