import {
  type Definition,
  loadGraph,
  loadGraphs,
  type LlbVertex,
  rewriteSources,
  type SourceOp,
} from '../../llb/index.ts';
import type { SourcePolicies } from '../../source-policy/index.ts';
import { atPlace, redactUrls, type SourceRange, TsbuildError } from '../../util/index.ts';
import type { CompiledGraphs } from '../compiled.ts';
import { checkSource } from './foreign-graph.ts';

/**
 * A definition with its sources as the policies want them.
 * @throws TsbuildError `TSB_POLICY`, with the place in the source of what wants a source that is denied; `TSB_LLB`
 */
export function policed(definition: Definition, policies: SourcePolicies): Definition {
  if (policies.isEmpty) return definition;
  return rewriteSources(definition, (source, vertex) => {
    try {
      const changed = policies.apply(source);
      if (changed !== source) checkSource(changed, vertex);
      return changed;
    } catch (error) {
      throw atPlace(error, placeOf(vertex, definition));
    }
  });
}

/** The same for the graphs of a build, which go on sharing what they have in common. */
export function policedGraphs(compiled: CompiledGraphs, policies: SourcePolicies): CompiledGraphs {
  const definitions = compiled.platforms.map(({ definition }) => policed(definition, policies));
  if (definitions.every((definition, index) => definition === compiled.platforms[index]?.definition)) return compiled;
  const graphs = loadGraphs(definitions);
  return {
    ...compiled,
    platforms: compiled.platforms.map((platform, index) => ({
      ...platform,
      definition: definitions[index] ?? platform.definition,
      graph: graphs[index] ?? platform.graph,
    })),
  };
}

/** One that a rule made something else of than an image, where only an image will do; BuildKit's words. */
export function notAnImage(asked: SourceOp, made: SourceOp): TsbuildError {
  const [from, to] = [asked, made].map(({ identifier }) => redactUrls(identifier));
  return new TsbuildError('TSB_POLICY', `ref mutated by policy to non-image: ${from} -> ${to}`);
}

/** Where a source comes from: a place of its own, or that of what reads it. */
function placeOf(source: LlbVertex, definition: Definition): readonly SourceRange[] {
  if (source.ranges.length > 0) return source.ranges;
  const reads = (one: LlbVertex): boolean => one.inputs.some(({ vertex }) => vertex.digest === source.digest);
  return loadGraph(definition).vertices.find((one) => one.ranges.length > 0 && reads(one))?.ranges ?? [];
}
