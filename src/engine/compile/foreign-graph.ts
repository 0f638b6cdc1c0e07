import { Usage } from '../../frontend/index.ts';
import type { BuildOp, Definition, Graph, LlbVertex, SourceOp } from '../../llb/index.ts';
import { isUnknownDemand } from '../../ops/index.ts';
import { type SourceFile, TsbuildError } from '../../util/index.ts';

/** @throws TsbuildError `TSB_LLB` for what no graph can ask for here */
export function checkSupported(vertex: LlbVertex): void {
  const { op, name, ranges } = vertex;
  const { body } = op;
  if (body?.kind === 'source') checkSource(body, vertex);
  if (body?.kind !== 'build') return;
  const fail = (why: string): TsbuildError => new TsbuildError('TSB_LLB', `Cannot solve "${name}": ${why}`, { ranges });
  // BuildKit's words: nothing but a definition was ever built within a graph.
  if (body.builder !== LLB_BUILDER) throw fail('only LLB builder is currently allowed');
  if (definitionInput(body) < 0) throw fail(`no llb definition input ${DEFINITION_INPUT} found`);
}

/** What a build within a graph has as builder when it builds a definition. */
const LLB_BUILDER = -1;
const DEFINITION_INPUT = 'buildkit.llb.definition';

/** The input of an op that has the definition; -1 for none. */
export function definitionInput({ inputs }: BuildOp): number {
  return inputs.get(DEFINITION_INPUT)?.input ?? -1;
}

/** The file with the definition. */
export function definitionFile({ attrs }: BuildOp): string {
  return attrs.get('llbbuild.filename') ?? DEFINITION_INPUT;
}

/** @throws TsbuildError `TSB_LLB` for a source with an attribute that is not supported */
export function checkSource({ attrs }: SourceOp, { name, ranges }: Pick<LlbVertex, 'name' | 'ranges'>): void {
  const attribute = [...attrs].find(([key, value]) => value !== '' && isUnknownDemand(key))?.[0];
  if (attribute !== undefined)
    throw new TsbuildError('TSB_LLB', `Cannot use source "${name}": its attribute "${attribute}" is not supported`, {
      ranges,
    });
}

/** What the steps take from outside, so that it is refused before the first of them runs. */
export function usageOf(graphs: readonly Graph[]): Usage {
  const usage = new Usage();
  for (const { op, ranges } of graphs.flatMap(({ vertices }) => vertices)) {
    const { body } = op;
    if (body?.kind !== 'exec') continue;
    if (body.network === 'host') usage.require('network.host', ranges);
    if (body.security === 'insecure') usage.require('security.insecure', ranges);
    const secrets = [...body.mounts.flatMap(({ secret }) => (secret ? [secret] : [])), ...body.secretEnv];
    for (const { id, optional } of secrets) usage.addSecret({ id, required: !optional, ranges });
    for (const { ssh } of body.mounts) if (ssh) usage.addSsh({ id: ssh.id, required: !ssh.optional, ranges });
    for (const { cache } of body.mounts) if (cache) usage.caches.add(cache.id);
  }
  return usage;
}

/** The text that failures show lines of, if it came along. */
export function sourceOf({ source }: Definition): SourceFile {
  const info = source?.infos.find(({ data }) => data.length > 0);
  if (info === undefined) return { name: 'definition', text: '' };
  return { name: info.filename, text: Buffer.from(info.data).toString('utf8') };
}
