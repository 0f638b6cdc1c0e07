import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { CompileOptions } from '../../src/frontend/index.ts';
import { parsePlatform } from '../../src/image/index.ts';
import { type Digest, parseSize } from '../../src/util/index.ts';

const DATA: string = fileURLToPath(new URL('../../../shared/conformance/', import.meta.url));

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
  /** A name of an image by which later cases of the group, or others, know the result. */
  readonly publishAs?: string;
  /** What a web server at the address that the case names has: a directory, or files by their paths. */
  readonly http?: readonly {
    readonly dir?: string;
    readonly routes?: Readonly<Record<string, { readonly file: string; readonly contentEncoding?: string }>>;
  }[];
  /** Files that are not compared (`attr` is `*`), or not in all. */
  readonly ignore?: readonly { readonly path: string; readonly attr: string }[];
  /** Whether what is in files is another thing each time. */
  readonly unstable?: boolean;
  readonly expect?: unknown;
  readonly expectedWarnings?:
    | 'none'
    | readonly { readonly rule: string; readonly detail: string; readonly line: number }[];
}

/** Unpacks the cases once per version of the archive, to a folder under the temp directory. */
export function unpackCorpus(): string {
  const archive = join(DATA, 'cases.tar.xz');
  const root = join(tmpdir(), `tsbuild-conformance-cases-${statSync(archive).size}`);
  if (!existsSync(root)) {
    const partial = `${root}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    execFileSync('tar', ['-xJf', archive, '-C', partial, 'cases', 'contexts', 'bases', 'expected']);
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

/** A text before and after the first separator. */
export function cut(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** An op of a recorded graph. */
export interface RecordedOp {
  /** As protobuf's JSON has it; `inputs` are positions in the list of ops, each with a number of an output. */
  readonly op: Record<string, unknown>;
  readonly name?: string;
  readonly ignoreCache?: boolean;
  /** Not where it is random. */
  readonly digest?: Digest;
}

/** The graphs that BuildKit's frontend made of cases, by the ids of these. */
export function recordedGraphs(): ReadonlyMap<string, readonly RecordedOp[]> {
  const lines = gunzipSync(readFileSync(join(DATA, 'llb.jsonl.gz')))
    .toString()
    .trim()
    .split('\n');
  return new Map(
    lines.map((line) => {
      const { case: name, ops } = JSON.parse(line) as { case: string; ops: RecordedOp[] };
      return [name, ops];
    }),
  );
}
