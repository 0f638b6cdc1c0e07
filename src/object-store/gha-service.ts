import type { Task } from '../events/index.ts';
import { isAcceptableRedirect, parseRetryAfter } from '../registry/index.ts';
import { parseStrictJson, sha256, hexOf, messageOf, TsbuildError } from '../util/index.ts';
import { uploadBlob } from './azure-upload.ts';
import { download } from './download.ts';
import type { Entry, EntryService } from './entries.ts';
import { GHA_REQUESTS, type GhaOptions, ghaId, ghaUrl } from './gha-address.ts';
import { RequestWindow } from './request-window.ts';
import type { Said } from './service-error.ts';
import { Service, type Surroundings } from './service.ts';
import type { GetOptions, ObjectContent } from './types.ts';

const PATH = 'twirp/github.actions.results.api.v1.CacheService/';
/** Entries of other programs have other versions; it is part of what an entry is found by. */
const VERSION = hexOf(sha256('tsbuild cache, version 1'));
/** What the service lets a job send: creations are limited, and a client that sends much is told to stop for a while. */
const WINDOW = { requests: 140, windowMs: 5 * 60_000, maxWaitMs: 60_000 };

type Method = 'CreateCacheEntry' | 'FinalizeCacheEntryUpload' | 'GetCacheEntryDownloadURL';

/**
 * Entries in the cache of GitHub Actions. Twirp, which is JSON by POST, gives out addresses of blobs in Azure that are signed; bytes go there.
 * An entry belongs to the branch of its job: jobs find those of their own branch, then those of the default branch. The service deletes what
 * nobody looked at for a week, and what was used longest ago where a repository has more than its share.
 */
export class GhaService implements EntryService {
  readonly id: string;
  readonly requestBudget: number = GHA_REQUESTS;
  readonly #options: GhaOptions;
  readonly #service: Service;
  readonly #blobs: Service;
  /** Only creation is limited by GitHub itself; a read is not to wait until a write may go on. */
  readonly #windows: Readonly<Record<'read' | 'write', RequestWindow>>;

  /** @throws TsbuildError `TSB_USAGE` */
  constructor({ url, token }: GhaOptions, surroundings: Surroundings) {
    const { host } = ghaUrl(url);
    this.#options = { url: url.endsWith('/') ? url : `${url}/`, token };
    this.id = ghaId(host);
    const { now } = surroundings;
    this.#windows = { read: new RequestWindow({ ...WINDOW, now }), write: new RequestWindow({ ...WINDOW, now }) };
    const windowOf = (path: string): RequestWindow =>
      this.#windows[path.endsWith('/GetCacheEntryDownloadURL') ? 'read' : 'write'];
    this.#service = new Service(surroundings, {
      secrets: () => [token],
      hint: hintFor,
      beforeTry: (task, doing, request) => windowOf(request.url.pathname).take(task, doing),
      onAnswer: (request, answer) => {
        const asked = parseRetryAfter(answer.header('retry-after'), now) ?? 0;
        if (answer.status === 429 && asked > 0) windowOf(request.url.pathname).block(asked);
      },
    });
    this.#blobs = new Service(surroundings, { secrets: () => [token], hint: () => undefined });
  }

  find(task: Task, key: string): Promise<Entry | undefined> {
    return this.#lookUp(task, key, []);
  }

  newest(task: Task, prefix: string): Promise<Entry | undefined> {
    // A key that is no entry's, and then the beginning of those that are.
    return this.#lookUp(task, prefix, [prefix]);
  }

  async create(task: Task, key: string, content: ObjectContent): Promise<boolean> {
    const doing = `Cannot write "${key}" to ${this.id}`;
    const created = await this.#call(task, doing, 'CreateCacheEntry', { key, version: VERSION });
    if (created === undefined || created['ok'] !== true) return false;
    const url = this.#signedUrl(doing, created, 'signed_upload_url', 'signedUploadUrl');
    await uploadBlob(task, this.#blobs, {
      doing,
      url,
      content,
      ifAbsent: false,
      authorize: ({ headers, ...request }) => ({ ...request, headers: { 'x-ms-version': '2021-12-02', ...headers } }),
    });
    const size = String(content.size);
    const done = await this.#call(task, doing, 'FinalizeCacheEntryUpload', { key, version: VERSION, size_bytes: size });
    if (done?.['ok'] !== true) throw new TsbuildError('TSB_REGISTRY', `${doing}: the service did not take it`);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
    await this.#blobs[Symbol.asyncDispose]();
  }

  async #lookUp(task: Task, key: string, prefixes: readonly string[]): Promise<Entry | undefined> {
    const doing = `Cannot look for "${key}" in ${this.id}`;
    const question = { key, restore_keys: prefixes, version: VERSION };
    const found = await this.#call(task, doing, 'GetCacheEntryDownloadURL', question);
    if (found?.['ok'] !== true) return undefined;
    const matched = found['matched_key'] ?? found['matchedKey'] ?? key;
    const url = this.#signedUrl(doing, found, 'signed_download_url', 'signedDownloadUrl');
    if (typeof matched !== 'string' || (prefixes.length === 0 && matched !== key)) return undefined;
    return { key: matched, read: (own, options) => this.#read(own, matched, url, options) };
  }

  #read(task: Task, key: string, url: URL, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
    return download(task, this.#blobs, {
      ...options,
      doing: `Cannot read "${key}" in ${this.id}`,
      make: (range) => ({ method: 'GET', url, headers: range === undefined ? {} : { range }, redirects: 'follow' }),
      isAbsent: ({ status }) => status === 404,
    });
  }

  /** @returns the answer; undefined where the service says that there is no such entry, or that the key is taken */
  async #call(
    task: Task,
    doing: string,
    method: Method,
    question: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>> | undefined> {
    const { url, token } = this.#options;
    const { answer, body } = await this.#service.exchange(task, doing, () => ({
      method: 'POST',
      url: new URL(PATH + method, url),
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      authorization: `Bearer ${token}`,
      body: JSON.stringify(question),
    }));
    // Twirp's `already_exists` and `not_found`.
    if (answer.status === 409 || (answer.status === 404 && isTwirp(body))) return undefined;
    if (answer.status !== 200) throw await this.#service.failure(doing, answer, body);
    try {
      return { ...(parseStrictJson(body, { what: 'the answer' }) as object) };
    } catch (error) {
      throw new TsbuildError('TSB_REGISTRY', `${doing}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** The address that the service gave out: it is in no message, and leads nowhere inside. */
  #signedUrl(doing: string, answer: Readonly<Record<string, unknown>>, ...names: readonly string[]): URL {
    const text = names.map((name) => answer[name]).find((value) => typeof value === 'string' && value !== '');
    const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
    if (url !== undefined && url.username === '' && isAcceptableRedirect(url, new URL(this.#options.url))) return url;
    throw new TsbuildError('TSB_REGISTRY', `${doing}: the service gave no address that can be used`);
  }
}

function isTwirp(body: Uint8Array): boolean {
  return /"code"\s*:\s*"not_found"/.test(Buffer.from(body).toString());
}

function hintFor({ status }: Said): string | undefined {
  if (status === 401 || status === 403)
    return 'the token in ACTIONS_RUNTIME_TOKEN is not accepted: it ends with the job, and jobs of forks may only read';
  if (status === 404) return 'this server has no cache of version 2: see whether ACTIONS_RESULTS_URL is right';
  if (status === 429)
    return 'GitHub limits how many entries a repository may write: wait, or share fewer steps (mode=min)';
  return undefined;
}
