import { isIP } from 'node:net';
import { type Definition, type Graph, loadGraphs, type SourceInfo, type State } from '../../llb/index.ts';
import { parseReference, type ImageConfig, normalizePlatform, type Platform } from '../../image/index.ts';
import { goBool, type SourceFile, TsbuildError } from '../../util/index.ts';
import type { Bridge } from '../bridge.ts';
import type { Dockerfile } from '../dockerfile/types.ts';
import { parseDockerfile } from '../dockerfile/instructions/stages.ts';
import { dockerfileError } from '../dockerfile/failure.ts';
import { type Finding, Linter, locateFindings } from '../lint/linter.ts';
import { lintDefaultBaseNames } from '../lint/variable-rules.ts';
import { lintFile } from '../lint/file-rules.ts';
import type { Outline } from '../lint/call/outline.ts';
import { resolveEpoch } from './epoch.ts';
import { kindOfFrontend, parseSyntax } from './frontend-name.ts';
import { lowerTarget, marshalTarget, scanTargets } from './lower.ts';
import { Lowering } from './lowering.ts';
import { loadMainContext, type MainContext } from './main-context.ts';
import { expandMetaArgs } from './meta-args.ts';
import { NamedContexts } from './named-context.ts';
import type { CompileOptions } from './options.ts';
import { mergeOutlines, OutlineCapture } from './outline.ts';
import { formatPlatformFull, predefinedArgs } from './platform.ts';
import { reachableFrom } from './stage-state.ts';
import { surprises } from './surprises.ts';
import { TextRoom } from './text-room.ts';
import { Usage } from './usage.ts';

/** What a Dockerfile compiles to for one platform. */
export interface CompiledPlatform {
  readonly platform: Platform;
  /** `linux/arm/v7`: the key of the platform in results. */
  readonly id: string;
  readonly state: State;
  readonly definition: Definition;
  /** The vertices of the definition; those that platforms share are the same objects. */
  readonly graph: Graph;
  /** Complete but for `rootfs` and the creation times, which the exporter knows. History includes that of the base. */
  readonly config: ImageConfig;
  /** The config of the image that the target starts from, unchanged. */
  readonly baseConfig?: ImageConfig;
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly epoch?: number;
  /** Trees that an SBOM scanner should look at beside the result, by name. */
  readonly scans: ReadonlyMap<string, State>;
}

/** What came of a Dockerfile: graphs and configs by platform, and what was noticed on the way. */
export interface CompileResult {
  readonly platforms: readonly CompiledPlatform[];
  /** Whether an index is to be made, of one platform perhaps. */
  readonly multiPlatform: boolean;
  readonly dockerfile: Dockerfile;
  /** Files that ranges refer to. */
  readonly sources: readonly SourceFile[];
  readonly diagnostics: readonly Finding[];
  /** The failure that `# check=error=true` asks for; the caller decides when to throw it. */
  readonly lintError?: TsbuildError;
  readonly usage: Usage;
  readonly outline: Outline;
}

/**
 * Compiles a Dockerfile: reads it and its ignore file, resolves the base images of the stages that are needed, and lowers
 * these to LLB and an image config for each platform.
 * @throws TsbuildError `TSB_DOCKERFILE` and what the bridge throws
 */
export async function compileDockerfile(bridge: Bridge, options: CompileOptions): Promise<CompileResult> {
  return compileContext(bridge, options, await loadMainContext(bridge, options));
}

