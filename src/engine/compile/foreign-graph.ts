import { Usage } from '../../frontend/index.ts';
import type { Definition, Graph, LlbVertex } from '../../llb/index.ts';
import { type SourceFile, TsbuildError } from '../../util/index.ts';

/** Kinds of ops that a graph may have and that are never run: a frontend in a graph, and BuildKit's ties between ops. */
const NEVER_RUN: readonly string[] = ['build', 'passthrough'];

/** @throws TsbuildError `TSB_LLB` for an op that is never run */
export function checkSupported({ op, name, ranges }: LlbVertex): void {
  const { body } = op;
  if (body !== undefined && NEVER_RUN.includes(body.kind))
    throw new TsbuildError('TSB_LLB', `Cannot solve "${name}": ops of kind "${body.kind}" are not supported`, {
      ranges,
      hint: 'solve the graph that the frontend makes: of a Dockerfile it is what "tsbuild llb" writes',
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
