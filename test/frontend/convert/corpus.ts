import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Bridge,
  compileDockerfile,
  type CompileOptions,
  type CompileResult,
} from '../../../src/frontend/index.ts';
import type { ImageConfig } from '../../../src/image/index.ts';
import { type Digest, TsbuildError } from '../../../src/util/index.ts';
import { type Case, caseOptions, cut, loadCase, unpackCorpus } from '../../support/conformance-cases.ts';

interface Manifest {
  readonly manifests?: readonly {
    readonly digest: string;
    readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly config?: { readonly digest: string };
}

/** A bridge over the stand-in base images, images that other cases published, and the directories of a case. */
export class CorpusBridge implements Bridge {
  readonly #root: string;
  readonly #locals: ReadonlyMap<string, string>;
  readonly #digests: ReadonlyMap<string, Digest>;
  readonly #published: (reference: string, platform: string) => Promise<ImageConfig | undefined>;

  constructor(
    root: string,
    locals: ReadonlyMap<string, string>,
    digests: ReadonlyMap<string, Digest>,
    published: (reference: string, platform: string) => Promise<ImageConfig | undefined>,
  ) {
    this.#root = root;
    this.#locals = locals;
    this.#digests = digests;
    this.#published = published;
  }

  async resolveImage(request: Parameters<Bridge['resolveImage']>[0]): ReturnType<Bridge['resolveImage']> {
    const { reference, platform } = request;
    const name = reference.replace(/@.*$/, '');
    const digest = this.#digests.get(name);
    const config = (await this.#published(name, platform.architecture)) ?? this.#base(name, platform);
    if (config === undefined) throw new TsbuildError('TSB_NOT_FOUND', `${reference}: not found`);
    return { config, ...(digest === undefined ? {} : { digest }) };
  }

  #base(
    name: string,
    platform: { readonly os: string; readonly architecture: string; readonly variant?: string },
  ): ImageConfig | undefined {
    const [repository, tag] = cut(name.replace(/^docker\.io\/(library\/)?/, ''), ':');
    const layout = join(this.#root, 'bases', repository);
    if (!existsSync(layout)) return undefined;
    const blob = (digest: string): Manifest =>
      JSON.parse(readFileSync(join(layout, 'blobs/sha256', digest.replace('sha256:', '')), 'utf8')) as Manifest;
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as Manifest;
    const entry = index.manifests?.find((one) => one.annotations?.['org.opencontainers.image.ref.name'] === tag);
    if (entry === undefined) return undefined;
    let manifest = blob(entry.digest);
    if (manifest.manifests) {
      const wanted = manifest.manifests.filter(
        (one) => one.platform?.os === platform.os && one.platform.architecture === platform.architecture,
      );
      const best =
        wanted.find((one) => one.platform?.variant === platform.variant) ?? wanted[0] ?? manifest.manifests[0];
      manifest = blob(best?.digest ?? '');
    }
    return blob(manifest.config?.digest ?? '') as unknown as ImageConfig;
  }

  async readFile(request: Parameters<Bridge['readFile']>[0]): Promise<Uint8Array | undefined> {
    if (request.from.kind !== 'local') return undefined;
    const path = join(this.#locals.get(request.from.name) ?? '/nonexistent', request.path);
    return existsSync(path) ? readFileSync(path) : undefined;
  }

  async sourceTime(): Promise<number | undefined> {
    return undefined;
  }
}

/** All cases, and the images that they publish for each other. */
export class Corpus {
  readonly root: string = unpackCorpus();
  readonly cases: readonly Case[];
  readonly #publishers = new Map<string, Case[]>();

  constructor() {
    this.cases = readdirSync(join(this.root, 'cases'))
      .sort()
      .map((id) => loadCase(this.root, id));
    for (const one of this.cases) {
      if (one.publishAs === undefined) continue;
      const name = /:[^/]*$/.test(one.publishAs) ? one.publishAs : `${one.publishAs}:latest`;
      this.#publishers.set(name, [...(this.#publishers.get(name) ?? []), one]);
    }
  }

  case(id: string): Case {
    const found = this.cases.find((one) => one.id === id);
    if (found === undefined) throw new Error(`No case ${id}`);
    return found;
  }

  /** @param digests of the images that the case names */
  async compile(
    one: Case,
    digests: ReadonlyMap<string, Digest> = new Map(),
    change: (options: CompileOptions) => CompileOptions = (options) => options,
  ): Promise<CompileResult> {
    const { options, locals } = caseOptions(one);
    const published = async (name: string, architecture: string): Promise<ImageConfig | undefined> => {
      const all = this.#publishers.get(name) ?? [];
      const earlier = all.filter((other) => other.group === one.group && (other.seq ?? 0) < (one.seq ?? 0));
      const source = earlier.at(-1) ?? all.find((other) => other.id !== one.id);
      if (source === undefined) return undefined;
      const { platforms } = await this.compile(source);
      const config = (platforms.find((other) => other.platform.architecture === architecture) ?? platforms[0])?.config;
      if (config === undefined) return undefined;
      const layers = config.history.filter((entry) => !entry.empty_layer);
      return { ...config, rootfs: { type: 'layers', diff_ids: layers.map(() => `sha256:${'0'.repeat(64)}` as const) } };
    };
    return compileDockerfile(new CorpusBridge(this.root, locals, digests, published), change(options));
  }
}
