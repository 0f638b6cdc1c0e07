import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import {
  type CompileOptions,
  compileContext,
  type ContextSpec,
  type Bridge,
  loadMainContext,
  type MainContext,
  type SyntaxRequest,
  MAX_DOCKERFILE_BYTES,
} from '../../frontend/index.ts';
import { storeError } from '../../store/index.ts';
import { isDigest, redactUrls, type SourceFile, TsbuildError } from '../../util/index.ts';
import { hostPlatform } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { type BridgeNames, createBridge } from './bridge.ts';
import { SourcePolicies } from '../../source-policy/index.ts';
import type { CompiledGraphs } from '../compiled.ts';
import type { FrontendBuild } from './frontend-host.ts';
import { ImageTimes } from './image-times.ts';
import { linuxResources } from './step-limits.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { wantedFrontend } from './wanted-frontend.ts';
import { policedGraphs } from './policed.ts';
import { SshAgents } from '../../ops/index.ts';
import type { BuildRequest } from '../request.ts';
import { BuildSecrets } from '../../secrets/index.ts';
import type { Session } from '../session.ts';
import { type ForeignCache, RequestSolver } from './solve.ts';

/** Name of an archive from standard input in its directory. */
const ARCHIVE_NAME = 'context';

/** A compiled request with what solves its graphs. */
export interface CompiledRequest {
  readonly compiled: CompiledGraphs;
  readonly solver: RequestSolver;
  /** Of the base images. */
  readonly imageTimes: ImageTimes;
}

/** What a request is compiled with. */
export interface Surroundings {
  /** Told the Dockerfile's text as soon as it is read, for error excerpts. */
  readonly onSource: (file: SourceFile) => void;
  /** The request's, where somebody has them already. */
  readonly secrets?: BuildSecrets;
  /** Caches besides the store's own. */
  readonly imports?: Promise<readonly ForeignCache[]>;
}

/**
 * Compiles the request's Dockerfile to a graph for each platform, or has the frontend image do it that it names.
 * @param onSource told the Dockerfile's text as soon as it is read, for error excerpts
 * @throws TsbuildError `TSB_DOCKERFILE`, `TSB_CONTEXT`, `TSB_POLICY`, what reading SSH keys and what resolving base images gives
 */
export async function compileRequest(
  session: Session,
  task: Task,
  request: BuildRequest,
  surroundings: Surroundings,
): Promise<CompiledRequest> {
  const opened = await openRequest(session, task, request, surroundings);
  const { bridge, options, context, policies, solver, imageTimes } = opened;
  if (opened.foreign !== undefined) {
    const { wanted, build } = opened.foreign;
    const { compileByFrontend } = await import('./compile-frontend.ts');
    const compiled = await compileByFrontend(build, wanted, options, context);
    // It may have made another file of the one that was read.
    surroundings.onSource(compiled.dockerfile.file);
    return { compiled, solver: build.solver, imageTimes };
  }
  const compiled = policedGraphs(await compileContext(bridge, options, context), policies);
  return { compiled, solver, imageTimes };
}

/** A request whose file was read. */
interface OpenedRequest {
  readonly bridge: Bridge;
  readonly options: CompileOptions;
  readonly context: MainContext;
  readonly policies: SourcePolicies;
  readonly solver: RequestSolver;
  readonly imageTimes: ImageTimes;
  /** The frontend image that the file is for. */
  readonly foreign: { readonly wanted: SyntaxRequest; readonly build: FrontendBuild } | undefined;
}

/**
 * Reads a request's file, and finds out who is to read it further.
 * @throws TsbuildError see `compileRequest`
 */
