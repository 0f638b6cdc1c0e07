import type { Task } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import { answerError, SMALL_BODY_LIMIT } from './http/answer.ts';
import { Authenticator, type AuthScope } from './auth.ts';
import { apiHost, type Endpoint, isLoopbackHost } from './http/endpoint.ts';
import { type HttpAnswer, HttpClient, type HttpRequest, throwIfCanceled } from './http/http.ts';
import type { Limits } from './http/limits.ts';
import { isNotTls, isPassing, isPassingStatus, networkError, waitForRetry } from './http/retry.ts';
import type { RegistryOptions } from './types.ts';

/** A request to one endpoint. */
export interface Call {
  /** Begins messages about its failure, e.g. `Cannot load blob sha256:…`. */
  readonly doing: string;
  readonly endpoint: Endpoint;
  readonly method: HttpRequest['method'];
  /** Below `/v2/<repository>/`, for an endpoint without a repository below `/v2/`, or the whole URL that an answer named (where an upload goes on). */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpRequest['body'];
  /** What the token is for; empty for no repository. Default: pulling from the endpoint's repository. */
  readonly scope?: string;
  /** Not repeated here: whoever calls knows from where to begin again. */
  readonly once?: boolean;
}

/** How often a request was sent. Whoever repeats one for different reasons shares it, so that the numbers do not multiply. */
export interface Tries {
  made: number;
}

/** An answer, for whom it was asked, and the header that was sent. */
interface SentCall {
  readonly answer: HttpAnswer;
  readonly scope: AuthScope;
  readonly sent: string | undefined;
}

