import { type CompileOptions, type CompileResult, compileContext, loadMainContext } from '../frontend/index.ts';
import { hostPlatform, type SourceFile, type Task, TsbuildError } from '../util/index.ts';
import { type BridgeNames, createBridge } from './bridge.ts';
import type { BuildRequest } from './request.ts';
import type { Session } from './session.ts';

/** A compiled request with what its names stand for. */
export interface CompiledRequest {
  readonly compiled: CompileResult;
  readonly names: BridgeNames;
}

/**
 * Compiles the request's Dockerfile to a graph for each platform.
 * @param onSource told the Dockerfile's text as soon as it is read, for error excerpts
 * @throws TsbuildError `TSB_DOCKERFILE`, `TSB_CONTEXT` and what resolving base images gives
 */
export async function compileRequest(session: Session, task: Task, request: BuildRequest, onSource: (file: SourceFile) => void): Promise<CompiledRequest> {
  const { names, namedContexts } = await collectNames(session, task, request);
  const bridge = createBridge(session, task, names);
  const options = compileOptions(request, namedContexts);
  const context = await loadMainContext(bridge, options);
  onSource(context.dockerfile);
  return { compiled: await compileContext(bridge, options, context), names };
}

/** The frontend's options for a request. */
export function compileOptions(request: BuildRequest, namedContexts: ReadonlyMap<string, string>): CompileOptions {
  const { dockerfile } = request;
  const buildArgs = new Map(request.buildArgs);
  if (request.sourceDateEpoch !== undefined && !buildArgs.has('SOURCE_DATE_EPOCH')) buildArgs.set('SOURCE_DATE_EPOCH', String(request.sourceDateEpoch));
  return {
    context: request.contextDir === undefined ? { kind: 'empty' } : { kind: 'local', name: 'context' },
    ...(dockerfile === undefined ? {} : 'text' in dockerfile ? { dockerfile } : { dockerfileLocal: 'dockerfile', filename: dockerfile.name }),
    ...(request.target === undefined ? {} : { target: request.target }),
    platforms: request.platforms,
    buildPlatform: hostPlatform(),
    buildArgs,
    labels: request.labels,
    ...(request.noCache ? { noCache: true as const } : request.noCacheStages.length > 0 ? { noCache: request.noCacheStages } : {}),
    namedContexts,
    imageResolveMode: request.pull ? 'pull' : 'default',
    ...(request.network === undefined || request.network === 'default' ? {} : { network: request.network }),
    extraHosts: request.extraHosts,
    ...(request.shmSize === undefined ? {} : { shmSize: request.shmSize }),
    ulimits: request.ulimits,
  };
}

/** Gives local directories and layouts names for the frontend, which knows no paths. */
export async function collectNames(session: Session, task: Task, request: BuildRequest): Promise<{ names: BridgeNames; namedContexts: Map<string, string> }> {
  const locals = new Map<string, string>();
  const layouts = new Map<string, string>();
  const namedContexts = new Map<string, string>();
  if (request.contextDir !== undefined) {
    locals.set('context', request.contextDir);
    locals.set('dockerfile', request.contextDir);
  }
  if (request.dockerfile && 'dir' in request.dockerfile) locals.set('dockerfile', request.dockerfile.dir);
  for (const [name, value] of request.namedContexts) {
    if (value.startsWith('oci-layout://')) {
      const id = `layout-${layouts.size}`;
      const { path, rest } = splitLayout(value);
      layouts.set(id, path);
      const digest = rest.includes('@') ? rest.slice(rest.indexOf('@') + 1) : (await session.images.resolve(task, value, request.platforms[0] ?? hostPlatform())).digest;
      namedContexts.set(name, `oci-layout://${id}@${digest}`);
    } else if (value.startsWith('/')) {
      const id = `named-${locals.size}`;
      locals.set(id, value);
      namedContexts.set(name, `local:${id}`);
    } else namedContexts.set(name, value);
  }
  return { names: { locals, layouts }, namedContexts };
}

function splitLayout(value: string): { path: string; rest: string } {
  const match = /^oci-layout:\/\/(.+?)((?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]+)?)$/.exec(value);
  if (!match) throw new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(value)}: expected oci-layout://DIR[:TAG][@DIGEST]`);
  return { path: match[1] ?? '', rest: match[2] ?? '' };
}
