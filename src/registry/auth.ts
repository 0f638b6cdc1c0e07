import { parseStrictJson, SharedWork, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import { answerError, displayUrl, serverMessage, SMALL_BODY_LIMIT } from './http/answer.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { type HttpAnswer, type HttpClient, type HttpRequest, throwIfCanceled } from './http/http.ts';
import { mayHaveCredentials, validateRealm } from './http/realm.ts';
import { isPassing, isPassingStatus, networkError, waitForRetry } from './http/retry.ts';
import type { Credential, Credentials, RegistryOptions } from './types.ts';

/** For whom and what a request is authorised. Credentials belong to scheme, host and port (security rule 9). */
export interface AuthScope {
  /** `scheme://host:port` of the registry. */
  readonly origin: string;
  /** The registry's name, under which credentials are kept. */
  readonly host: string;
  /** Its repository, which may have credentials of its own; empty for the registry itself. */
  readonly path: string;
  /** e.g. `repository:library/debian:pull`; several with spaces between them, none for the registry itself */
  readonly scope: string;
  readonly insecure: boolean;
}

/**
 * Turns 401 answers into `Authorization` headers: bearer tokens (distribution's token protocol, anonymous or with
 * credentials) and basic authentication. Tokens are kept until a registry refuses them.
 */
export class Authenticator {
  readonly #http: HttpClient;
  readonly #credentials: Credentials | undefined;
  readonly #now: RegistryOptions['now'];
  readonly #headers = new Map<string, string>();
  readonly #asked = new Map<string, Promise<Credential | undefined>>();
  /** Tokens that are being fetched: of many requests whose token expires at once, one fetches the next. */
  readonly #fetching = new SharedWork<string, string>();

  constructor(http: HttpClient, { credentials, now }: Pick<RegistryOptions, 'credentials' | 'now'>) {
    this.#http = http;
    this.#credentials = credentials;
    this.#now = now;
  }

  /** The header to send, if a challenge was met before. */
  header(scope: AuthScope): string | undefined {
    return this.#headers.get(keyOf(scope));
  }

  /**
   * Answers a challenge.
   * @param refused the header that the registry just turned down, if one was sent
   * @returns the header for the next try, or undefined when there is nothing (more) to offer
   * @throws TsbuildError when the token server misbehaves
   */
  async authenticate(
    task: Task,
    scope: AuthScope,
    answer: HttpAnswer,
    refused: string | undefined,
  ): Promise<string | undefined> {
    const key = keyOf(scope);
    const known = this.#headers.get(key);
    // Another request may have renewed it in the meantime.
    if (known !== undefined && known !== refused) return known;
    this.#headers.delete(key);
    const challenges = parseChallenges(answer.header('www-authenticate') ?? '');
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    let header: string | undefined;
    if (bearer !== undefined)
      header = `Bearer ${await this.#fetching.run(key, task.signal, () => this.#token(task, scope, bearer, answer.url))}`;
    else if (challenges.some(({ scheme }) => scheme === 'basic')) header = basic(await this.#credential(task, scope));
    if (header === undefined || header === refused) return undefined;
    this.#headers.set(key, header);
    return header;
  }

  /** Asked for once per repository. */
  async #credential(task: Task, { host, path }: AuthScope): Promise<Credential | undefined> {
    const key = `${host}/${path}`;
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = this.#credentials?.get(task, host, path) ?? Promise.resolve(undefined);
      this.#asked.set(key, asked);
    }
    return asked;
  }

  /** The scope is ours, never the challenge's: a registry does not get to ask for more than the request needs. */
  async #token(task: Task, scope: AuthScope, challenge: Challenge, registry: URL): Promise<string> {
    const known = await this.#credential(task, scope);
    // Made elsewhere, for the registry: no token server has a say in it.
    if (known !== undefined && 'registryToken' in known) return known.registryToken;
    const realm = validateRealm(challenge.parameters.get('realm'), registry);
    const trusted = mayHaveCredentials(realm, registry, scope);
    const credential = trusted ? known : undefined;
    const request = tokenRequest(realm, challenge.parameters.get('service'), scope, credential);
    const doing = `Cannot get a token for ${JSON.stringify(scope.host)}`;
    const { answer, body } = await this.#ask(task, request, doing);
    if (answer.status !== 200) {
      if (known !== undefined && !trusted) throw withheld(doing, realm, registry, answer.status);
      if (known !== undefined && (answer.status === 401 || answer.status === 403))
        throw refusedCredentials(doing, scope, realm, { status: answer.status, sent: answer.sent, body });
      throw answerError(doing, { method: request.method, url: realm, status: answer.status, sent: answer.sent, body });
    }
    return parseToken(body, doing);
  }

  /** Sends a request to a token server, again where the next answer may be another: all that a build needs of a registry waits for it. */
  async #ask(
    task: Task,
    request: HttpRequest,
    doing: string,
  ): Promise<{ readonly answer: HttpAnswer; readonly body: Buffer }> {
    const { limits } = this.#http;
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= limits.attempts;
      try {
        const answer = await this.#http.send(task, request);
        const body = await answer.small(SMALL_BODY_LIMIT);
        if (isLast || !isPassingStatus(answer.status)) return { answer, body };
        if (!(await waitForRetry(task, limits, attempt, answer.header('retry-after'), this.#now)))
          return { answer, body };
      } catch (error) {
        throwIfCanceled(task);
        if (isLast || !isPassing(error)) throw networkError(doing, displayUrl(request.url), error);
        await waitForRetry(task, limits, attempt, undefined, this.#now);
      }
    }
  }
}

/** A token is good for one server and scope. */
function keyOf({ origin, scope }: AuthScope): string {
  return `${origin} ${scope}`;
}

/** The header for servers that take a name and password themselves. */
function basic(credential: Credential | undefined): string | undefined {
  if (credential === undefined || !('username' in credential)) return undefined;
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString('base64')}`;
}

/** Without credentials the token server gave nothing: say why it got none. */
function withheld(doing: string, realm: URL, registry: URL, status: number): TsbuildError {
  return new TsbuildError(
    'TSB_REGISTRY',
    `${doing}: ${realm.origin} answered ${status}, and your credentials were not sent to it, since ${registry.origin} named it without TLS`,
    { hint: 'use the registry over HTTPS, or have it name a token server of its own origin (scheme, host and port)' },
  );
}

/** The user is known by the name that was given, or not at all: what else may be wrong is not worth a guess. */
function refusedCredentials(
  doing: string,
  { host }: AuthScope,
  realm: URL,
  answer: { readonly status: number; readonly body: Uint8Array; readonly sent: readonly string[] },
): TsbuildError {
  const said = serverMessage(answer.body, answer.sent);
  return new TsbuildError(
    'TSB_REGISTRY',
    `${doing}: ${displayUrl(realm)} refused your credentials (${answer.status}${said === undefined ? '' : `: ${said}`})`,
    { hint: `log in again: tsbuild login ${host}` },
  );
}

function tokenRequest(
  realm: URL,
  service: string | undefined,
  scope: AuthScope,
  credential: Credential | undefined,
): HttpRequest {
  const common = { insecure: scope.insecure, redirects: 'refuse' } as const;
  if (credential !== undefined && 'identityToken' in credential) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credential.identityToken,
      client_id: 'tsbuild',
      service: service ?? '',
      ...(scope.scope === '' ? {} : { scope: scope.scope }),
    });
    return {
      ...common,
      method: 'POST',
      url: realm,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const one of scope.scope.split(' ').filter((part) => part !== '')) url.searchParams.append('scope', one);
  const authorization = basic(credential);
  return { ...common, method: 'GET', url, headers: {}, ...(authorization === undefined ? {} : { authorization }) };
}

function parseToken(body: Uint8Array, doing: string): string {
  const document = parseStrictJson(body, { what: 'token answer', maxBytes: SMALL_BODY_LIMIT });
  const { token, access_token: accessToken } = (typeof document === 'object' && document !== null ? document : {}) as {
    token?: unknown;
    access_token?: unknown;
  };
  const found = typeof token === 'string' && token !== '' ? token : accessToken;
  // Goes into a header: visible ASCII only.
  if (typeof found !== 'string' || !/^[\x21-\x7e]+$/.test(found)) {
    throw new TsbuildError('TSB_REGISTRY', `${doing}: the answer of the token server contains no usable token`);
  }
  return found;
}
