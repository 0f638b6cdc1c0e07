import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, messageOf, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { Stalled, throwIfCanceled } from './http.ts';
import type { Limits } from './limits.ts';
import { byWayOf } from './proxy-address.ts';

const PASSING_ERRNOS = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'HPE_INVALID_EOF_STATE',
  // Of HTTP/2: a stream or a session that the server ended, and what undici makes of it.
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_HTTP2_STREAM_CANCEL',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_INVALID_STREAM',
  'ERR_HTTP2_INVALID_SESSION',
  'ERR_STREAM_PREMATURE_CLOSE',
  'UND_ERR_INFO',
]);

/** Whether a network error may go away by itself. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Stalled) return true;
  if (error instanceof AggregateError) return error.errors.some(isPassing);
  const errno = errnoOf(error);
  return errno !== undefined && PASSING_ERRNOS.has(errno);
}

/** Whether an answer asks to come again: overload, gateway trouble, rate limits. */
export function isPassingStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}

/** Failures of the network that undici and Node do not name well. */
const EXPLANATIONS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up now',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  ERR_HTTP2_STREAM_ERROR: 'the connection was cut',
  ERR_HTTP2_SESSION_ERROR: 'the connection was cut',
  ERR_STREAM_PREMATURE_CLOSE: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the body stalled',
  UND_ERR_HEADERS_OVERFLOW: 'the headers of the answer are too long',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS',
  EPROTO: 'the server does not speak TLS',
};

/** Of addresses that were tried in turn the first one's. */
function innerError(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as unknown) : error;
}

/** Whether a server was spoken to in TLS that does not speak it. */
export function isNotTls(error: unknown): boolean {
  return ['ERR_SSL_WRONG_VERSION_NUMBER', 'EPROTO'].includes(errnoOf(innerError(error)) ?? '');
}

/** The error for a host that cannot be reached or breaks the connection. */
export function networkError(doing: string, url: string, error: unknown): TsbuildError {
  if (error instanceof TsbuildError) return error;
  const inner = innerError(error);
  const why = EXPLANATIONS[errnoOf(inner) ?? ''] ?? messageOf(inner);
  const notTls = isNotTls(error);
  return new TsbuildError('TSB_NETWORK', `${doing}: ${url}: ${why}${byWayOf(error)}`, {
    cause: error,
    ...(notTls ? { hint: 'if it is a plain HTTP registry, set "insecure = true" for it in registries.conf' } : {}),
  });
}

/**
 * Waits before the next try: what the server asks for in `Retry-After`, else exponential back-off with jitter.
 * @param attempt tries made so far, from 1
 * @returns false, without waiting, when the server asks for more patience than the limits allow
 */
export async function waitForRetry(
  task: Task,
  limits: Limits,
  attempt: number,
  retryAfter: string | undefined,
  now: () => number,
): Promise<boolean> {
  // oxlint-disable-next-line no-restricted-properties -- clients that were refused together must not come back together
  const backoff = limits.backoffMs * 2 ** (attempt - 1) * (1 + Math.random() / 4);
  const asked = parseRetryAfter(retryAfter, now);
  if (asked !== undefined && asked > limits.maxRetryAfterMs) return false;
  try {
    await sleep(Math.max(asked ?? 0, backoff), undefined, { signal: task.signal });
  } catch {
    throwIfCanceled(task);
  }
  return true;
}

/** Milliseconds that a `Retry-After` header asks for (RFC 9110, 10.2.3: seconds or a date), undefined when it makes no sense. */
export function parseRetryAfter(header: string | undefined, now: () => number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = parseHttpDate(text, now);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now());
}

const RFC_850 = /^[A-Z][a-z]+day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}:\d{2}:\d{2}) GMT$/;
const ASCTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}:\d{2}:\d{2}) (\d{4})$/;

/** Milliseconds since the epoch, or NaN. There are three forms of a date, all of which clients must take (RFC 9110, 5.6.7). */
function parseHttpDate(text: string, now: () => number): number {
  const [, month, day, time, year] = ASCTIME.exec(text) ?? [];
  // It names no zone, and means GMT.
  if (year !== undefined) return Date.parse(`${day} ${month} ${year} ${time} GMT`);
  const [, day850, month850, digits, time850] = RFC_850.exec(text) ?? [];
  if (digits === undefined) return /^[A-Z][a-z]{2}, /.test(text) ? Date.parse(text) : Number.NaN;
  const thisYear = new Date(now()).getUTCFullYear();
  const year850 = Math.floor(thisYear / 100) * 100 + Number(digits);
  // One that seems to be more than 50 years ahead is of the last century.
  return Date.parse(`${day850} ${month850} ${year850 > thisYear + 50 ? year850 - 100 : year850} ${time850} GMT`);
}
