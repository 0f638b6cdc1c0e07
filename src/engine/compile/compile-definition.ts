import { emptyImage } from '../../frontend/index.ts';
import { type ImageConfig, formatPlatform, hostPlatform, normalizePlatform, type Platform } from '../../image/index.ts';
import { type Definition, type Graph, loadGraph, type OpMetadata } from '../../llb/index.ts';
import type { Task } from '../../events/index.ts';
import { SshAgents } from '../../ops/index.ts';
import { BuildSecrets } from '../../secrets/index.ts';
import { SourcePolicies } from '../../source-policy/index.ts';
import { type Digest, sha256, TsbuildError } from '../../util/index.ts';
import type { CompiledRequest, Surroundings } from './compile.ts';
import type { CompiledGraphs } from '../compiled.ts';
import { checkSupported, sourceOf, usageOf } from './foreign-graph.ts';
import { ImageTimes } from './image-times.ts';
import { policed } from './policed.ts';
import type { BuildRequest, ForeignDefinition } from '../request.ts';
import type { Session } from '../session.ts';
import { RequestSolver } from './solve.ts';

/**
 * `compileRequest` for a request that brings its graph along.
 * @throws TsbuildError `TSB_LLB`, and what reading SSH keys gives
 */
export async function openDefinition(
  session: Session,
  task: Task,
  request: BuildRequest,
  foreign: ForeignDefinition,
  { secrets = new BuildSecrets(request.secrets), imports, onSource }: Surroundings,
): Promise<CompiledRequest> {
  const compiled = compileDefinition(request, foreign);
  onSource(compiled.dockerfile.file);
  const ssh = await SshAgents.open(request.ssh, session.remote);
  const { locals, layouts } = foreign;
  return {
    compiled,
    solver: new RequestSolver(session, task, request, { locals, layouts }, { secrets, ssh }, imports),
    // No frontend asked for the configs of its images.
    imageTimes: new ImageTimes(),
  };
}

/**
 * Makes of a graph that another program made what a Dockerfile compiles to. Everything in it is checked before anything runs: its form,
 * what it refers to, and what it asks of the machine.
 * @throws TsbuildError `TSB_LLB` for what is malformed or not supported; `TSB_POLICY`
 */
export function compileDefinition(request: BuildRequest, foreign: ForeignDefinition): CompiledGraphs {
  const { config } = foreign;
  const definition = policed(foreign.definition, new SourcePolicies(request.sourcePolicies));
  const graph = loadGraph(request.noCache ? withoutCache(definition) : definition);
  for (const vertex of graph.vertices) checkSupported(vertex);
  const platform = platformOf(request, graph, config);
  const id = formatPlatform(normalizePlatform(platform));
  return {
    platforms: [
      {
        platform,
        id,
        definition,
        graph,
        config: config ?? emptyImage(platform),
        ...(request.sourceDateEpoch === undefined ? {} : { epoch: request.sourceDateEpoch }),
      },
    ],
    multiPlatform: false,
    diagnostics: [],
    usage: usageOf([graph]),
    dockerfile: { file: sourceOf(definition) },
  };
}

/** The image's: as asked for, else as its config or the result's op has it. */
function platformOf({ platforms }: BuildRequest, { result }: Graph, config: ImageConfig | undefined): Platform {
  const [asked, ...others] = platforms;
  if (others.length > 0)
    throw new TsbuildError('TSB_USAGE', 'Cannot solve a definition for several platforms: it is the graph of one');
  if (asked !== undefined) return asked;
  if (config !== undefined)
    return {
      os: config.os,
      architecture: config.architecture,
      ...(config.variant === undefined ? {} : { variant: config.variant }),
    };
  const platform = result?.vertex.op.platform;
  if (!platform?.os || !platform.architecture) return hostPlatform();
  return {
    os: platform.os,
    architecture: platform.architecture,
    ...(platform.variant ? { variant: platform.variant } : {}),
  };
}

/** `--no-cache`: every op runs again, as BuildKit has it for all vertices of a solve. */
function withoutCache(definition: Definition): Definition {
  const metadata = definition.def.map((bytes): [Digest, OpMetadata] => {
    const digest = sha256(bytes);
    const entry = definition.metadata.get(digest) ?? { description: new Map(), caps: new Map() };
    return [digest, { ...entry, ignoreCache: true }];
  });
  return { ...definition, metadata: new Map(metadata) };
}