/** Sends requests to registries: finds the scheme, authenticates, repeats what may succeed the next time. */
export class Caller implements AsyncDisposable {
  readonly #options: RegistryOptions;
  readonly #http: HttpClient;
  readonly #auth: Authenticator;
  /** What insecure hosts turned out to speak. */
  readonly #schemes = new Map<string, 'https' | 'http'>();
  /** Hosts that are being asked what they speak: whoever comes later waits for that, and need not find out by itself. */
  readonly #finding = new Map<string, Promise<unknown>>();
  /**
   * The first calls of their scope. Only these find out what a registry wants to know: of a push's many requests for blobs each would be
   * turned down, and fetch a token of its own.
   */
  readonly #first = new Map<string, Promise<unknown>>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#http = new HttpClient(options);
    this.#auth = new Authenticator(this.#http, options);
  }

  get limits(): Limits {
    return this.#http.limits;
  }

  /** Sends a call and reads its body, both again when the connection breaks. */
  async retryBody<T>(task: Task, call: Call, read: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    const tries: Tries = { made: 0 };
    for (;;) {
      const answer = await this.call(task, call, tries);
      try {
        return await read(answer);
      } catch (error) {
        throwIfCanceled(task);
        if (!isPassing(error) || tries.made >= this.#http.limits.attempts)
          throw networkError(call.doing, call.endpoint.host, error);
        await waitForRetry(task, this.#http.limits, tries.made, undefined, this.#options.now);
      }
    }
  }

  /**
   * Sends one call: finds the scheme, authenticates, repeats what may go away. Every final status is returned.
   * @param tries what was sent before for the same purpose; it is sent once in any case
   */
  async call(task: Task, call: Call, tries: Tries = { made: 0 }): Promise<HttpAnswer> {
    const { limits } = this.#http;
    for (;;) {
      tries.made++;
      let answer: HttpAnswer | undefined;
      let failure: unknown;
      try {
        answer = await this.#authenticated(task, call);
      } catch (error) {
        throwIfCanceled(task);
        if (error instanceof TsbuildError) throw error;
        failure = error;
      }
      if (answer !== undefined && !isPassingStatus(answer.status)) return answer;
      const passing = answer !== undefined || isPassing(failure);
      const again =
        passing && !call.once && tries.made < limits.attempts && (await this.#waitAgain(task, tries.made, answer));
      if (again) continue;
      if (answer !== undefined) return answer;
      throw networkError(call.doing, call.endpoint.host, failure);
    }
  }

  async #waitAgain(task: Task, attempt: number, answer: HttpAnswer | undefined): Promise<boolean> {
    const waited = await waitForRetry(
      task,
      this.#http.limits,
      attempt,
      answer?.header('retry-after'),
      this.#options.now,
    );
    if (waited) answer?.discard();
    return waited;
  }

  /** Sends a request after the first one of its scope was answered, well or not. */
  async #authenticated(task: Task, call: Call): Promise<HttpAnswer> {
    const key = `${call.endpoint.host} ${scopeOf(call)}`;
    const first = this.#first.get(key);
    if (first !== undefined) {
      await settled(first, task.signal);
      throwIfCanceled(task);
      return this.#withToken(task, call);
    }
    const own = this.#withToken(task, call);
    this.#first.set(key, own);
    return own;
  }

  /** Sends a request, and once more with a token when the registry asks for one. */
  async #withToken(task: Task, call: Call): Promise<HttpAnswer> {
    for (let round = 1; ; round++) {
      const { answer, scope, sent } = await this.#overScheme(task, call);
      // A 401 from where a redirect led is that host's affair and gets no credentials.
      if (answer.status !== 401 || answer.url.origin !== scope.origin || round === 3) return answer;
      if ((await this.#auth.authenticate(task, scope, answer, sent)) === undefined) return answer;
      answer.discard();
    }
  }

  /** HTTPS, and for insecure endpoints HTTP where there is no TLS. */
  async #overScheme(task: Task, call: Call): Promise<SentCall> {
    const { endpoint } = call;
    const host = apiHost(endpoint.host);
    if (!endpoint.insecure || this.#schemes.has(host)) return this.#send(task, call, host);
    for (let other = this.#finding.get(host); other !== undefined; other = this.#finding.get(host)) {
      await other.catch(() => undefined);
      if (this.#schemes.has(host)) return this.#send(task, call, host);
    }
    const finding = this.#send(task, call, host).finally(() => this.#finding.delete(host));
    this.#finding.set(host, finding);
    return finding;
  }

  async #send(task: Task, call: Call, host: string): Promise<SentCall> {
    const { endpoint } = call;
    const known = this.#schemes.get(host);
    const schemes = known === undefined ? schemesOf(endpoint, host) : [known];
    let failure: unknown;
    let doubtful: SentCall | undefined;
    for (const [index, scheme] of schemes.entries()) {
      const { origin } = new URL(`${scheme}://${host}`);
      const url =
        typeof call.path === 'string'
          ? new URL(`${origin}/v2/${endpoint.path && `${endpoint.path}/`}${call.path}`)
          : call.path;
      const scope: AuthScope = {
        origin,
        host: endpoint.host,
        path: endpoint.path,
        scope: scopeOf(call),
        insecure: endpoint.insecure,
      };
      const sent = url.origin === origin ? this.#auth.header(scope) : undefined;
      try {
        const answer = await this.#http.send(task, {
          method: call.method,
          url,
          headers: call.headers ?? {},
          ...(sent === undefined ? {} : { authorization: sent }),
          ...(call.body === undefined ? {} : { body: call.body }),
          insecure: endpoint.insecure,
          redirects: call.method === 'GET' || call.method === 'HEAD' ? 'follow' : 'refuse',
        });
        if (scheme === 'http' && index < schemes.length - 1 && answer.status === NOT_TLS) {
          doubtful = { answer, scope, sent };
          continue;
        }
        doubtful?.answer.discard();
        if (endpoint.insecure) this.#schemes.set(host, scheme);
        return { answer, scope, sent };
      } catch (error) {
        throwIfCanceled(task);
        if (error instanceof TsbuildError) throw error;
        if (failure === undefined || !isNotTls(error)) failure = error;
        // Then what it said before is its answer.
        if (doubtful !== undefined && isNotTls(error)) this.#schemes.set(host, 'http');
      }
    }
    if (doubtful !== undefined) return doubtful;
    throw failure;
  }

  /** What a registry's answer means to the user: its own words, and a hint where one is known. */
  async failure(task: Task, call: Call, answer: HttpAnswer): Promise<TsbuildError> {
    let body: Uint8Array = new Uint8Array();
    try {
      body = await answer.small(SMALL_BODY_LIMIT);
    } catch {
      throwIfCanceled(task);
    }
    const { method, url, status, sent } = answer;
    return answerError(call.doing, { method, url, status, sent, body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

function scopeOf({ scope, endpoint }: Call): string {
  return scope ?? `repository:${endpoint.path}:pull`;
}

/** Waits until work came to any end, or the signal says that nobody waits any more. */
async function settled(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done);
    work.then(done, done);
    if (signal.aborted) done();
  });
}

/** What a server that speaks TLS says to a request without: Go's and nginx do, others close the connection. */
const NOT_TLS = 400;

/**
 * In what order schemes are tried. Registries on this machine rarely have TLS, and trying it takes a tenth of a push that finds everything
 * there. Whoever could answer in their place could do so with TLS as well: the certificate is not looked at.
 */
function schemesOf({ insecure }: Endpoint, host: string): readonly ('https' | 'http')[] {
  if (!insecure) return ['https'];
  return isLoopbackHost(host) ? ['http', 'https'] : ['https', 'http'];
}
