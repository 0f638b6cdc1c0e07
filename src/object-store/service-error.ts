import type { HttpAnswer } from '../registry/index.ts';
import { parseStrictJson, sanitizeLine, TsbuildError } from '../util/index.ts';
import { textOf } from './xml.ts';

/** An error as a service tells it. */
export interface Said {
  readonly status: number;
  /** Its name for the error, e.g. `SignatureDoesNotMatch`; empty where it has none. */
  readonly code: string;
  /** Safe to show; empty where it says nothing. */
  readonly message: string;
  /** A part of the error by name, safe to show: a header of the answer, else an element of an XML document. */
  readonly field: (name: string) => string | undefined;
}

/** Shorter secrets would make a message unreadable; no service has such. */
const SHORTEST_HIDDEN = 4;

/**
 * Reads an error: XML of S3 and Azure, JSON of Twirp, or nothing.
 * @param secrets what must not be in it: some services repeat what they refuse, and messages end in the logs of a CI
 */
export function saidBy(
  answer: Pick<HttpAnswer, 'status' | 'header'>,
  body: Uint8Array,
  secrets: readonly string[],
): Said {
  const longestFirst = secrets
    .filter(({ length }) => length >= SHORTEST_HIDDEN)
    .toSorted((a, b) => b.length - a.length);
  const shown = (text: string): string =>
    sanitizeLine(
      longestFirst.reduce((masked, secret) => masked.replaceAll(secret, '***'), text),
      300,
    );
  const text = Buffer.from(body).toString();
  const isXml = /^\s*<\??\w/.test(text.replace('\ufeff', ''));
  const json = isXml ? undefined : jsonOf(body);
  const code = (isXml ? textOf(text, 'Code') : (json?.code ?? answer.header('x-ms-error-code'))) ?? '';
  const message = (isXml ? textOf(text, 'Message') : json?.message) ?? '';
  return {
    status: answer.status,
    code: /^[\w.-]{1,60}$/.test(code) ? shown(code) : '',
    message: shown(message),
    field: (name) => {
      const value = answer.header(name) ?? (isXml ? textOf(text, name) : undefined);
      return value === undefined || value === '' ? undefined : shown(value);
    },
  };
}

/** `{"code":"already_exists","msg":"…"}` as Twirp has it, or `message`. */
function jsonOf(body: Uint8Array): { readonly code?: string; readonly message?: string } | undefined {
  try {
    const document = parseStrictJson(body, { what: 'an error' }) as Readonly<Record<string, unknown>> | null;
    const text = (key: string): string | undefined => {
      const value = document?.[key];
      return typeof value === 'string' ? value : undefined;
    };
    const [code, message] = [text('code'), text('msg') ?? text('message')];
    return { ...(code === undefined ? {} : { code }), ...(message === undefined ? {} : { message }) };
  } catch {
    return undefined;
  }
}

/** The error that the user sees. The query of the address is left out: it may be a signature. */
export function serviceError(
  doing: string,
  answer: Pick<HttpAnswer, 'method' | 'url' | 'status'>,
  said: Said,
  hintFor: (said: Said) => string | undefined,
): TsbuildError {
  const told = [said.code, said.message].filter((part) => part !== '').join(': ');
  const text = `${doing}: ${answer.method} ${answer.url.origin}${answer.url.pathname} answered ${answer.status}${told === '' ? '' : ` ${told}`}`;
  const hint = hintFor(said) ?? usualHint(said.status);
  const code = answer.status === 404 ? 'TSB_NOT_FOUND' : 'TSB_REGISTRY';
  return new TsbuildError(code, text, hint === undefined ? {} : { hint });
}

function usualHint(status: number): string | undefined {
  if (status >= 300 && status < 400)
    return 'redirects to other hosts are not followed, since requests are signed for one: give the address that it leads to';
  if (status === 429) return 'the service limits requests: wait, or share less';
  if (status >= 500) return 'the service has trouble; the build does not need its cache';
  return undefined;
}
