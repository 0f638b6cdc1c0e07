import {
  familiarReference,
  formatReference,
  normalizeReference,
  parseReference,
  withDefaultTag,
  type ImageConfig,
  normalizePlatform,
  type Platform,
} from '../../image/index.ts';
import { http, image, LateOutput, local, ociLayout, scratch, State, stateOf } from '../../llb/index.ts';
import { redactUrls, TsbuildError } from '../../util/index.ts';
import { type Bridge, ConvertedImage } from '../bridge.ts';
import { dockerfileError } from '../dockerfile/failure.ts';
import { parseIgnoreFile } from '../ignore/ignore-file.ts';
import { gitContext } from './git-context.ts';
import { copyConfig, platformOf, splitEnv } from './image-config.ts';
import type { CompileOptions } from './options.ts';
import { formatPlatformFull } from './platform.ts';

/** A context that stands in for a stage or an image; loaded only when something reachable needs it. */
export interface NamedContext {
  load(request: ContextRequest): Promise<LoadedContext>;
}

/** What looks for a named context: a base image, or a source of COPY or a mount. */
export interface ContextRequest {
  readonly platform: Platform;
  /** The paths of a local context that are needed, known when everything is lowered; undefined for all. */
  readonly followPaths?: () => readonly string[] | undefined;
}

/** What a named context came to. */
export interface LoadedContext {
  readonly state: State;
  readonly image?: ImageConfig;
}

/** The `--build-context` values of a build, by name. */
export class NamedContexts {
  readonly #contexts = new Map<string, string>();
  readonly #bridge: Bridge;
  readonly #options: CompileOptions;
  readonly #late: (() => void)[] = [];

  constructor(bridge: Bridge, options: CompileOptions) {
    this.#bridge = bridge;
    this.#options = options;
    for (const [key, value] of options.namedContexts) {
      const [name = '', platform] = key.split('::');
      const full = familiarName(name) ?? name;
      this.#contexts.set(platform === undefined ? full : `${full}::${platform}`, value);
    }
  }

  /** The context that stands in for `name` on that platform. `scratch` and `context` cannot be replaced. */
  find(name: string, platform: Platform): NamedContext | undefined {
    if (/^(scratch|context)$/i.test(name)) return undefined;
    const familiar = familiarName(name);
    if (familiar === undefined) return undefined;
    for (const key of [`${familiar}::${formatPlatformFull(normalizePlatform(platform))}`, familiar]) {
      const value = this.#contexts.get(key);
      if (value !== undefined) return { load: async (request) => this.#load(familiar, key, value, request) };
    }
    return undefined;
  }

  /** Decides what was left open until all paths are known. */
  settle(): void {
    for (const decide of this.#late.splice(0)) decide();
  }

  async #load(name: string, key: string, value: string, request: ContextRequest): Promise<LoadedContext> {
    const colon = value.indexOf(':');
    if (colon < 0) throw dockerfileError(`invalid context specifier ${value} for ${key}`);
    const rest = value.slice(colon + 1);
    const body = rest.replace(/^\/\//, '');
    const kind = value.startsWith('git@') ? 'git' : value.slice(0, colon);
    switch (kind) {
      case 'docker-image':
        return this.#loadImage(key, body, request.platform).catch((error: unknown) => {
          if (error instanceof ConvertedImage && !error.identifier.startsWith('docker-image://'))
            return this.#load(name, key, contextOf(error.identifier), request);
          throw error;
        });
      case 'oci-layout':
        return this.#loadLayout(name, key, body, request.platform);
      case 'git':
      case 'ssh':
      case 'http':
      case 'https': {
        const repository = gitContext(value, {});
        if (repository) return { state: repository };
        if (!kind.startsWith('http')) throw dockerfileError(`invalid git context ${value}`);
        return { state: http(value, { filename: 'context', name: `[context ${key}] ${redactUrls(value)}` }) };
      }
      case 'local':
        return this.#loadLocal(key, rest, request);
      case 'input':
        return this.#loadInput(key, rest);
      default:
        throw dockerfileError(`unsupported context source ${kind} for ${key}`);
    }
  }

  async #loadImage(key: string, text: string, platform: Platform): Promise<LoadedContext> {
    if (text === 'scratch') return { state: scratch() };
    const reference = normalizeReference(text);
    const resolved = await this.#bridge.resolveImage({
      reference,
      platform,
      mode: this.#options.imageResolveMode ?? 'default',
      name: `[context ${key}] load metadata for ${text}`,
    });
    const used = resolved.reference ?? reference;
    return withConfig(
      image(used, { name: `[context ${key}] ${used === reference ? text : used}`, platform }),
      resolved.config,
    );
  }

  async #loadLayout(name: string, key: string, text: string, platform: Platform): Promise<LoadedContext> {
    const at = text.indexOf('@');
    const store = text.slice(0, at).replace(/:[^:/]*$/, '');
    if (at < 0) throw dockerfileError(`oci-layout reference ${JSON.stringify(text)} has no digest`);
    const named = parseReference(`${name.replace(/@.*$/, '')}@${text.slice(at + 1)}`);
    const reference = formatReference(named);
    const resolved = await this.#bridge.resolveImage({
      reference,
      platform,
      mode: 'default',
      ociLayout: store,
      name: `[context ${key}] load metadata for ${reference}`,
    });
    const state = ociLayout(reference, { storeId: store, platform, name: `[context ${key}] OCI load from client` });
    return withConfig(state, resolved.config);
  }

  async #loadLocal(key: string, name: string, request: ContextRequest): Promise<LoadedContext> {
    const text = await this.#bridge.readFile({
      from: { kind: 'local', name },
      path: '.dockerignore',
      name: `[context ${key}] load .dockerignore`,
    });
    const excludePatterns =
      text === undefined ? [] : parseIgnoreFile({ name: '.dockerignore', text: Buffer.from(text).toString('utf8') });
    const late = new LateOutput();
    this.#late.push(() => {
      const followPaths = request.followPaths?.();
      const state = local(name, {
        name: `[context ${key}] load from client`,
        sharedKeyHint: `context:${key}-`,
        excludePatterns,
        ...(followPaths === undefined ? {} : { followPaths }),
      });
      late.decide(state.output);
    });
    return { state: State.of(late) };
  }

  async #loadInput(key: string, name: string): Promise<LoadedContext> {
    const input = await this.#bridge.input?.(name);
    if (input === undefined) throw dockerfileError(`invalid input ${name} for ${key}`);
    const state = stateOf(input.definition);
    return input.config === undefined ? { state } : withConfig(state, input.config);
  }
}

/** The state with the environment, working directory and platform of the image, and the config for the stage to start from. */
function withConfig(state: State, config: ImageConfig): LoadedContext {
  const env = (config.config.Env ?? []).map(splitEnv).filter(([name]) => name !== '');
  const started = state.addEnvs(env).dir(config.config.WorkingDir ?? '');
  const platform = platformOf(config);
  const copy = copyConfig(config);
  delete copy.created;
  return { state: platform === undefined ? started : started.platform(platform), image: copy };
}

/** The source of a graph as the value of a context. */
function contextOf(identifier: string): string {
  return identifier.replace(/^(local|docker-image|oci-layout):\/\//, '$1:');
}

/** `alpine` for everything that means `docker.io/library/alpine:latest`; undefined when it cannot be a name. */
function familiarName(name: string): string | undefined {
  try {
    return familiarReference(withDefaultTag(parseReference(name))).replace(/:latest$/, '');
  } catch (error) {
    if (error instanceof TsbuildError) return undefined;
    throw error;
  }
}
