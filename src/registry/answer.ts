import { parseStrictJson, sanitizeLine, TsbuildError } from '../util/index.ts';

/** Largest error or token body that is read, in bytes. */
export const SMALL_BODY_LIMIT: number = 64 * 1024;

/** A URL for messages: without user info, and without the query, which may hold a signature. */
export function displayUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  416: 'Range Not Satisfiable',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  507: 'Insufficient Storage',
};

/**
 * The error for an answer that is not what was asked for.
 * @param doing e.g. `Cannot load manifest of "docker.io/library/alpine:latest"`
 */
export function answerError(
  doing: string,
  answer: { readonly method: string; readonly url: URL; readonly status: number; readonly body: Uint8Array },
): TsbuildError {
  const { status } = answer;
  const reason = REASONS[status];
  const said = serverMessage(answer.body);
  const text =
    `${answer.method} ${displayUrl(answer.url)} answered ${status}${reason === undefined ? '' : ` ${reason}`}` +
    (said === undefined ? '' : `: ${said}`);
  const isWriting = answer.method !== 'GET' && answer.method !== 'HEAD';
  const hint = isWriting ? writeHint(status, said ?? '') : undefined;
  switch (status) {
    case 404:
      return new TsbuildError('TSB_NOT_FOUND', `${doing}: not found (${text})`, {
        hint: hint ?? 'check the spelling of name and tag',
      });
    case 401:
    case 403:
      return new TsbuildError(
        'TSB_REGISTRY',
        `${doing}: access denied, the repository does not exist or may require authorization (${text})`,
        {
          hint:
            hint ??
            `check the spelling of the name; private repositories need "tsbuild login ${answer.url.host}", pushing too`,
        },
      );
    case 429:
      return new TsbuildError('TSB_REGISTRY', `${doing}: the registry limits requests (${text})`, {
        hint: 'wait, log in, or configure a mirror in registries.conf',
      });
    default:
      return new TsbuildError('TSB_REGISTRY', `${doing}: ${text}`, hint === undefined ? {} : { hint });
  }
}

/** What to do about a refused write, where the registry's own words or its status tell why. They have no codes for most of it. */
function writeHint(status: number, said: string): string | undefined {
  if (/quota|storage limit|limit exceeded|insufficient storage|no space/i.test(said) || status === 507)
    return 'the registry has no room for it: delete what is not needed there, or ask for a larger quota';
  if (/immutable|cannot be overwritten|already exists|ImageTagAlreadyExists/i.test(said))
    return 'tags cannot be moved there: push under another tag';
  if (/read.?only/i.test(said) || status === 405)
    return 'the registry takes no images: it is read-only, or a mirror of another one';
  if (status === 413) return 'the registry, or a proxy before it, takes no requests so large';
  return undefined;
}

/** The first message of a distribution error body, made safe to show. */
export function serverMessage(body: Uint8Array): string | undefined {
  try {
    const document = parseStrictJson(body, { what: 'error body', maxBytes: SMALL_BODY_LIMIT });
    const { errors } = document as { errors?: unknown };
    const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
    if (typeof first !== 'object' || first === null) return undefined;
    const { code, message } = first as { code?: unknown; message?: unknown };
    const text = typeof message === 'string' && message !== '' ? message : code;
    return typeof text === 'string' && text !== '' ? sanitizeLine(text, 200) : undefined;
  } catch {
    return undefined;
  }
}
