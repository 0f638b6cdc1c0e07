import { isTsbuildError, messageOf, type TsbuildError } from '../util/index.ts';

/** Status codes of gRPC that are used here (grpc.io, "Status codes and their use in gRPC"). */
export const statusCodes = {
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
} as const;

/** A call that is answered with a status instead of a message. */
export class CallError extends Error {
  readonly status: number;

  constructor(status: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CallError';
    this.status = status;
  }
}

/** What a call is answered with when `error` was thrown for it. Anything that is not meant for others keeps its stack to itself. */
export function statusOfError(error: unknown): CallError {
  if (error instanceof CallError) return error;
  if (isTsbuildError(error)) return new CallError(codeOf(error), error.message, error);
  return new CallError(statusCodes.unknown, messageOf(error), error);
}

function codeOf({ code }: TsbuildError): number {
  switch (code) {
    case 'TSB_NOT_FOUND':
      return statusCodes.notFound;
    case 'TSB_LLB':
    case 'TSB_USAGE':
    case 'TSB_DOCKERFILE':
      return statusCodes.invalidArgument;
    case 'TSB_PERMISSION':
      return statusCodes.permissionDenied;
    case 'TSB_CANCELED':
      return statusCodes.canceled;
    case 'TSB_TIMEOUT':
      return statusCodes.deadlineExceeded;
    case 'TSB_INTERNAL':
      return statusCodes.internal;
    default:
      return statusCodes.unknown;
  }
}

/** Characters that a header may have: a message that is longer, and its detail, is for a log and not for a header. */
const MAX_MESSAGE = 4096;

/** `grpc-message`: UTF-8 with all but printable ASCII percent-encoded (gRPC over HTTP/2, "Responses"). */
export function encodeStatusMessage(message: string): string {
  const text = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
  let encoded = '';
  for (const byte of Buffer.from(text.toWellFormed(), 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
