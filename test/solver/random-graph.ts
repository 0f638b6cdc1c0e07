import * as fc from 'fast-check';
import type { SolverVertex } from '../../src/solver/index.ts';
import { type TestOp, type VertexOptions, vtx } from './rig.ts';

/** A recipe for a vertex; inputs count backwards from it. */
export interface Recipe {
  readonly seed: number;
  readonly inputs: readonly {
    readonly back: number;
    readonly output: number;
    readonly byContent: boolean;
    readonly selector: boolean;
  }[];
  readonly outputs: number;
  readonly flat: boolean;
  readonly kind: 'plain' | 'volatile' | 'alternatives';
}

const recipe: fc.Arbitrary<Recipe> = fc.record({
  seed: fc.nat(5),
  inputs: fc.array(
    fc.record({
      back: fc.integer({ min: 1, max: 6 }),
      output: fc.nat(1),
      byContent: fc.boolean(),
      selector: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
  outputs: fc.constant(2),
  flat: fc.boolean(),
  kind: fc.constantFrom('plain', 'plain', 'plain', 'volatile', 'alternatives'),
});
export const recipes: fc.Arbitrary<Recipe[]> = fc.array(recipe, { minLength: 1, maxLength: 14 });

/**
 * Builds a graph in which equal ops on equal content give equal results, as real ops do, and different ops different ones. A
 * `flat` op forgets what it read, so that early cutoff has something to find.
 */
export function graphOf(
  list: readonly Recipe[],
  change: (at: number, options: VertexOptions) => VertexOptions = (_, o) => o,
): SolverVertex<TestOp>[] {
  const vertices: SolverVertex<TestOp>[] = [];
  for (const [at, { seed, inputs, outputs, flat, kind }] of list.entries()) {
    const known = inputs.flatMap((input) => {
      const vertex = vertices[at - input.back];
      return vertex ? [{ ...input, edge: { vertex, output: input.output } }] : [];
    });
    const leaf = known.length === 0;
    const name = [
      seed,
      flat ? 'f' : '',
      leaf ? kind : '',
      known.map((i) => `${i.byContent ? 'c' : 'd'}${i.selector ? 's' : ''}`).join(''),
    ].join('.');
    const options: VertexOptions = {
      inputs: known.map(({ edge }) => edge),
      outputs,
      byContent: known.flatMap(({ byContent }, at) => (byContent ? [at] : [])),
      selectors: Object.fromEntries(known.flatMap(({ selector }, at) => (selector ? [[at, '0']] : []))),
      ...(flat ? { value: `${seed}flat` } : {}),
      ...(leaf && kind === 'volatile' ? { volatile: true } : {}),
      ...(leaf && kind === 'alternatives' ? { alternatives: [`alt${name}`] } : {}),
    };
    vertices.push(vtx(name, change(at, options)));
  }
  return vertices;
}
