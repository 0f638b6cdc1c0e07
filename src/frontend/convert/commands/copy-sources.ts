import { basePath, type CopyOptions, git, http, joinPath, type PendingAction, type State } from '../../../llb/index.ts';
import { hasWildcards } from '../../../patterns/index.ts';
import { isDigest, redactUrls, TsbuildError } from '../../../util/index.ts';
import type { AddCommand, CopyCommand } from '../../dockerfile/types.ts';
import { dockerfileError } from '../../dockerfile/failure.ts';
import { goQuote } from '../../dockerfile/text.ts';
import { lintCopySource } from '../../lint/variable-rules.ts';
import { type GitRef, parseGitRef } from '../git-ref.ts';
import type { Lowering } from '../lowering.ts';
import { normalizePath } from '../paths.ts';
import { surprises } from '../surprises.ts';

/** What the sources of one COPY or ADD have in common. */
export interface CopyRequest {
  readonly lowering: Lowering;
  readonly command: AddCommand | CopyCommand;
  /** Where local paths are taken from. */
  readonly source: State;
  readonly fromContext: boolean;
  readonly os: string;
  readonly dest: string;
  readonly name: string;
  readonly options: CopyOptions;
}

/** How a source is brought in. */
export type SourceKind =
  | { readonly kind: 'git'; readonly ref: GitRef }
  | { readonly kind: 'http' }
  | { readonly kind: 'local' };

/** What a source of ADD is. `github.com/foo/bar` counts as a path. */
export function sourceKind(source: string): SourceKind {
  const ref = parseGitRef(source);
  if (ref !== undefined && !ref.likeLocalPath) return { kind: 'git', ref };
  return /^https?:\/\//.test(source) ? { kind: 'http' } : { kind: 'local' };
}

/**
 * ADD of a git repository: a copy of the root of its tree.
 * @throws TsbuildError `TSB_DOCKERFILE` with BuildKit's text
 */
export function gitAction(request: CopyRequest, ref: GitRef): PendingAction {
  const { command, lowering } = request;
  if (command.type !== 'add') throw dockerfileError("source can't be a git ref for COPY");
  if (command.keepGitDir !== undefined && ref.keepGitDir !== undefined && command.keepGitDir !== ref.keepGitDir) {
    throw dockerfileError('inconsistent keep-git-dir configuration');
  }
  if (command.checksum !== '' && ref.checksum !== '' && command.checksum !== ref.checksum) {
    throw dockerfileError(`checksum mismatch ${goQuote(command.checksum)} != ${goQuote(ref.checksum)}`);
  }
  const checksum = ref.checksum || command.checksum;
  if (/^(git|http):/.test(ref.remote.url) && checksum === '') {
    const linter = lowering.linter.scoped(command.comments);
    linter.report(surprises.UnencryptedGitSource, command.ranges, [redactUrls(ref.remote.url)]);
  }
  const tree = git(ref.remote, {
    ref: ref.ref,
    subdir: ref.subdir,
    keepGitDir: ref.keepGitDir ?? command.keepGitDir,
    checksum,
    skipSubmodules: ref.submodules === false,
    fetchByCommit: ref.fetchByCommit,
    name: request.name,
  });
  return {
    kind: 'copy',
    from: { output: tree.output, dir: '/' },
    src: '/',
    dest: request.dest,
    options: request.options,
  };
}

/**
 * ADD of a URL: a copy of the one file that is downloaded; it is unpacked only where `--unpack` says so.
 * @throws TsbuildError `TSB_DOCKERFILE` with BuildKit's text
 */
export function httpAction(request: CopyRequest, url: string): PendingAction {
  const { command } = request;
  if (command.type !== 'add') throw dockerfileError("source can't be a URL for COPY");
  if (command.checksum !== '') checkDigest(command.checksum);
  const filename = urlFilename(url);
  const file = http(url, { filename, checksum: command.checksum, name: request.name });
  return {
    kind: 'copy',
    from: { output: file.output, dir: '/' },
    src: filename,
    dest: request.dest,
    options: { ...request.options, attemptUnpack: command.unpack ?? false },
  };
}

const SHA256_DIGITS = 64;

function checkDigest(checksum: string): void {
  if (isDigest(checksum)) return;
  const [, algorithm, hex = ''] = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)$/.exec(checksum) ?? [];
  if (algorithm === undefined) throw dockerfileError('invalid checksum digest format');
  if (algorithm === 'sha256')
    throw dockerfileError(`invalid checksum digest ${hex.length === SHA256_DIGITS ? 'format' : 'length'}`);
  throw new TsbuildError('TSB_DOCKERFILE', 'unsupported digest algorithm', { hint: 'give the sha256 of the file' });
}

/** The name under which a download is stored: the last element of the URL's path. */
export function urlFilename(url: string): string {
  const path = /^[^:]+:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? '';
  let decoded = path;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return '__unnamed__';
  }
  const base = basePath(decoded);
  return base === '.' || base === '/' ? '__unnamed__' : base;
}

/** COPY, and ADD of a path: from the context, a stage, an image or a named context. Only ADD unpacks archives. */
export function localAction(request: CopyRequest, source: string): PendingAction {
  const { command, os } = request;
  const { ignore, linter } = request.lowering;
  if (request.fromContext && ignore !== undefined) {
    const verb = command.type === 'add' ? 'Add' : 'Copy';
    lintCopySource(linter.scoped(command.comments), command.ranges, verb, source, ignore);
  }
  const parents = command.type === 'copy' && command.parents ? splitParents(source, os) : undefined;
  return {
    kind: 'copy',
    from: { output: request.source.output, dir: request.source.meta.dir },
    src: normalizePath('/', parents?.root ?? source, os, false),
    dest: request.dest,
    options: {
      ...request.options,
      followSymlinks: true,
      copyDirContentsOnly: true,
      includePatterns: parents?.include ?? [],
      requiredPaths: parents?.required ?? [],
      attemptUnpack: command.type === 'add' ? (command.unpack ?? true) : false,
      allowWildcard: true,
      allowEmptyWildcard: true,
    },
  };
}

/**
 * With `--parents` the source becomes a pattern from the root, or from the pivot `/./`, so that directories stay. What has no
 * wildcard must exist.
 */
function splitParents(
  source: string,
  os: string,
): { readonly root: string; readonly include: readonly string[]; readonly required: readonly string[] } {
  const pivot = source.indexOf('/./');
  const root = pivot < 0 ? '/' : source.slice(0, pivot);
  const pattern = normalizePath('/', pivot < 0 ? source : source.slice(pivot + 3), os, false);
  const literal = !hasWildcards(root) && !hasWildcards(pattern);
  return {
    root,
    include: [pattern.replace(/^\//, '')],
    required: literal ? [normalizePath('/', joinPath(root, pattern), os, false)] : [],
  };
}
