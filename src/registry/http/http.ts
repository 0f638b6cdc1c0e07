import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { collect, messageOf, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { Agents } from './agents.ts';
import { displayUrl, sentSecrets } from './answer.ts';
import { isUnknownAuthority } from './certificates.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { noteProxy } from './proxy-address.ts';
import { isAcceptableRedirect } from './realm.ts';
import type { RegistryOptions } from '../types.ts';

const MAX_REDIRECTS = 10;

/** Waits that are shorter are nobody's concern. */
const NOTICE_AFTER_MS = 3000;

/** One request, which redirects may answer elsewhere. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent to the request's own origin only, and no more once a redirect has left it. */
  readonly authorization?: string;
  /** Accept any TLS certificate. */
  readonly insecure: boolean;
  readonly redirects: 'follow' | 'refuse';
  /** Whether a redirect may lead there, besides what holds for all. */
  readonly mayGo?: (target: URL) => boolean;
  readonly body?: string | Uint8Array | StreamedBody;
}

/** A body that is read while it is sent, anew for every try. */
export interface StreamedBody {
  /** Bytes. */
  readonly size: number;
  readonly open: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** An answer whose body has not been read. Read or discard it, or the connection stays taken. */
export interface HttpAnswer {
  readonly method: string;
  /** After redirects. */
  readonly url: URL;
  readonly status: number;
  /** What was sent to know the user by: none of it may be shown, also where the server says it. */
  readonly sent: readonly string[];
  /** A header that was sent more than once has its first value. */
  header(name: string): string | undefined;
  /** The whole body, for answers that are small by nature. @throws TsbuildError `TSB_REGISTRY` beyond `limit` bytes */
  small(limit: number): Promise<Buffer>;
  /** The body in chunks; fails when it stalls or crawls. */
  stream(): AsyncGenerator<Uint8Array, void, undefined>;
  discard(): void;
}

/** What of a registry's options concerns transport. */
export type HttpClientOptions = Partial<RegistryOptions>;

/** Sends single requests: connections, timeouts, redirects. Retries and authentication are built on it. */
export class HttpClient implements AsyncDisposable {
  readonly limits: Limits;
  readonly #options: HttpClientOptions;
  readonly #agents: Agents;

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#agents = new Agents(options, this.limits);
  }

  /** @throws the network's errors as they are; TsbuildError for refused redirects and when the task is canceled */
  async send(task: Task, request: HttpRequest): Promise<HttpAnswer> {
    const origin = request.url;
    let { url } = request;
    let trusted = true;
    for (let hops = 0; ; hops++) {
      trusted &&= url.origin === origin.origin;
      const answer = await this.#trusting(task, request, url, trusted);
      const location = answer.header('location');
      if (
        request.redirects === 'refuse' ||
        location === undefined ||
        ![301, 302, 303, 307, 308].includes(answer.status)
      )
        return answer;
      answer.discard();
      const refuse = (why: string): TsbuildError =>
        new TsbuildError('TSB_REGISTRY', `Cannot follow redirect of ${displayUrl(origin)}: ${why}`);
      if (hops >= MAX_REDIRECTS) throw refuse(`there are more than ${MAX_REDIRECTS}`);
      if (!URL.canParse(location, url.href)) throw refuse('its target is not a URL');
      url = new URL(location, url.href);
      if (url.username !== '' || url.password !== '') throw refuse('its target contains user information');
      if (!isAcceptableRedirect(url, origin) || request.mayGo?.(url) === false)
        throw refuse(`its target ${url.origin === 'null' ? url.protocol : url.origin} is not acceptable from there`);
    }
  }

