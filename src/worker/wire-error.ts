import { type ErrorCode, errnoOf, fromErrno, messageOf, TsbuildError } from '../util/index.ts';
import type { WireError } from './protocol.ts';

/** What the machine has no more of, whose fault that is not. */
const LIMITS: Readonly<Record<string, string>> = {
  EAGAIN: 'no more processes or threads may be started',
  EMFILE: 'no more files may be opened',
  ENFILE: 'the machine has too many open files',
  ENOMEM: 'there is not enough memory',
};

/** An error as plain data. */
export function toWire(error: unknown): WireError {
  if (!(error instanceof TsbuildError)) {
    const errno = errnoOf(error) ?? '';
    // What a system call failed of is its errno; that of a thread which could not start is in the message alone, and others quote paths there.
    const exhausted = /\bE(?:AGAIN|MFILE|NFILE|NOMEM)\b/.exec(
      /^E[A-Z0-9]+$/.test(errno) ? errno : messageOf(error),
    )?.[0];
    if (/^(ENOSPC|EDQUOT)$/.test(errno)) return toWire(fromErrno(error, 'Cannot write in the store', 'TSB_STORE'));
    if (exhausted !== undefined) {
      return {
        code: 'TSB_SANDBOX',
        message: `The worker cannot go on: ${LIMITS[exhausted] ?? ''} (${exhausted})`,
        hint: 'see "ulimit -a" and the limits of the container or service, or lower --jobs',
      };
    }
    const detail = error instanceof Error && error.stack !== undefined ? { detail: error.stack } : {};
    return { code: 'TSB_INTERNAL', message: `The worker failed: ${messageOf(error)}`, ...detail };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.code === 'TSB_INTERNAL' && error.stack !== undefined ? { detail: error.stack } : {}),
  };
}

/** The error that was sent. */
export function fromWire(wire: WireError): TsbuildError {
  return new TsbuildError(wire.code as ErrorCode, wire.message, {
    ...(wire.hint === undefined ? {} : { hint: wire.hint }),
    ...(wire.detail === undefined ? {} : { cause: new Error(wire.detail) }),
  });
}
