import { basePath, http, joinPath, local, marshal, scratch, type State, stateOf } from '../../llb/index.ts';
import { PatternMatcher } from '../../patterns/index.ts';
import { goBool, redactUrls, type SourceFile, TsbuildError, sniffCompression } from '../../util/index.ts';
import type { Bridge, FileOrigin } from '../bridge.ts';
import { parseIgnoreFile } from '../ignore/ignore-file.ts';
import { gitContext } from './git-context.ts';
import type { CompileOptions } from './options.ts';

const DEFAULT_FILENAME = 'Dockerfile';
const IGNORE_FILENAME = '.dockerignore';
/** Most bytes of a Dockerfile, and of the file that says what to ignore. */
export const MAX_DOCKERFILE_BYTES: number = 16 * 1024 * 1024;

/** The build context and the files that steer the build, read. */
export interface MainContext {
  readonly dockerfile: SourceFile;
  /** The bytes of the Dockerfile. */
  readonly data: Uint8Array;
  /** For local contexts that have an ignore file with patterns. */
  readonly ignore?: { readonly patterns: readonly string[]; readonly matcher: PatternMatcher; readonly name: string };
  /** The state of a context that is not a local directory. */
  readonly remote?: State;
  /** The state made by `remote`'s source alone, to ask how old it is. */
  readonly remoteSource?: State;
}

/**
 * Reads the Dockerfile, and its ignore file where the context is local.
 * @throws TsbuildError `TSB_NOT_FOUND` without Dockerfile, `TSB_IGNORE` for a malformed ignore file
 */
export async function loadMainContext(bridge: Bridge, options: CompileOptions): Promise<MainContext> {
  const remote = await openTree(bridge, options);
  const filename = remote?.filename ?? options.filename ?? DEFAULT_FILENAME;
  const found = await readDockerfile(bridge, options, remote?.state, filename);
  const ignore = await readIgnore(bridge, options, found.origin, filename);
  const state = remote && options.contextSubdir ? subdirectory(remote.state, options.contextSubdir) : remote?.state;
  const empty = options.context.kind === 'empty' ? scratch() : undefined;
  const context = state ?? empty;
  return {
    dockerfile: found.file,
    data: found.data,
    ...(ignore === undefined ? {} : { ignore }),
    ...(context === undefined ? {} : { remote: context }),
    ...(remote === undefined ? {} : { remoteSource: remote.source }),
  };
}

/** The state of the main context, where only `followPaths` of a local one are needed. */
export function contextState(
  context: MainContext,
  options: CompileOptions,
  followPaths: readonly string[] | undefined,
): State {
  if (context.remote !== undefined) return context.remote;
  const name = options.context.kind === 'local' ? options.context.name : 'context';
  return local(name, {
    name: '[internal] load build context',
    sharedKeyHint: name,
    excludePatterns: context.ignore?.patterns ?? [],
    ...(followPaths === undefined ? {} : { followPaths }),
  });
}

interface Remote {
  readonly state: State;
  readonly source: State;
  /** Set when the whole context is one file, which is the Dockerfile. */
  readonly filename?: string;
}

/** The context as a state where it is not a local directory that is read in place. */
async function openTree(bridge: Bridge, options: CompileOptions): Promise<Remote | undefined> {
  const { context } = options;
  if (context.kind === 'remote') return openRemote(bridge, options, context.url);
  if (context.kind === 'definition') {
    const state = stateOf(context.definition);
    return { state, source: state };
  }
  if (context.kind !== 'archive') return undefined;
  const name = '[internal] load build context';
  const source = local(context.local, { name, sharedKeyHint: context.local, followPaths: [context.path] });
  return { state: unpacked(source, context.path), source };
}

async function openRemote(bridge: Bridge, options: CompileOptions, url: string): Promise<Remote> {
  const keepGitDir = goBool(options.buildArgs.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? '');
  const mtime = options.buildArgs.get('SOURCE_DATE_EPOCH') ? 'commit' : undefined;
  const repository = gitContext(url, { keepGitDir, mtime });
  if (repository !== undefined) return { state: repository, source: repository };
  if (!/^https?:\/\//.test(url)) {
    throw new TsbuildError(
      'TSB_CONTEXT',
      `Cannot use build context ${JSON.stringify(redactUrls(url))}: it is neither a directory nor a URL`,
    );
  }
  const source = http(url, { filename: 'context', name: '[internal] load remote build context' });
  const head = await bridge.readFile({
    from: { kind: 'definition', definition: marshal(source, { platform: options.buildPlatform }) },
    path: 'context',
    name: '[internal] load remote build context',
    limit: 1024,
  });
  if (head === undefined)
    throw new TsbuildError('TSB_CONTEXT', `Cannot read build context ${JSON.stringify(redactUrls(url))}: it is empty`);
  if (!isArchive(head)) return { state: source, source, filename: 'context' };
  return { state: unpacked(source, 'context'), source };
}

