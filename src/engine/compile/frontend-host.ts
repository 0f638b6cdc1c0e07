import {
  checkFrontendName,
  compileContext,
  kindOfFrontend,
  loadMainContext,
  MAX_DOCKERFILE_BYTES,
} from '../../frontend/index.ts';
import {
  type FrontendResult,
  type FrontendWarning,
  type GatewayHost,
  type GatewaySource,
  type ImageConfigAnswer,
  type ImageConfigRequest,
  type LoadedDefinition,
  metadataOf,
  type NestedRequest,
  type SourceAnswer,
} from '../../gateway/index.ts';
import { hostPlatform, parseImageConfig, type Platform } from '../../image/index.ts';
import type { Definition, SourceOp } from '../../llb/index.ts';
import type { SourcePolicies, SourcePolicy } from '../../source-policy/index.ts';
import { isTsbuildError, redactUrls, sanitizeLine, sha256, type SourceFile, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { type BridgeNames, createBridge, layoutReference, policedImage } from './bridge.ts';
import { dockerfileOptions } from './dockerfile-options.ts';
import { checkEntitlements } from './entitlements.ts';
import { BuildFailure } from '../failure.ts';
import { createFrontendContainer } from './frontend-container.ts';
import { runFrontend } from './frontend-process.ts';
import { checkImageDigest } from '../images/image-checksum.ts';
import { withImageHint } from '../images/image-hint.ts';
import type { ImageTimes } from './image-times.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { policed } from './policed.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { meantBy } from '../images/short-names.ts';
import type { RequestSolver } from './solve.ts';
import { GraphTree } from './solved-tree.ts';

/** Frontends that call one another. */
const MAX_DEPTH = 5;

/** What the frontends of one build share. */
export interface FrontendBuild {
  readonly session: Session;
  readonly task: Task;
  readonly request: BuildRequest;
  /** Local directories and layouts: there are no others for a frontend. */
  readonly names: BridgeNames;
  readonly solver: RequestSolver;
  readonly imageTimes: ImageTimes;
  readonly policies: SourcePolicies;
  /** Whether this machine can have containers of frontends. */
  readonly containers: boolean;
}

/** What a frontend image can reach: the build's own directories, images, sources, and the solver that everything goes through. */
export class FrontendHost implements GatewayHost {
  readonly platforms: readonly Platform[] = [hostPlatform()];
  readonly inputs: ReadonlyMap<string, Definition>;
  readonly container: GatewayHost['container'];
  readonly #build: FrontendBuild;
  readonly #depth: number;

  constructor(build: FrontendBuild, inputs: ReadonlyMap<string, Definition>, depth = 1) {
    this.inputs = inputs;
    this.#build = build;
    if (build.containers) this.container = (request, signal) => createFrontendContainer(build, request, signal);
    this.#depth = depth;
  }

  load(given: Definition, more: readonly SourcePolicy[]): LoadedDefinition {
    const policies = this.#build.policies.followedBy(more);
    const definition = policed(given, policies);
    return { definition, tree: new GraphTree({ ...this.#build, policies }, definition) };
  }

  async frontend(request: NestedRequest, signal: AbortSignal): Promise<FrontendResult> {
    const { name, options, inputs } = request;
    const policies = this.#build.policies.followedBy(request.policies);
    const source = options.get('source') ?? '';
    if (name === 'dockerfile.v0') return this.#dockerfile(options, inputs, policies, signal);
    if (name !== 'gateway.v0')
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot solve with frontend ${JSON.stringify(name.slice(0, 100))}: there is no such one`,
        {
          hint: 'there are dockerfile.v0 and gateway.v0',
        },
      );
    if (kindOfFrontend({ source, cmdline: source }) === 'built-in')
      return this.#dockerfile(options, inputs, policies, signal);
    checkFrontendName(source);
    if (this.#depth >= MAX_DEPTH)
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot run frontend ${JSON.stringify(source)}: ${MAX_DEPTH} frontends call each other already`,
      );
    const host = new FrontendHost({ ...this.#build, policies }, inputs, this.#depth + 1);
    const run = { source, options, host, policies };
    return runFrontend(this.#build.session, this.#taskOf(signal), this.#build.request, run);
  }

  /** The frontend that is built in, with the options and inputs that another one gives it. */
  async #dockerfile(
    given: ReadonlyMap<string, string>,
    inputs: ReadonlyMap<string, Definition>,
    policies: SourcePolicies,
    signal: AbortSignal,
  ): Promise<FrontendResult> {
    const { session, request, names, solver, imageTimes } = this.#build;
    const task = this.#taskOf(signal);
    const bridge = imageTimes.watch({
      ...createBridge(session, task, names, solver, policies),
      input: async (name) => {
        const definition = inputs.get(name);
        const config = inputConfig(given, name);
        return definition && { definition, ...(config === undefined ? {} : { config }) };
      },
    });
    let options = dockerfileOptions(given);
    const dockerfile = inputs.get(given.get('dockerfilekey') || 'dockerfile');
    const filename = options.filename ?? 'Dockerfile';
    if (dockerfile !== undefined) {
      const data = await this.load(dockerfile, []).tree.read(filename, undefined, signal);
      if (data === undefined || data.length > MAX_DOCKERFILE_BYTES)
        throw new TsbuildError(
          'TSB_NOT_FOUND',
          `failed to read dockerfile: open ${filename}: no such file or directory`,
        );
      options = { ...options, dockerfile: { name: filename, text: Buffer.from(data).toString('utf8') } };
    }
    const context = inputs.get(given.get('contextkey') || 'context');
    if (context !== undefined)
      options = { ...options, context: { kind: 'definition', definition: context }, dockerfileLocal: 'dockerfile' };
    const main = await loadMainContext(bridge, options);
    try {
      const { platforms, multiPlatform, usage, diagnostics, lintError } = await compileContext(bridge, options, main);
      for (const diagnostic of diagnostics) task.events({ type: 'diagnostic', diagnostic, at: session.now() });
      if (lintError) throw lintError;
      checkEntitlements(request.entitlements, usage);
      const [first] = platforms;
      return {
        refs:
          !multiPlatform && first !== undefined
            ? { kind: 'one', definition: first.definition }
            : { kind: 'map', definitions: new Map(platforms.map(({ id, definition }) => [id, definition])) },
        metadata: metadataOf({ images: platforms, multiPlatform }),
      };
    } catch (error) {
      throw withLinesOf(options.dockerfile, error);
    }
  }

  async resolveImage(request: ImageConfigRequest, signal: AbortSignal): Promise<ImageConfigAnswer> {
    const { session, names, imageTimes, policies } = this.#build;
    const { platform, mode, ociLayout, name } = request;
    // Those of the call are asked first, as in BuildKit.
    const all = policies.precededBy(request.policies);
    return withInternalVertex(this.#taskOf(signal), session.now, name, async (_vertex, _status, task) => {
      const meant = ociLayout === undefined ? await meantBy(session, request.reference) : request.reference;
      const used = policedImage(all, { ...(ociLayout === undefined ? {} : { ociLayout }), reference: meant });
      const reference =
        ociLayout === undefined
          ? used.reference
          : (layoutReference(names, { ociLayout, reference: used.reference }) ?? '');
      const image = await session.images.resolve(task, reference, platform, { mode }).catch((error: unknown) => {
        throw withImageHint(error, session.store, reference);
      });
      checkImageDigest(used.attrs, image);
      imageTimes.note(image.digest, image.config);
      // Of a layout, the caller knows no path.
      return {
        reference: ociLayout === undefined ? image.ref : used.reference,
        digest: image.digest,
        config: image.configBytes,
      };
    });
  }

  policed({ identifier, attrs }: Pick<GatewaySource, 'identifier' | 'attrs'>, more: readonly SourcePolicy[]): SourceOp {
    return this.#build.policies.precededBy(more).apply({ kind: 'source', identifier, attrs });
  }

  async resolveSource({ identifier, attrs, name }: GatewaySource, signal: AbortSignal): Promise<SourceAnswer> {
    const { session, solver } = this.#build;
    return withInternalVertex(this.#taskOf(signal), session.now, redactUrls(name), async (_vertex, _status, task) => {
      const now = await solver.sourceNow(task, sha256(`tsbuild.source:${identifier}`), {
        kind: 'source',
        identifier,
        attrs,
      });
      if (now.kind === 'git') {
        const { sha, commit, ref } = now.commit;
        return {
          kind: 'git',
          checksum: sha,
          ref: ref ?? '',
          commit: commit === undefined || commit === sha ? '' : commit,
        };
      }
      const { content, filename } = now;
      return {
        kind: 'http',
        checksum: content.digest,
        filename,
        ...(content.lastModified === undefined ? {} : { lastModified: content.lastModified }),
      };
    });
  }

  conceal(message: string): string {
    const { session, names } = this.#build;
    const places = [...names.locals, ...names.layouts, ['store', session.store.root]] as const;
    // Of two directories one may be within the other.
    const byLength = places.toSorted(([, one], [, other]) => other.length - one.length);
    return byLength.reduce((text, [name, path]) => (path === '/' ? text : text.replaceAll(path, `<${name}>`)), message);
  }

  warn({ message, ranges }: FrontendWarning): void {
    const { session, task } = this.#build;
    const text = sanitizeLine(message, 1000);
    // Warnings of Dockerfiles begin with the name of their rule, and end with the line that is shown anyway.
    const [, code = 'Frontend', rest = text] = /^([A-Z][A-Za-z]{2,60}): (.*)$/.exec(text) ?? [];
    task.events({
      type: 'diagnostic',
      diagnostic: {
        code,
        severity: 'warning',
        message: ranges.length > 0 ? rest.replace(/ \(line \d+\)$/, '') : rest,
        ranges,
      },
      at: session.now(),
    });
  }

  #taskOf(signal: AbortSignal): Task {
    const { task } = this.#build;
    return { ...task, signal: AbortSignal.any([task.signal, signal]) };
  }
}

/** What is wrong with a Dockerfile that a frontend has made, with its lines: nobody else has that text. */
function withLinesOf(file: SourceFile | undefined, error: unknown): unknown {
  if (file === undefined || !isTsbuildError(error) || error.ranges.length === 0) return error;
  return new BuildFailure(error, file, error.ranges);
}

/** The config that comes with an input: `input-metadata:NAME` has metadata as Go writes it, bytes in base64. */
function inputConfig(
  options: ReadonlyMap<string, string>,
  name: string,
): ReturnType<typeof parseImageConfig> | undefined {
  const text = options.get(`input-metadata:${name}`);
  if (text === undefined) return undefined;
  try {
    const metadata = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const config = metadata['containerimage.config'];
    if (typeof config !== 'string') return undefined;
    return parseImageConfig(Buffer.from(config, 'base64'), `config of input ${JSON.stringify(name)}`);
  } catch (cause) {
    throw new TsbuildError('TSB_DOCKERFILE', `Cannot read the metadata of input ${JSON.stringify(name)}`, { cause });
  }
}
