import { apiHost } from './endpoint.ts';
import { parseStrictJson, sanitizeLine, TsbuildError } from '../../util/index.ts';

/** What `tsbuild login` means without a name: where docker.io answers. */
const DEFAULT_API_HOST = apiHost('docker.io');

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
  answer: {
    readonly method: string;
    readonly url: URL;
    readonly status: number;
    readonly body: Uint8Array;
    readonly sent: readonly string[];
  },
): TsbuildError {
  const { status } = answer;
  const reason = REASONS[status];
  const said = serverMessage(answer.body, answer.sent);
  const lost = lostBlob(answer.body);
  const text =
    `${answer.method} ${displayUrl(answer.url)} answered ${status}${reason === undefined ? '' : ` ${reason}`}` +
    (said === undefined ? '' : `: ${said}`);
  const isWriting = answer.method !== 'GET' && answer.method !== 'HEAD';
  const hint = isWriting ? (lost ?? writeHint(status, said ?? '')) : undefined;
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
            `check the spelling of the name; private repositories need "tsbuild login${answer.url.host === DEFAULT_API_HOST ? '' : ` ${answer.url.host}`}", pushing too`,
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

/** What to do where a manifest was refused since a blob of it is gone again. Registries answer it with 404 or 400. */
function lostBlob(body: Uint8Array): string | undefined {
  const { code, detail } = firstError(body) ?? {};
  if (code !== 'MANIFEST_BLOB_UNKNOWN') return undefined;
  const [digest] = /sha256:[0-9a-f]{64}/.exec(JSON.stringify(detail) ?? '') ?? [];
  return `the registry does not have ${digest === undefined ? 'a blob of the image' : `blob ${digest}`} any more, which it had when it was \
asked, as garbage collection there does it: push again, it is sent then`;
}

/** What a server was sent to know the user by: the header's value, for Basic also what it encodes, and tokens in a form. */
export function sentSecrets(authorization: string | undefined, form: unknown): readonly string[] {
  const header = authorization?.replace(/^\S+\s+/, '') ?? '';
  const basic = /^basic\s/i.test(authorization ?? '') ? Buffer.from(header, 'base64').toString() : '';
  const fields = typeof form === 'string' ? [...new URLSearchParams(form)] : [];
  const secret = fields.filter(([name]) => name === 'refresh_token' || name === 'password').map(([, value]) => value);
  // The longest first, so that no part of one is left of another.
  return [header, basic, basic.slice(basic.indexOf(':') + 1), ...secret]
    .filter((value) => value.length >= SHORTEST_HIDDEN)
    .toSorted((a, b) => b.length - a.length);
}

/** Shorter ones would make a message unreadable, as with the secrets of a build. */
const SHORTEST_HIDDEN = 4;

/**
 * The first message of a distribution error body, made safe to show.
 * @param sent what must not be in it: some servers repeat what they refuse, and messages end in the logs of a CI (SEC-08)
 */
export function serverMessage(body: Uint8Array, sent: readonly string[]): string | undefined {
  const { code, message } = firstError(body) ?? {};
  const text = typeof message === 'string' && message !== '' ? message : code;
  if (typeof text !== 'string' || text === '') return undefined;
  return sanitizeLine(
    sent.reduce((shown, secret) => shown.replaceAll(secret, '***'), text),
    200,
  );
}

/** The first error of a distribution error body (distribution-spec, "Error Codes"); undefined where it has none. */
function firstError(
  body: Uint8Array,
): { readonly code?: unknown; readonly message?: unknown; readonly detail?: unknown } | undefined {
  try {
    const document = parseStrictJson(body, { what: 'error body', maxBytes: SMALL_BODY_LIMIT });
    const { errors } = document as { errors?: unknown };
    const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
    return typeof first === 'object' && first !== null ? first : undefined;
  } catch {
    return undefined;
  }
}