/** An archive as a context is a tree: unpacking it is part of the graph, and so of its key. */
function unpacked(source: State, path: string): State {
  const from = { output: source.output, dir: '/' };
  return scratch().file([
    { kind: 'copy', from, src: joinPath('/', path), dest: '/', options: { attemptUnpack: true } },
  ]);
}

function subdirectory(state: State, path: string): State {
  return scratch().file([
    {
      kind: 'copy',
      from: { output: state.output, dir: state.meta.dir },
      src: path,
      dest: '/',
      options: { copyDirContentsOnly: true },
    },
  ]);
}

/** Whether the bytes start an archive: bzip2, gzip, xz, zstd, or a tar whose first header has a right checksum. */
export function isArchive(head: Uint8Array): boolean {
  if (sniffCompression(head) !== 'none') return true;
  if (head.length < 512) return false;
  const header = head.subarray(0, 512);
  const stored = Number.parseInt(
    Buffer.from(header.subarray(148, 156)).toString('latin1').replaceAll('\0', ' ').trim(),
    8,
  );
  let sum = 0;
  for (let index = 0; index < 512; index++) sum += index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0);
  return sum === stored;
}

/** The Dockerfile of the context, under either of its names. */
async function readDockerfile(
  bridge: Bridge,
  options: CompileOptions,
  remote: State | undefined,
  filename: string,
): Promise<{ readonly file: SourceFile; readonly data: Uint8Array; readonly origin: FileOrigin | undefined }> {
  if (options.dockerfile !== undefined) {
    return { file: options.dockerfile, data: Buffer.from(options.dockerfile.text), origin: undefined };
  }
  const origin: FileOrigin =
    remote !== undefined && options.dockerfileLocal === undefined
      ? { kind: 'definition', definition: marshal(remote, { platform: options.buildPlatform }) }
      : { kind: 'local', name: options.dockerfileLocal ?? 'dockerfile' };
  const name = `[internal] load build definition from ${filename}`;
  const names = [filename];
  if (basePath(filename) === DEFAULT_FILENAME) names.push(joinPath(filename, '..', DEFAULT_FILENAME.toLowerCase()));
  for (const path of names) {
    const data = await bridge.readFile({ from: origin, path, name });
    if (data === undefined) continue;
    if (data.length > MAX_DOCKERFILE_BYTES) {
      throw new TsbuildError(
        'TSB_DOCKERFILE',
        `Cannot read ${JSON.stringify(path)}: it has ${data.length} bytes, more than ${MAX_DOCKERFILE_BYTES}`,
      );
    }
    return { file: { name: filename, text: Buffer.from(data).toString('utf8') }, data, origin };
  }
  throw new TsbuildError('TSB_NOT_FOUND', `failed to read dockerfile: open ${filename}: no such file or directory`, {
    hint: 'name it with -f, or give the directory that has it as the build context',
  });
}

/** The ignore file: one beside the Dockerfile, named after it, wins over the context's. */
async function readIgnore(
  bridge: Bridge,
  options: CompileOptions,
  origin: FileOrigin | undefined,
  filename: string,
): Promise<MainContext['ignore']> {
  if (options.context.kind !== 'local') return undefined;
  const beside = `${filename}.dockerignore`;
  let data = origin && (await bridge.readFile({ from: origin, path: beside, name: '[internal] load .dockerignore' }));
  let name = beside;
  if (data === undefined) {
    name = IGNORE_FILENAME;
    const from: FileOrigin = { kind: 'local', name: options.context.name };
    data = await bridge.readFile({ from, path: IGNORE_FILENAME, name: '[internal] load .dockerignore' });
  }
  if (data === undefined || data.length === 0) return undefined;
  const patterns = parseIgnoreFile({ name, text: Buffer.from(data).toString('utf8') });
  return patterns.length === 0 ? undefined : { patterns, matcher: new PatternMatcher(patterns), name };
}
