import {
  type Bridge,
  compileDockerfile,
  type CompileOptions,
  type CompileResult,
} from '../../../src/frontend/index.ts';
import { type Json, type LlbVertex, opToJson } from '../../../src/llb/index.ts';
import type { ImageConfig, Platform } from '../../../src/image/index.ts';
import { isTsbuildError, TsbuildError } from '../../../src/util/index.ts';

export const amd64: Platform = { os: 'linux', architecture: 'amd64' };
export const arm64: Platform = { os: 'linux', architecture: 'arm64' };
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A world made of texts. */
export interface World {
  /** Local files by `local/path`, e.g. `context/.dockerignore`. */
  readonly files?: Readonly<Record<string, string>>;
  /** Files of remote trees by path. */
  readonly remote?: Readonly<Record<string, string | Uint8Array>>;
  /** Configs by reference without digest; `alpine` is always there. */
  readonly images?: Readonly<
    Record<string, Partial<ImageConfig['config']> & { readonly arch?: string; readonly os?: string }>
  >;
  readonly times?: number;
  readonly inputs?: Bridge['input'];
}

/** Requests that reached the bridge. */
export interface Asked {
  readonly images: string[];
  readonly files: string[];
}

export function imageConfig(config: ImageConfig['config'] = {}, architecture = 'amd64'): ImageConfig {
  return {
    architecture,
    os: 'linux',
    created: '2020-01-01T00:00:00Z',
    config: { Env: [PATH], ...config },
    rootfs: { type: 'layers', diff_ids: [`sha256:${'1'.repeat(64)}`] },
    history: [{ created_by: 'base' }],
  };
}

export function bridgeOf(world: World, asked: Asked = { images: [], files: [] }): Bridge {
  return {
    async resolveImage({ reference, platform, ociLayout }) {
      asked.images.push(ociLayout === undefined ? reference : `${ociLayout}!${reference}`);
      const found = world.images?.[reference];
      if (found === undefined && !/\/alpine[:@]/.test(reference))
        throw new TsbuildError('TSB_NOT_FOUND', `${reference}: not found`);
      const { arch, os, ...config } = found ?? {};
      const made = imageConfig(config, arch ?? platform.architecture);
      return { digest: `sha256:${'a'.repeat(64)}`, config: os === undefined ? made : { ...made, os } };
    },
    async readFile({ from, path, limit }) {
      asked.files.push(from.kind === 'local' ? `${from.name}/${path}` : `remote/${path}`);
      const found = from.kind === 'local' ? world.files?.[`${from.name}/${path}`] : world.remote?.[path];
      return found === undefined ? undefined : Buffer.from(found).subarray(0, limit);
    },
    async sourceTime() {
      return world.times;
    },
    ...(world.inputs === undefined ? {} : { input: world.inputs }),
  };
}

export function optionsOf(options: Partial<CompileOptions> = {}): CompileOptions {
  return {
    context: { kind: 'local', name: 'context' },
    platforms: [],
    buildPlatform: amd64,
    buildArgs: new Map(),
    labels: new Map(),
    namedContexts: new Map(),
    ...options,
  };
}

export async function compile(
  text: string,
  options: Partial<CompileOptions> = {},
  world: World = {},
  asked?: Asked,
): Promise<CompileResult> {
  const files = { 'dockerfile/Dockerfile': text, ...world.files };
  return compileDockerfile(bridgeOf({ ...world, files }, asked), optionsOf(options));
}

/** The message and lines of the failure that a Dockerfile compiles to. */
export async function failure(text: string, options?: Partial<CompileOptions>, world?: World): Promise<string> {
  try {
    await compile(text, options, world);
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    return `${error.message} @${error.ranges.map((range) => range.startLine).join(',')}`;
  }
  return 'compiled';
}

/** The vertices of the first platform, inputs first. */
export function vertices(result: CompileResult, platform = 0): readonly LlbVertex[] {
  return result.platforms[platform]?.graph.vertices ?? [];
}

export function names(result: CompileResult, platform = 0): readonly string[] {
  return vertices(result, platform).map((vertex) => vertex.name);
}

/** The ops of a platform in JSON, with inputs by name. */
export function ops(result: CompileResult, platform = 0): readonly Json[] {
  return vertices(result, platform).map((vertex) => ({
    name: vertex.name,
    ...(opToJson({ ...vertex.op, inputs: [] }) as object),
    inputs: vertex.inputs.map((edge) => edge.vertex.name),
  }));
}

/** The op whose name contains the text. */
export function opNamed(result: CompileResult, part: string): Json {
  const vertex = vertices(result).find(({ name }) => name.includes(part));
  if (vertex === undefined) throw new Error(`No vertex named ${part} in ${names(result).join('; ')}`);
  return opToJson({ ...vertex.op, inputs: [] });
}

export function config(result: CompileResult): ImageConfig {
  const found = result.platforms[0]?.config;
  if (found === undefined) throw new Error('nothing compiled');
  return found;
}

export function history(result: CompileResult): readonly string[] {
  return config(result).history.map((entry) => entry.created_by ?? '');
}
