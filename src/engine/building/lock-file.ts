import { basename, dirname } from 'node:path';
import {
  answerName,
  changesOf,
  formatLock,
  parseLock,
  type Pin,
  type PinChange,
  Pins,
  type RecordedAnswer,
  writeLockFile,
} from '../../pins/index.ts';
import type { Task } from '../../events/index.ts';
import { ContextTree } from '../../tree/index.ts';
import { fromErrno, TsbuildError } from '../../util/index.ts';
import { readLocalFile } from '../compile/local-files.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';

/** The lock file of a build, read. */
export interface OpenLock {
  readonly known: readonly Pin[];
  /** What web servers have answered to steps. */
  readonly network: readonly RecordedAnswer[];
  /** Whether there is a file. */
  readonly found: boolean;
}

/** What became of a lock file. */
export interface LockOutcome {
  readonly path: string;
  readonly changes: readonly PinChange[];
  /** What became of the recorded answers of servers, where such were written. */
  readonly answers?: {
    readonly total: number;
    readonly added: number;
    readonly changed: number;
    readonly removed: number;
  };
}

/**
 * Reads the lock file that a request names and lets the session stand on it.
 * @throws TsbuildError `TSB_LOCK` when there must be one; `TSB_USAGE`, `TSB_CONTEXT`, `TSB_PERMISSION` when it cannot be used
 */
export function openLock(session: Session, request: BuildRequest): OpenLock {
  const { lock } = request;
  if (!lock) return { known: [], network: [], found: false };
  const text = readLock(session, lock.path);
  const must = lock.policy.kind === 'locked' || (lock.named && lock.policy.kind === 'use');
  if (text === undefined && must)
    throw new TsbuildError('TSB_LOCK', `Cannot find the lock file ${JSON.stringify(lock.path)}`, {
      hint: 'build with --update-lock, which writes it',
    });
  const { sources: known, network } = text === undefined ? { sources: [], network: [] } : parseLock(text, lock.path);
  // What is asked anew is none of what a memory of the build could stand on.
  if (lock.policy.kind === 'update') session.witness.refuse();
  session.usePins(new Pins(known, lock.policy, basename(lock.path)));
  return { known, network, found: text !== undefined };
}

function readLock(session: Session, path: string): string | undefined {
  try {
    const dir = dirname(path);
    const tree = ContextTree.open(dir, { xattrs: false });
    session.witness.tree(dir, tree);
    const bytes = readLocalFile(tree, basename(path));
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
  } catch (error) {
    throw fromErrno(error, `Cannot read the lock file ${JSON.stringify(path)}`, 'TSB_CONTEXT');
  }
}

/**
 * Writes what the build found out, where that was asked for, and else says what the lock file lacks.
 * @returns undefined when nothing was to be written
 */
export function closeLock(
  session: Session,
  task: Task,
  request: BuildRequest,
  { known, network, found }: OpenLock,
  recorded?: { readonly records: boolean; readonly recording: { toWrite(): readonly RecordedAnswer[] } },
): LockOutcome | undefined {
  const { lock } = request;
  if (!lock) return undefined;
  const isUpdate = lock.policy.kind === 'update';
  if (!isUpdate && !recorded?.records) {
    // A file that is there for what servers answer need not say what images are.
    warnOfUnpinned(session, task, lock.path, found && (known.length > 0 || network.length === 0));
    return undefined;
  }
  const sources = isUpdate ? session.pins.toWrite() : known;
  const answers = recorded?.records ? recorded.recording.toWrite() : network;
  writeLockFile(lock.path, formatLock({ sources, network: answers }));
  if (!isUpdate) warnOfUnpinned(session, task, lock.path, known.length > 0);
  return {
    path: lock.path,
    changes: changesOf(known, sources),
    ...(recorded?.records ? { answers: compareAnswers(network, answers) } : {}),
  };
}

/** How many answers are new, others than before, and gone. */
function compareAnswers(
  before: readonly RecordedAnswer[],
  after: readonly RecordedAnswer[],
): NonNullable<LockOutcome['answers']> {
  const old = new Map(before.map((answer) => [answerName(answer), answer]));
  const kept = after.flatMap((answer) => {
    const was = old.get(answerName(answer));
    return was === undefined ? [] : [{ was, is: answer }];
  });
  return {
    total: after.length,
    added: after.length - kept.length,
    changed: kept.filter(({ was, is }) => was.digest !== is.digest || was.status !== is.status).length,
    removed: before.length - kept.length,
  };
}

function warnOfUnpinned(session: Session, task: Task, path: string, found: boolean): void {
  const lacking = found ? session.pins.unpinned() : [];
  if (lacking.length > 0)
    task.events({
      type: 'diagnostic',
      diagnostic: {
        code: 'NotLocked',
        severity: 'warning',
        message: `${basename(path)} does not name ${lacking
          .map(({ ref }) => ref)
          .toSorted()
          .join(', ')}; --update-lock adds what is new`,
        ranges: [],
      },
      at: session.now(),
    });
}

/** A failure for want of a network or of a pin: with everything that is missing. Others as they are. */
export function explainRefusals(session: Session, error: unknown): unknown {
  return session.pins.explain(session.offline?.explain(error) ?? error);
}
