import { canonicalDigest, type Digest, isDigest } from '../util/index.ts';

/** What a web server has answered to a step. Nothing in it is a secret: those of addresses and headers are left out. */
export interface RecordedAnswer {
  readonly method: string;
  /** Normalised, without user information; what looks like a credential in its query is `REDACTED`. */
  readonly url: string;
  /** The request had credentials of its own in a header. Which ones is not written down. */
  readonly authorized?: true;
  /** Headers of the request that the answer depends on, as the server said by `Vary`. Names in lower case, sorted. */
  readonly vary?: Readonly<Record<string, string>>;
  /** Of what the request sent along. */
  readonly sent?: Digest;
  readonly status: number;
  /** Those that mean something to a client. Names in lower case, sorted. */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the body; absent for answers that have none. */
  readonly digest?: Digest;
  /** Bytes of the body. */
  readonly size?: number;
  /** The address that led to this one, where this one cannot be asked any more without what is redacted. */
  readonly via?: string;
  /** The instructions whose steps asked, sorted. */
  readonly steps: readonly string[];
}

/** Fields in the order in which they are written. */
const FIELDS = [
  'method', 'url', 'authorized', 'vary', 'sent', 'status', 'headers', 'digest', 'size', 'via', 'steps',
] as const; // oxfmt-ignore

/** What tells answers apart: the request. */
export function answerName({
  url,
  method,
  authorized,
  vary = {},
  sent,
}: Omit<RecordedAnswer, 'status' | 'headers' | 'steps'>): string {
  return JSON.stringify([url, method, authorized ?? false, Object.entries(vary), sent ?? '']);
}

/** Names what answers say, whoever asked: equal for lists that serve the same. */
export function digestOfAnswers(answers: Iterable<RecordedAnswer>): Digest {
  const said = sortedAnswers(answers).map(({ steps: _steps, via: _via, ...answer }) => answer);
  return canonicalDigest(
    'tsbuild.recorded-answers.v1',
    said.map((answer) => ({ ...answer })),
  );
}

/** In the order of a lock file: by address. */
export function sortedAnswers(answers: Iterable<RecordedAnswer>): readonly RecordedAnswer[] {
  return [...answers]
    .map((answer) => [answerName(answer), answer] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, answer]) => answer);
}

/** As it is written. */
export function answerForLock(answer: RecordedAnswer): Readonly<Record<string, unknown>> {
  return Object.fromEntries(ordered(answer));
}

function ordered(answer: RecordedAnswer): readonly (readonly [string, unknown])[] {
  return FIELDS.flatMap((name) => (answer[name] === undefined ? [] : [[name, answer[name]] as const]));
}

/** An entry with the fields that it may have; undefined when it is none. */
export function parseAnswer(value: unknown): RecordedAnswer | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { method, url, authorized, vary, sent, status, headers, digest, size, via, steps } = value as Readonly<
    Record<string, unknown>
  >;
  if (typeof method !== 'string' || !/^[A-Z]{3,10}$/.test(method)) return undefined;
  if (!isWebAddress(url) || !(via === undefined || isWebAddress(via))) return undefined;
  if (!(authorized === undefined || authorized === true)) return undefined;
  if (!(vary === undefined || isHeaders(vary)) || !isHeaders(headers)) return undefined;
  if (!(sent === undefined || isDigestText(sent))) return undefined;
  if (!Number.isInteger(status) || (status as number) < 200 || (status as number) > 599) return undefined;
  if (!Array.isArray(steps) || !steps.every((step) => typeof step === 'string')) return undefined;
  // A body has both or neither.
  const hasBody = isDigestText(digest) && Number.isSafeInteger(size) && (size as number) >= 0;
  if (!hasBody && (digest !== undefined || size !== undefined)) return undefined;
  return {
    method,
    url,
    ...(authorized === undefined ? {} : { authorized }),
    ...(vary === undefined ? {} : { vary }),
    ...(sent === undefined ? {} : { sent }),
    status: status as number,
    headers,
    ...(hasBody ? { digest, size: size as number } : {}),
    ...(via === undefined ? {} : { via }),
    steps,
  };
}

function isDigestText(value: unknown): value is Digest {
  return typeof value === 'string' && isDigest(value);
}

function isWebAddress(value: unknown): value is string {
  return typeof value === 'string' && /^https?:\/\/[^@/?#]+\//.test(value) && URL.canParse(value);
}

/** Headers become a part of what is said to a client: nothing may end a line. */
function isHeaders(value: unknown): value is Readonly<Record<string, string>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(
      ([name, text]) =>
        /^[a-z][a-z0-9-]*$/.test(name) && typeof text === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(text),
    )
  );
}
