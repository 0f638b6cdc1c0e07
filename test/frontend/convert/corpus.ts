import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Bridge,
  compileDockerfile,
  type CompileOptions,
  type CompileResult,
} from '../../../src/frontend/index.ts';
import { parsePlatform, type ImageConfig } from '../../../src/image/index.ts';
import { parseSize, type Digest, TsbuildError } from '../../../src/util/index.ts';

const DATA: string = fileURLToPath(new URL('../../../../shared/conformance/', import.meta.url));

/** Whether the conformance data are there. */
export const hasCorpus: boolean = existsSync(join(DATA, 'cases.tar.xz'));

export interface Case {
  readonly id: string;
  readonly dir: string;
  readonly group?: string;
  readonly seq?: number;
  readonly context?: string;
  readonly contextKind?: string;
  readonly dockerfile?: string;
  readonly dockerfileLocal?: boolean;
  readonly target?: string;
  readonly buildArgs?: Readonly<Record<string, string | null>>;
  readonly env?: Readonly<Record<string, string | null>>;
  readonly extraFlags?: readonly string[];
  readonly publishAs?: string;
  readonly expect?: unknown;
  readonly expectedWarnings?:
    | 'none'
    | readonly { readonly rule: string; readonly detail: string; readonly line: number }[];
}

/** Unpacks the cases once per version of the archive, to a folder under the temp directory. */
export function unpackCorpus(): string {
  const archive = join(DATA, 'cases.tar.xz');
  const root = join(tmpdir(), `tsbuild-frontend-corpus-${statSync(archive).size}`);
  if (!existsSync(root)) {
    const partial = `${root}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    execFileSync('tar', [
      '-xJf',
      archive,
      '-C',
      partial,
      '--exclude=files.json.gz',
      'cases',
      'contexts',
      'bases',
      'expected',
    ]);
    renameSync(partial, root);
  }
  return root;
}

export function loadCase(root: string, id: string): Case {
  const dir = join(root, 'cases', id);
  return { ...(JSON.parse(readFileSync(join(dir, 'case.json'), 'utf8')) as Case), id, dir };
}

const BARE_FLAGS = new Set(['--no-cache', '--squash', '--rewrite-timestamp']);

/** The flags of a case as BuildKit's client understands them, with the local directories by name. */
export function caseOptions(one: Case): {
  readonly options: CompileOptions;
  readonly locals: ReadonlyMap<string, string>;
} {
  const locals = new Map<string, string>();
  const buildArgs = new Map<string, string>();
  const labels = new Map<string, string>();
  const namedContexts = new Map<string, string>();
  const extra: { -readonly [K in keyof CompileOptions]?: CompileOptions[K] } = {};
  const contextDir = normalize(join(one.dir, one.context ?? 'context'));
  const remote = one.contextKind === 'git' || one.contextKind === 'http';
  if (!remote) {
    locals.set('context', contextDir);
    locals.set('dockerfile', one.dockerfile === undefined ? contextDir : dirname(join(one.dir, one.dockerfile)));
    if (one.dockerfile !== undefined) extra.filename = basename(one.dockerfile);
  } else if (one.dockerfile !== undefined && one.dockerfileLocal) {
    locals.set('dockerfile', dirname(join(one.dir, one.dockerfile)));
    extra.dockerfileLocal = 'dockerfile';
    extra.filename = basename(one.dockerfile);
  } else if (one.dockerfile !== undefined) extra.filename = one.dockerfile;
  for (const [key, value] of Object.entries(one.buildArgs ?? {})) {
    const given = value ?? one.env?.[key];
    if (typeof given === 'string') buildArgs.set(key, given);
  }
  const flags = one.extraFlags ?? [];
  const hosts: { host: string; ip: string }[] = [];
  const ulimits: { name: string; soft: number; hard: number }[] = [];
  let platforms: CompileOptions['platforms'] = [];
  for (let index = 0; index < flags.length; index++) {
    const flag = flags[index] ?? '';
    const value = BARE_FLAGS.has(flag) ? '' : (flags[++index] ?? '').replaceAll('{case}', one.dir);
    const [key, rest] = cut(value, '=');
    if (flag === '--label') labels.set(key, rest);
    else if (flag === '--platform') platforms = value.split(',').map((text) => parsePlatform(text));
    else if (flag === '--no-cache') extra.noCache = true;
    else if (flag === '--no-cache-filter') extra.noCache = value.split(',');
    else if (flag === '--add-host') {
      const [names, ip] = cut(value, value.includes(':') ? ':' : '=');
      for (const host of names.split(';')) hosts.push({ host, ip });
    } else if (flag === '--ulimit') {
      const [soft = '', hard = soft] = rest.split(':');
      ulimits.push({ name: key, soft: Number(soft), hard: Number(hard) });
    } else if (flag === '--shm-size') extra.shmSize = parseSize(value);
    else if (flag === '--network' && (value === 'none' || value === 'host')) extra.network = value;
    else if (flag === '--hostname') extra.hostname = value;
    else if (flag === '--cgroup-parent') extra.cgroupParent = value;
    else if (flag === '--source-date-epoch') buildArgs.set('SOURCE_DATE_EPOCH', value);
    else if (flag === '--build-context') {
      if (/^(docker-image|https?|git|ssh|oci-layout):\/\//.test(rest) || rest.startsWith('git@'))
        namedContexts.set(key, rest);
      else {
        const local = `ctx-${key.replaceAll(/\W/g, '_')}`;
        locals.set(local, rest);
        namedContexts.set(key, `local:${local}`);
      }
    }
  }
  const options: CompileOptions = {
    ...extra,
    context: remote ? { kind: 'remote', url: one.context ?? '' } : { kind: 'local', name: 'context' },
    platforms,
    buildPlatform: { os: 'linux', architecture: 'amd64' },
    buildArgs,
    labels,
    namedContexts,
    ...(one.target === undefined ? {} : { target: one.target }),
    extraHosts: hosts,
    ulimits,
  };
  return { options, locals };
}

function cut(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

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
