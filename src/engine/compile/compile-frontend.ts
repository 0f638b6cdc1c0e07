import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type CompileOptions, emptyImage, type MainContext, type SyntaxRequest } from '../../frontend/index.ts';
import { type FrontendResult, imagesOf } from '../../gateway/index.ts';
import { type Definition, loadGraphs, marshal } from '../../llb/index.ts';
import type { SourceFile } from '../../util/index.ts';
import type { BridgeNames } from './bridge.ts';
import { checkSupported, sourceOf, usageOf } from './foreign-graph.ts';
import type { CompiledGraphs } from '../compiled.ts';
export { canContain } from './frontend-container.ts';
import { type FrontendBuild, FrontendHost } from './frontend-host.ts';
import { frontendOptions } from './frontend-options.ts';
import { runFrontend } from './frontend-process.ts';
import { policed } from './policed.ts';
import type { Session } from '../session.ts';

/**
 * Has a frontend image make the graphs. What it returns is checked like any graph of another program, before it is solved.
 * @throws TsbuildError what the frontend failed of, and `TSB_LLB`
 */
export async function compileByFrontend(
  build: FrontendBuild,
  wanted: SyntaxRequest,
  options: CompileOptions,
  context: MainContext,
): Promise<CompiledGraphs> {
  const result = await runFor(build, wanted, options, context, []);
  return compiledOf(build, result, context.dockerfile);
}

/** The label of images that answer questions (BuildKit's frontend/subrequests). */
const SUBREQUESTS_CAPABILITY = 'moby.buildkit.frontend.subrequests';

/**
 * Asks a frontend image a question about its file, in place of having it make graphs.
 * @param id `frontend.outline` and its like; which there are is the frontend's business
 * @returns what it says: `result.txt`, `result.json`, `result.statuscode` and others
 * @throws TsbuildError what the frontend failed of
 */
export async function askFrontend(
  build: FrontendBuild,
  wanted: SyntaxRequest,
  options: CompileOptions,
  context: MainContext,
  id: string,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const question = [
    ['requestid', id],
    ['frontend.caps', SUBREQUESTS_CAPABILITY],
  ] as const;
  return (await runFor(build, wanted, options, context, question)).metadata;
}

async function runFor(
  build: FrontendBuild,
  wanted: SyntaxRequest,
  options: CompileOptions,
  context: MainContext,
  more: readonly (readonly [string, string])[],
): Promise<FrontendResult> {
  const host = new FrontendHost(build, inputsOf(options, context));
  const given = new Map([...frontendOptions(options, wanted), ...more]);
  const run = { source: wanted.source, options: given, host, policies: build.policies };
  return runFrontend(build.session, build.task, build.request, run);
}

/**
 * The build's names with what a frontend looks for in them: a directory with the Dockerfile, where its text came by other means, and an
 * empty context where there is none.
 */
export function namesForFrontend(session: Session, names: BridgeNames, options: CompileOptions): BridgeNames {
  const locals = new Map(names.locals);
  const { dockerfile } = options;
  if (dockerfile !== undefined) {
    const dir = session.remote.temporary();
    // Whoever named it, it lies in the directory.
    const path = join(dir, resolve('/', options.filename ?? 'Dockerfile'));
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, dockerfile.text, { mode: 0o600 });
    locals.set('dockerfile', dir);
  }
  if (options.context.kind === 'empty') {
    const dir = `${session.remote.temporary()}/context`;
    mkdirSync(dir, { mode: 0o700 });
    locals.set('context', dir);
  }
  return { ...names, locals };
}

/** An archive is unpacked by the graph: what a frontend is given then is a definition. */
function inputsOf(
  { context, buildPlatform, dockerfile }: CompileOptions,
  { remote }: MainContext,
): ReadonlyMap<string, Definition> {
  if (context.kind !== 'archive' || remote === undefined) return new Map();
  const definition = marshal(remote, { platform: buildPlatform });
  return new Map([['context', definition], ...(dockerfile === undefined ? [['dockerfile', definition] as const] : [])]);
}

function compiledOf(
  { request, policies }: Pick<FrontendBuild, 'request' | 'policies'>,
  result: FrontendResult,
  file: SourceFile,
): CompiledGraphs {
  const { images, multiPlatform } = imagesOf(result);
  const definitions = images.map(({ definition }): Definition =>
    policed(definition ?? { def: [], metadata: new Map() }, policies),
  );
  const graphs = loadGraphs(definitions);
  for (const { vertices } of graphs) for (const vertex of vertices) checkSupported(vertex);
  const named = definitions.find(({ source }) => source?.infos.some(({ data }) => data.length > 0));
  return {
    platforms: images.map(({ platform, id, config, baseConfig }, index) => {
      const [graph, definition] = [graphs[index], definitions[index]];
      if (graph === undefined || definition === undefined) throw new Error('There is a graph for each image');
      return {
        platform,
        id,
        definition,
        graph,
        config: config ?? emptyImage(platform),
        ...(baseConfig === undefined ? {} : { baseConfig }),
        ...(request.sourceDateEpoch === undefined ? {} : { epoch: request.sourceDateEpoch }),
      };
    }),
    multiPlatform,
    diagnostics: [],
    usage: usageOf(graphs),
    dockerfile: { file: named === undefined ? file : sourceOf(named) },
  };
}