export async function openRequest(
  session: Session,
  task: Task,
  request: BuildRequest,
  surroundings: Surroundings,
): Promise<OpenedRequest> {
  const policies = new SourcePolicies(request.sourcePolicies);
  const ssh = await SshAgents.open(request.ssh, session.remote);
  const { names, namedContexts } = await collectNames(session, task, request);
  const { secrets = new BuildSecrets(request.secrets), imports, onSource } = surroundings;
  const solver = new RequestSolver(session, task, request, names, { secrets, ssh }, imports);
  const imageTimes = new ImageTimes();
  const bridge = imageTimes.watch(createBridge(session, task, names, solver, policies));
  const options = compileOptions(await withDockerfile(session, task, request, policies), namedContexts);
  const context = await loadMainContext(bridge, options);
  onSource(context.dockerfile);
  const opened = { bridge, options, context, policies, solver, imageTimes };
  const wanted = wantedFrontend(request, context.dockerfile);
  if (wanted === undefined) return { ...opened, foreign: undefined };
  // Few builds have any of it.
  const { canContain, namesForFrontend } = await import('./compile-frontend.ts');
  const known = namesForFrontend(session, names, options);
  const build: FrontendBuild = {
    session,
    task,
    request,
    names: known,
    solver: new RequestSolver(session, task, request, known, { secrets, ssh }, imports, true),
    imageTimes,
    policies,
    containers: canContain(await session.plan()),
  };
  return { ...opened, foreign: { wanted, build } };
}

/** The frontend's options for a request. */
export function compileOptions(request: BuildRequest, namedContexts: ReadonlyMap<string, string>): CompileOptions {
  const { dockerfile } = request;
  const resources = linuxResources(request.resources);
  const buildArgs = new Map(request.buildArgs);
  if (request.sourceDateEpoch !== undefined && !buildArgs.has('SOURCE_DATE_EPOCH'))
    buildArgs.set('SOURCE_DATE_EPOCH', String(request.sourceDateEpoch));
  return {
    context: contextSpec(request),
    ...(dockerfile === undefined ? {} : dockerfileOptions(dockerfile)),
    ...(request.target === undefined ? {} : { target: request.target }),
    platforms: request.platforms,
    buildPlatform: hostPlatform(),
    buildArgs,
    labels: request.labels,
    ...(request.noCache
      ? { noCache: true as const }
      : request.noCacheStages.length > 0
        ? { noCache: request.noCacheStages }
        : {}),
    namedContexts,
    imageResolveMode: request.pull ? 'pull' : 'default',
    ...(request.network === undefined || request.network === 'default' ? {} : { network: request.network }),
    ...(request.hostname === undefined ? {} : { hostname: request.hostname }),
    extraHosts: request.extraHosts,
    ...(request.shmSize === undefined ? {} : { shmSize: request.shmSize }),
    ulimits: request.ulimits,
    ...(resources === undefined ? {} : { linuxResources: resources }),
  };
}

/** The context as the frontend has it: names and URLs, no paths of the machine. */
function contextSpec({ context, contextDir }: BuildRequest): ContextSpec {
  if (context?.kind === 'remote') return context;
  if (context?.kind === 'archive') return { kind: 'archive', local: 'context', path: ARCHIVE_NAME };
  return contextDir === undefined ? { kind: 'empty' } : { kind: 'local', name: 'context' };
}

function dockerfileOptions(
  dockerfile: NonNullable<BuildRequest['dockerfile']>,
): Pick<CompileOptions, 'dockerfile' | 'dockerfileLocal' | 'filename'> {
  if ('text' in dockerfile) return { dockerfile };
  if ('inContext' in dockerfile) return { filename: dockerfile.inContext };
  if ('dir' in dockerfile) return { dockerfileLocal: 'dockerfile', filename: dockerfile.name };
  throw new TsbuildError('TSB_INTERNAL', 'A Dockerfile from the web was not read');
}

