import { exhausted } from './disk-space.ts';
import type { SourceRange } from './source.ts';

/**
 * Every kind of failure that tsbuild reports. docs/errors.md has a line for each; scripts may rely on them.
 * The exit code follows from the code, see `exitCodeOf`.
 */
export type ErrorCode =
  | 'TSB_USAGE' // the command line is wrong, or a secret or key that it names
  | 'TSB_DOCKERFILE' // the Dockerfile is wrong: parse, instruction or lowering error
  | 'TSB_CONTEXT' // the build context cannot be read
  | 'TSB_IGNORE' // the ignore file is wrong
  | 'TSB_NOT_FOUND' // a file, image, blob or stage that does not exist
  | 'TSB_STEP' // a RUN step ended with a failure
  | 'TSB_SANDBOX' // the sandbox could not start
  | 'TSB_CHANGED' // a file changed while it was read, or before it was rewritten
  | 'TSB_DIGEST' // bytes that do not match their digest or size, or a malformed digest
  | 'TSB_ARCHIVE' // a tar or compressed stream that is damaged or hostile
  | 'TSB_IMAGE' // a manifest, index, config or layout that is malformed
  | 'TSB_REGISTRY' // a registry answered with an error
  | 'TSB_NETWORK' // a host could not be reached
  | 'TSB_LLB' // a malformed build graph
  | 'TSB_STORE' // the store cannot be used
  | 'TSB_NO_SPACE' // the disk is full
  | 'TSB_PERMISSION' // the operating system refused access
  | 'TSB_EXPORT' // the result could not be written
  | 'TSB_LINT' // a lint rule was violated and errors are on
  | 'TSB_LOCK' // a lock file does not name what the build needs, or it cannot be had as it says
  | 'TSB_POLICY' // a source policy denies a source, or cannot be applied to it
  | 'TSB_SIGNATURE' // a source has not the signature that it must have
  | 'TSB_TIMEOUT' // a build or a step took longer than it may
  | 'TSB_CANCELED' // interrupted
  | 'TSB_INTERNAL'; // a fault of tsbuild itself

/** What an error carries beside its code and message. */
export interface ErrorOptions {
  /** What the user can do about it: one sentence or a command to type. */
  readonly hint?: string;
  /** Where in a source file the cause is. */
  readonly ranges?: readonly SourceRange[];
  readonly cause?: unknown;
}

/** Characters of a message: what it quotes comes from Dockerfiles, images and servers, and may be of any length. */
const MAX_MESSAGE = 8192;

/**
 * The one error type that reaches the user. The message says what was being done, to what, and why it failed:
 * capital first letter, no full stop, values quoted. Credentials never belong in it.
 */
export class TsbuildError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly ranges: readonly SourceRange[];

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(
      message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = 'TsbuildError';
    this.code = code;
    this.hint = options.hint;
    this.ranges = options.ranges ?? [];
  }
}

/** Whether `error` is a TsbuildError, of the given code if one is named. */
export function isTsbuildError(error: unknown, code?: ErrorCode): error is TsbuildError {
  return error instanceof TsbuildError && (code === undefined || error.code === code);
}