/** `compileDockerfile` for a context that is loaded already, so that the caller has its text for error excerpts. */
export async function compileContext(
  bridge: Bridge,
  options: CompileOptions,
  context: MainContext,
): Promise<CompileResult> {
  const dockerfile = parseContext(context);
  const linter = Linter.forDockerfile(dockerfile, options.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK'));
  return compileParsed({ bridge, options, context, dockerfile, linter });
}

/** Parses the Dockerfile of a context. @throws TsbuildError `TSB_DOCKERFILE` */
export function parseContext(context: MainContext): Dockerfile {
  const { text, name } = context.dockerfile;
  if (text === '') throw dockerfileError('the Dockerfile cannot be empty');
  const nul = text.indexOf('\0');
  if (nul >= 0) {
    const line = text.slice(0, nul).split('\n').length;
    const range = { file: name, startLine: line, endLine: line };
    throw dockerfileError(`dockerfile parse error on line ${line}: there is a NUL character`, [range]);
  }
  const dockerfile = parseDockerfile(context.dockerfile);
  if (dockerfile.stages.length === 0) throw dockerfileError('dockerfile contains no stages to build');
  return dockerfile;
}

/** The parts of a compilation that all its platforms share. */
export interface Compilation {
  readonly bridge: Bridge;
  readonly options: CompileOptions;
  readonly context: MainContext;
  readonly dockerfile: Dockerfile;
  /** Collects what there is to say, also when compiling fails half-way. */
  readonly linter: Linter;
}

/** The second half of `compileDockerfile`, for callers that want the findings of a file whose lowering fails. */
export async function compileParsed(parts: Compilation): Promise<CompileResult> {
  const { options, dockerfile, linter, context } = parts;
  lintFile(dockerfile, linter);
  reportSyntax(parts);
  const usage = new Usage();
  const multiPlatform = wantsIndex(options);
  const info: SourceInfo = { filename: dockerfile.file.name, data: context.data, language: 'Dockerfile' };
  const platforms = options.platforms.length === 0 ? [undefined] : options.platforms;
  const lowered = await Promise.all(
    platforms.map(async (platform) => lowerPlatform(parts, { platform, usage, multiPlatform, info })),
  );
  const graphs = loadGraphs(lowered.map(({ compiled }) => compiled.definition));
  const compiledPlatforms = lowered.map(({ compiled }, index): CompiledPlatform => {
    const graph = graphs[index];
    if (graph === undefined) throw new Error('There is a graph for each definition');
    return { ...compiled, graph };
  });
  const [first] = lowered;
  if (first === undefined) throw new Error('There is at least one platform');
  const lintError = linter.error();
  return {
    platforms: compiledPlatforms,
    multiPlatform,
    dockerfile,
    sources: [dockerfile.file],
    diagnostics: await locateFindings(dockerfile, linter.findings),
    ...(lintError === undefined ? {} : { lintError }),
    usage,
    outline: first.outline,
  };
}

/** Docker's own frontend images are what is built in here; any other one would read the file in its own way. */
function reportSyntax({ dockerfile, linter, options }: Compilation): void {
  const given = options.buildArgs.get('BUILDKIT_SYNTAX');
  const directive = dockerfile.directives.syntax;
  const wanted = parseSyntax(given ?? directive?.value ?? '');
  if (wanted === undefined || kindOfFrontend(wanted) === 'built-in') return;
  linter.report(surprises.ForeignSyntax, given === undefined ? (directive?.ranges ?? []) : [], [wanted.source]);
}

/** An index is made for several platforms, or where one was asked for. */
function wantsIndex(options: CompileOptions): boolean {
  const text = options.buildArgs.get('BUILDKIT_MULTI_PLATFORM') ?? '';
  const asked = text === '' ? options.multiPlatform : goBool(text);
  const several = options.platforms.length > 1;
  if (text !== '' && asked === undefined) {
    throw new TsbuildError('TSB_USAGE', `invalid boolean value for multi-platform: ${text}`);
  }
  if (asked === false && several) {
    throw new TsbuildError('TSB_USAGE', 'conflicting config: returning multiple target platforms is not allowed');
  }
  return asked ?? several;
}

interface PlatformRequest {
  /** Undefined when none was asked for. */
  readonly platform: Platform | undefined;
  readonly usage: Usage;
  readonly multiPlatform: boolean;
  readonly info: SourceInfo;
}

/** Lowers the Dockerfile for one platform: stages can differ by TARGETARCH. */
async function lowerPlatform(
  parts: Compilation,
  request: PlatformRequest,
): Promise<{ readonly compiled: Omit<CompiledPlatform, 'graph'>; readonly outline: Outline }> {
  const { bridge, options, dockerfile, linter, context } = parts;
  const platform = request.platform ?? options.buildPlatform;
  const targetName = options.target || (dockerfile.stages.at(-1)?.name ?? '');
  const predefined = predefinedArgs(options.buildPlatform, platform, targetName, options.buildArgs);
  lintDefaultBaseNames(linter, dockerfile, new Map(predefined.entries()), isImageName);
  const room = new TextRoom();
  const meta = expandMetaArgs(predefined, dockerfile.metaArgs, options.buildArgs, { escape: dockerfile.escape, room });
  const contexts = new NamedContexts(bridge, options);
  const epochText = options.buildArgs.get('SOURCE_DATE_EPOCH') ?? meta.args.get('SOURCE_DATE_EPOCH') ?? '';
  const epoch = await resolveEpoch(epochText, {
    bridge,
    dockerfile,
    context,
    contexts,
    buildArgs: options.buildArgs,
    globalArgs: meta.args,
    platform: options.buildPlatform,
  });
  const outline = new OutlineCapture();
  for (const [key, info] of meta.infos) outline.args.set(key, info);
  const lowering = new Lowering({
    bridge,
    options: withCanonicalHosts(options),
    dockerfile,
    linter,
    usage: request.usage,
    room,
    contexts,
    ignore: context.ignore?.matcher,
    sourceInfo: request.info,
    platform,
    implicitPlatform: request.platform === undefined,
    multiPlatform: request.multiPlatform,
    buildArgs: withEpoch(options.buildArgs, epoch),
    globalArgs: globalEpoch(meta.args, epoch),
    outline,
    epoch,
  });
  const lowered = await lowerTarget(lowering, context);
  const { target, image, state } = lowered;
  const captures = [...reachableFrom(target)].map((stage) => stage.outline);
  return {
    compiled: {
      platform: normalizePlatform(platform),
      id: formatPlatformFull(normalizePlatform(platform)),
      state,
      definition: marshalTarget(lowering, state),
      config: { ...image, rootfs: { type: 'layers', diff_ids: [] } },
      ...(target.baseImage === undefined ? {} : { baseConfig: target.baseImage }),
      ...(epoch === undefined ? {} : { epoch }),
      scans: scanTargets(lowering, lowered),
    },
    outline: mergeOutlines(dockerfile.file, target.stage, captures),
  };
}

function isImageName(name: string): boolean {
  try {
    parseReference(name);
    return true;
  } catch (error) {
    if (error instanceof TsbuildError) return false;
    throw error;
  }
}

/** The options with host names and addresses in their one spelling, and the host name that a build argument gives. */
function withCanonicalHosts(options: CompileOptions): CompileOptions {
  const hostname = options.buildArgs.get('BUILDKIT_SANDBOX_HOSTNAME');
  const extraHosts = options.extraHosts?.map(({ host, ip }) => {
    const family = isIP(ip);
    if (family === 0) throw new TsbuildError('TSB_USAGE', `failed to parse additional hosts: failed to parse IP ${ip}`);
    return { host: host.toLowerCase(), ip: family === 4 ? ip : new URL(`http://[${ip}]`).hostname.slice(1, -1) };
  });
  return { ...options, ...(hostname ? { hostname } : {}), ...(extraHosts === undefined ? {} : { extraHosts }) };
}

/** Steps see the time that was found and not the name of its source. */
function withEpoch(buildArgs: ReadonlyMap<string, string>, epoch: number | undefined): ReadonlyMap<string, string> {
  if (!buildArgs.has('SOURCE_DATE_EPOCH')) return buildArgs;
  const changed = new Map(buildArgs);
  if (epoch === undefined) changed.delete('SOURCE_DATE_EPOCH');
  else changed.set('SOURCE_DATE_EPOCH', String(Math.trunc(epoch)));
  return changed;
}

function globalEpoch(args: Lowering['globalArgs'], epoch: number | undefined): Lowering['globalArgs'] {
  if (!args.has('SOURCE_DATE_EPOCH')) return args;
  return epoch === undefined
    ? args.delete('SOURCE_DATE_EPOCH')
    : args.set('SOURCE_DATE_EPOCH', String(Math.trunc(epoch)));
}