/** The request with a Dockerfile from the web replaced by its text. */
export async function withDockerfile(
  session: Session,
  task: Task,
  request: BuildRequest,
  policies: SourcePolicies,
): Promise<BuildRequest> {
  if (!request.dockerfile || !('url' in request.dockerfile)) return request;
  const asked = { kind: 'source', identifier: request.dockerfile.url, attrs: new Map<string, string>() } as const;
  const { identifier: url, attrs } = policies.apply(asked);
  const checksum = attrs.get('http.checksum');
  if (!/^https?:\/\//.test(url) || (checksum !== undefined && !isDigest(checksum)) || attrs.size > (checksum ? 1 : 0))
    throw new TsbuildError('TSB_POLICY', `Cannot read the Dockerfile as the source policy has it: ${redactUrls(url)}`, {
      hint: 'a Dockerfile from the web can become another web address, and get "http.checksum"',
    });
  return withInternalVertex(
    task,
    session.now,
    `[internal] load remote build definition from ${redactUrls(url)}`,
    async (vertex) => {
      const { path, size } = await (await session.remote.http()).file(task, vertex, { url, headers: {} }, checksum);
      if (size > MAX_DOCKERFILE_BYTES)
        throw new TsbuildError(
          'TSB_DOCKERFILE',
          `Cannot read Dockerfile ${JSON.stringify(redactUrls(url))}: it has ${size} bytes`,
        );
      return { ...request, dockerfile: { name: 'Dockerfile', text: readFileSync(path, 'utf8') } };
    },
  );
}

/** Gives local directories and layouts names for the frontend, which knows no paths. */
export async function collectNames(
  session: Session,
  task: Task,
  request: BuildRequest,
): Promise<{ names: BridgeNames; namedContexts: Map<string, string> }> {
  const locals = new Map<string, string>();
  const layouts = new Map<string, string>();
  const namedContexts = new Map<string, string>();
  if (request.contextDir !== undefined) {
    locals.set('context', request.contextDir);
    locals.set('dockerfile', request.contextDir);
  }
  if (request.context?.kind === 'archive')
    locals.set('context', await storeArchive(session, task, request.context.data));
  if (request.dockerfile && 'dir' in request.dockerfile) locals.set('dockerfile', request.dockerfile.dir);
  for (const [name, value] of request.namedContexts) {
    if (value.startsWith('oci-layout://')) {
      const id = `layout-${layouts.size}`;
      const { path, rest } = splitLayout(value);
      layouts.set(id, path);
      const digest = rest.includes('@')
        ? rest.slice(rest.indexOf('@') + 1)
        : (await session.images.resolve(task, value, request.platforms[0] ?? hostPlatform())).digest;
      namedContexts.set(name, `oci-layout://${id}@${digest}`);
    } else if (value.startsWith('/')) {
      // The names that docker gives them, by which a source policy knows them.
      let id = ['context', 'dockerfile'].includes(name) ? `_${name}` : name;
      while (locals.has(id)) id = `_${id}`;
      locals.set(id, value);
      namedContexts.set(name, `local:${id}`);
    } else namedContexts.set(name, value);
  }
  return { names: { locals, layouts }, namedContexts };
}

/** Puts an archive that comes as a stream into a private directory, unread: it is unpacked in the namespace as ADD does it. */
async function storeArchive(session: Session, task: Task, data: AsyncIterable<Uint8Array>): Promise<string> {
  const dir = session.remote.temporary();
  return withInternalVertex(
    task,
    session.now,
    '[internal] load build context from standard input',
    async (_vertex, status) => {
      let fd: number | undefined;
      let size = 0;
      try {
        fd = openSync(`${dir}/${ARCHIVE_NAME}`, 'wx', 0o600);
        for await (const chunk of data) {
          task.signal.throwIfAborted();
          for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
          size += chunk.length;
          status('transferring context', size);
        }
      } catch (error) {
        throw storeError(error, `Cannot store the build context in ${JSON.stringify(dir)}`, dir);
      } finally {
        if (fd !== undefined) closeSync(fd);
      }
      status('transferring context', size, undefined, true);
      return dir;
    },
  );
}

function splitLayout(value: string): { path: string; rest: string } {
  const match = /^oci-layout:\/\/(.+?)((?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]+)?)$/.exec(value);
  if (!match)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${JSON.stringify(value)}: expected oci-layout://DIR[:TAG][@DIGEST]`,
    );
  return { path: match[1] ?? '', rest: match[2] ?? '' };
}