  /** Once more with the authorities of the machine where Node's do not know who vouches for the host. */
  async #trusting(task: Task, request: HttpRequest, url: URL, trusted: boolean): Promise<HttpAnswer> {
    // Others may be under way at the same time, and may have found that out.
    const all = this.#agents.trustsSystem(url);
    try {
      return await this.#exchange(task, request, url, trusted);
    } catch (error) {
      if (all || request.insecure || !isUnknownAuthority(error)) throw error;
      this.#agents.trustSystem(url);
    }
    return this.#exchange(task, request, url, trusted);
  }

  async #exchange(task: Task, request: HttpRequest, url: URL, trusted: boolean): Promise<HttpAnswer> {
    const dispatcher = await this.#agents.for(url, request.insecure);
    // A signal that has been given by now would not be heard of again.
    throwIfCanceled(task);
    const abort = new AbortController();
    const onCancel = (): void => abort.abort(task.signal.reason);
    task.signal.addEventListener('abort', onCancel, { once: true });
    const release = (): void => task.signal.removeEventListener('abort', onCancel);
    const { body } = request;
    const streamed = typeof body === 'object' && 'open' in body ? body : undefined;
    // A registry puts an upload into its place before it answers, which takes time for much.
    const answerMs = streamed === undefined ? this.limits.headersMs : this.limits.uploadAnswerMs;
    const timer = setTimeout(() => abort.abort(new Stalled('no answer in time')), answerMs);
    const notice = this.#noticeWait(task, url.host, answerMs);
    try {
      const sending = dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: {
          'user-agent': this.#options.userAgent ?? 'tsbuild',
          // Bytes are hashed as they are sent.
          'accept-encoding': 'identity',
          ...request.headers,
          ...(streamed === undefined ? {} : { 'content-length': String(streamed.size) }),
          ...(trusted && request.authorization !== undefined ? { authorization: request.authorization } : {}),
        },
        // undici closes the connection after each HEAD otherwise, for servers that send a body with it.
        ...(request.method === 'HEAD' ? { reset: false } : {}),
        headersTimeout: answerMs,
        signal: abort.signal,
        // What is on its way is not late.
        ...(streamed === undefined ? {} : { body: Readable.from(whileSent(streamed, () => timer.refresh())) }),
        ...(typeof body === 'string' || body instanceof Uint8Array ? { body } : {}),
      });
      const response = await untilAborted(sending, abort.signal);
      const isForm = request.headers['content-type'] === 'application/x-www-form-urlencoded';
      const sent = sentSecrets(trusted ? request.authorization : undefined, isForm ? body : undefined);
      return new Answer(request.method, url, response, { abort, release, limits: this.limits, sent });
    } catch (error) {
      release();
      throwIfCanceled(task);
      noteProxy(error, this.#agents.proxyFor(url));
      throw error;
    } finally {
      clearTimeout(timer);
      notice?.();
    }
  }

  /** Shows, from the third second on, who is waited for and how long still, in seconds. @returns how to end it */
  #noticeWait(task: Task, host: string, answerMs: number): (() => void) | undefined {
    const { vertex } = task;
    const { now } = this.#options;
    if (vertex === undefined || now === undefined) return undefined;
    const start = now();
    const id = `waiting for ${host} to answer, in seconds`;
    let told = false;
    const tell = (over: { readonly completed?: true }): void => {
      const waited = Math.round((now() - start) / 1000);
      if (!told && waited * 1000 < NOTICE_AFTER_MS) return;
      told = true;
      const total = answerMs / 1000;
      task.events({ type: 'status', vertex, id, current: waited, total, unit: 'count', at: now(), ...over });
    };
    const timer = setInterval(tell, 1000, {});
    return () => {
      clearInterval(timer);
      // A part that stays open would keep the step from being over on the display.
      if (told) tell({ completed: true });
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agents[Symbol.asyncDispose]();
  }
}

/** undici does not hear of a signal before there is a connection, which a silent proxy puts off for ever. */
async function untilAborted(
  sending: Promise<Dispatcher.ResponseData>,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([sending, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
    if (signal.aborted)
      sending.then(
        ({ body }) => body.on('error', () => {}).destroy(),
        () => undefined,
      );
  }
}

async function* whileSent(body: StreamedBody, onChunk: () => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of body.open()) {
    onChunk();
    yield chunk;
  }
}

/** A body or answer that did not come at the least rate. Retried like a broken connection. */
export class Stalled extends Error {
  override readonly name = 'Stalled';
}

/** @throws TsbuildError `TSB_CANCELED` */
export function throwIfCanceled(task: Task): void {
  if (!task.signal.aborted) return;
  const reason: unknown = task.signal.reason;
  throw reason instanceof TsbuildError
    ? reason
    : new TsbuildError('TSB_CANCELED', `Canceled: ${messageOf(reason)}`, { cause: reason });
}

interface AnswerControl {
  readonly abort: AbortController;
  readonly release: () => void;
  readonly limits: Limits;
  readonly sent: readonly string[];
}

class Answer implements HttpAnswer {
  readonly method: string;
  readonly url: URL;
  readonly status: number;
  readonly sent: readonly string[];
  readonly #response: Dispatcher.ResponseData;
  readonly #control: AnswerControl;

  constructor(method: string, url: URL, response: Dispatcher.ResponseData, control: AnswerControl) {
    this.method = method;
    this.url = url;
    this.status = response.statusCode;
    this.sent = control.sent;
    this.#response = response;
    this.#control = control;
    // A body that nobody reads must not bring the process down when its connection breaks.
    response.body.on('error', () => {});
  }

  header(name: string): string | undefined {
    const value = this.#response.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  /**
   * The whole body, for documents and errors.
   * @throws TsbuildError `TSB_REGISTRY` when it is longer than `limit`
   */
  async small(limit: number): Promise<Buffer> {
    const tooMuch = (): TsbuildError =>
      new TsbuildError('TSB_REGISTRY', `Cannot use answer of ${displayUrl(this.url)}: it has more than ${limit} bytes`);
    const timer = setTimeout(
      () => this.#control.abort.abort(new Stalled('the body did not end in time')),
      this.#control.limits.smallBodyMs,
    );
    try {
      return await collect(this.#response.body as AsyncIterable<Uint8Array>, { maxBytes: limit, tooMuch });
    } finally {
      clearTimeout(timer);
      this.#control.release();
    }
  }

  async *stream(): AsyncGenerator<Uint8Array, void, undefined> {
    const { limits, abort, release } = this.#control;
    let received = 0;
    let waiting = true;
    let slowWindows = 0;
    // Two windows in a row, and only while we wait for the network: a slow disk is not a slow registry.
    const timer = setInterval(() => {
      slowWindows = waiting && received < limits.minBytesPerWindow ? slowWindows + 1 : 0;
      if (slowWindows === 2) abort.abort(new Stalled('the body arrives too slowly'));
      received = 0;
    }, limits.windowMs);
    try {
      for await (const chunk of this.#response.body as AsyncIterable<Uint8Array>) {
        received += chunk.length;
        waiting = false;
        yield chunk;
        waiting = true;
      }
    } finally {
      clearInterval(timer);
      release();
    }
  }

  /** Nobody wants the body. */
  discard(): void {
    this.#control.release();
    // Reading a short rest keeps the connection for the next request.
    this.#response.body.dump({ limit: 16 * 1024 }).catch(() => {});
  }
}