/** The same failure, with the place in a source file that it has not got yet; others, and what has one, as they are. */
export function atPlace(error: unknown, ranges: readonly SourceRange[]): unknown {
  if (!isTsbuildError(error) || error.ranges.length > 0 || ranges.length === 0) return error;
  return new TsbuildError(error.code, error.message, {
    ranges,
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

/** The process exit code for an error: 2 wrong usage, 130 interrupted, 124 out of time (that of timeout(1)), 1 everything else. */
export function exitCodeOf(thrown: unknown): number {
  const error = firstError(thrown);
  if (isTsbuildError(error, 'TSB_USAGE')) return 2;
  if (isTsbuildError(error, 'TSB_CANCELED')) return 130;
  if (isTsbuildError(error, 'TSB_TIMEOUT')) return 124;
  return 1;
}

/** What went wrong first, where giving things back failed on top of it: `using` wraps the one in the other. */
export function firstError(error: unknown): unknown {
  let first = error;
  while (first instanceof SuppressedError) first = first.suppressed as unknown;
  return first;
}

/** Why something failed, without what was being done ("Cannot read x: it is no number"): for whoever says that in other words. */
export function reasonOf(error: unknown): string {
  const message = messageOf(error);
  const at = message.indexOf(': ');
  return at < 0 ? message : message.slice(at + 2);
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The same with what may help, for warnings, which have no line of their own for that. */
export function messageWithHint(error: unknown): string {
  return error instanceof TsbuildError && error.hint !== undefined
    ? `${error.message} (${error.hint})`
    : messageOf(error);
}

/** The errno name (`ENOENT`, ...) of a Node system error, if it is one. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || typeof error.code !== 'string')
    return undefined;
  // libuv has no name for it.
  return error.code === 'Unknown system error -122' ? 'EDQUOT' : error.code;
}

/** What an errno means, whatever was being done; `hint` where what helps does not depend on that either. */
interface Reason {
  readonly code?: ErrorCode;
  readonly text: string;
  readonly hint?: string;
}

const FREE_SPACE = 'free space there, or write to another disk; "tsbuild prune" frees what the store has no use for';
const OPEN_FILES = 'raise the limit of open files ("ulimit -n", or that of the container or service), or lower --jobs';

const REASONS: Readonly<Record<string, Reason>> = {
  ENOENT: { code: 'TSB_NOT_FOUND', text: 'it does not exist' },
  ENOTDIR: { code: 'TSB_NOT_FOUND', text: 'a parent is not a directory' },
  EISDIR: { text: 'it is a directory' },
  EEXIST: { text: 'something else of that name is there' },
  ENOTEMPTY: { text: 'it is a directory that is not empty' },
  EBUSY: { text: 'it is in use' },
  ETXTBSY: { text: 'it is a program that runs' },
  EACCES: { code: 'TSB_PERMISSION', text: 'permission denied' },
  EPERM: { code: 'TSB_PERMISSION', text: 'the operation is not permitted' },
  EROFS: { code: 'TSB_PERMISSION', text: 'the file system is read-only' },
  ENOSPC: { code: 'TSB_NO_SPACE', text: 'no space left on device', hint: FREE_SPACE },
  EDQUOT: { code: 'TSB_NO_SPACE', text: 'the disk quota is used up', hint: FREE_SPACE },
  EFBIG: { text: 'the file is too large', hint: 'see "ulimit -f" and what the file system can hold' },
  EMFILE: { code: 'TSB_INTERNAL', text: 'too many files are open', hint: OPEN_FILES },
  ENFILE: { text: 'too many files are open on this machine', hint: OPEN_FILES },
  ELOOP: { text: 'too many symbolic links lead to it' },
  ENAMETOOLONG: { text: 'its name is too long' },
  EIO: { text: 'the disk reports an error (EIO)', hint: 'the disk may be failing: see what "dmesg" says' },
};

/** What {@link fromErrno} makes of an error besides its reason. */
export interface ErrnoOptions extends ErrorOptions {
  /** What helps against single errnos here, before all else. `hint` is for those that neither these nor the common table know. */
  readonly hints?: Readonly<Record<string, string>>;
  /** Where it was to be written, if the error does not say: a full disk is told apart from one that takes no more files. */
  readonly path?: string;
}

/**
 * Turns a Node system error into a TsbuildError that says what was being done.
 * @param doing the action and its object, e.g. `Cannot read build context "/src"`
 * @param fallback the code for an errno without one of its own
 */
export function fromErrno(
  error: unknown,
  doing: string,
  fallback: ErrorCode,
  { hint: usual, hints = {}, path, ...options }: ErrnoOptions = {},
): TsbuildError {
  if (isTsbuildError(error)) return error;
  const errno = errnoOf(error) ?? '';
  const known = REASONS[errno];
  const hint = hints[errno] ?? known?.hint ?? usual;
  const more = errno === 'ENOSPC' && exhausted(path ?? pathOf(error)) === 'inodes' ? NO_INODES : '';
  return new TsbuildError(known?.code ?? fallback, `${doing}: ${known?.text ?? messageOf(error)}${more}`, {
    ...options,
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

const NO_INODES = ' (it has bytes left, but can hold no more files: "df -i" shows it)';

/** The file that a system error names. */
function pathOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'path' in error && typeof error.path === 'string'
    ? error.path
    : '/';
}
