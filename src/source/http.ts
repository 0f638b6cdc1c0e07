import fs from 'node:fs';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { storeError } from '../store/index.ts';
import {
  type HttpAnswer,
  isPassing,
  isPassingStatus,
  networkError,
  throwIfCanceled,
  waitForRetry,
} from '../registry/index.ts';
import {
  canonicalDigest,
  type Digest,
  errnoOf,
  Hasher,
  isDigest,
  isTsbuildError,
  redactUrls,
  TsbuildError,
} from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { HttpPin } from '../pins/index.ts';
import type { HttpContent, HttpFile, HttpResource, HttpSourceOptions } from './http-types.ts';

const FACT = 'http';
const DEFAULT_MAX_BYTES = 64 * 1024 ** 3;
/** Progress is reported at most this often, in ms. */
const PROGRESS_INTERVAL = 100;
/** A Last-Modified date says nothing about changes within the second that it names (RFC 9110, 8.8.2.2). */
const STRONG_AFTER_MS = 60_000;

/** What is remembered of a URL. */
interface HttpFact {
  readonly digest: Digest;
  readonly size: number;
  readonly etag?: string;
  /** The header, where it can be used to ask for changes. */
  readonly since?: string;
  readonly lastModified?: number;
  readonly disposition?: string;
}

type Fetched = { readonly kind: 'unchanged' } | { readonly kind: 'file'; readonly file: HttpFile };

/**
 * Files from web servers. `content` says what a URL gives now, which may take a question only; `file` brings the bytes. Everything
 * is asked for once per source object, so that one build sees one state.
 */
export class HttpSource {
  readonly #options: HttpSourceOptions;
  readonly #contents = new Map<string, HttpContent>();
  readonly #files = new Map<string, HttpFile>();
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(options: HttpSourceOptions) {
    this.#options = options;
  }

  /**
   * What the URL gives at present.
   * @param vertex what progress is reported under
   * @throws TsbuildError `TSB_NETWORK`, `TSB_NOT_FOUND`, `TSB_CONTEXT` for a URL that cannot be used
   */
  async content(task: Task, vertex: Digest, resource: HttpResource): Promise<HttpContent> {
    const key = keyOf(resource);
    return this.#alone(task, key, async () => {
      const known = this.#contents.get(key);
      if (known) return known;
      const ref = redactUrls(resource.url);
      const pin = this.#options.pins?.http(ref);
      const content = pin ? contentOf(pin) : await this.#present(task, vertex, resource, key);
      if (!pin) this.#options.pins?.record(pinOf(ref, content));
      this.#contents.set(key, content);
      return content;
    });
  }

  /**
   * The content as a file.
   * @param expected what the bytes must be
   * @throws TsbuildError as `content`, and `TSB_DIGEST`
   */
  async file(task: Task, vertex: Digest, resource: HttpResource, expected: Digest | undefined): Promise<HttpFile> {
    const key = keyOf(resource);
    return this.#alone(task, key, async () => {
      let file = this.#files.get(key);
      if (!file) {
        const fetched = await this.#fetch(task, vertex, resource, undefined);
        if (fetched.kind !== 'file')
          throw new TsbuildError(
            'TSB_NETWORK',
            `Cannot download ${shown(resource)}: the server says that nothing has changed without being asked`,
          );
        file = this.#keep(key, fetched.file);
      }
      if (expected !== undefined && file.digest !== expected) {
        const pin = this.#options.pins?.http(redactUrls(resource.url));
        const error = new TsbuildError(
          'TSB_DIGEST',
          `digest mismatch ${file.digest}: ${expected} (${shown(resource)})`,
          {
            hint: 'what the server sends is not what the checksum names',
          },
        );
        throw pin?.pin === expected ? this.#options.pins?.lost(pin, error) : error;
      }
      // Where a lock file says more of it, the file in the layer is to be the same everywhere.
      return { ...file, ...this.#contents.get(key) };
    });
  }

  /** What the server says now. */
  async #present(task: Task, vertex: Digest, resource: HttpResource, key: string): Promise<HttpContent> {
    const fact = this.#fact(key);
    if (fact && this.#options.offline) return fact;
    const fetched = await this.#fetch(task, vertex, resource, fact);
    return fetched.kind === 'file' ? this.#keep(key, fetched.file) : (fact as HttpFact);
  }

  /** One at a time per resource. A wait that was called off by others is none for this task. */
  async #alone<T>(task: Task, key: string, work: () => Promise<T>): Promise<T> {
    for (let running = this.#running.get(key); running; running = this.#running.get(key)) {
      await running.catch(() => undefined);
      throwIfCanceled(task);
    }
    const promise = work().finally(() => this.#running.delete(key));
    this.#running.set(key, promise);
    return promise;
  }

  #keep(key: string, file: HttpFile): HttpFile {
    this.#files.set(key, file);
    return file;
  }

  #fact(key: string): HttpFact | undefined {
    const value = this.#options.facts?.get(FACT, key)?.value as Partial<HttpFact> | undefined;
    if (!value || typeof value.digest !== 'string' || !isDigest(value.digest) || typeof value.size !== 'number')
      return undefined;
    return value as HttpFact;
  }

  async #fetch(task: Task, vertex: Digest, resource: HttpResource, fact: HttpFact | undefined): Promise<Fetched> {
    const { client, now, offline } = this.#options;
    if (offline) throw offline.refuse(`web address ${redactUrls(resource.url)}`);
    const doing = `Cannot download ${shown(resource)}`;
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.#ask({ ...task, vertex }, resource, fact);
        if (isPassingStatus(answer.status) && attempt < client.limits.attempts) {
          answer.discard();
          if (await waitForRetry(task, client.limits, attempt, answer.header('retry-after'), now)) continue;
        }
        return await this.#take(task, vertex, resource, fact, answer);
      } catch (error) {
        throwIfCanceled(task);
        if (isTsbuildError(error))
          throw error.code === 'TSB_REGISTRY'
            ? new TsbuildError('TSB_NETWORK', `${doing}: ${error.message}`, { cause: error })
            : error;
        const failure = errnoOf(error)?.startsWith('Z_')
          ? new TsbuildError('TSB_ARCHIVE', `${doing}: its gzip encoding is damaged`, { cause: error })
          : undefined;
        if (failure) throw failure;
        if (!isPassing(error) || attempt >= client.limits.attempts) throw offlineError(doing, resource, error);
        await waitForRetry(task, client.limits, attempt, undefined, now);
      }
    }
  }

  /** A request with what is known of the file, so that the server can say that it has not changed. */
  async #ask(task: Task, resource: HttpResource, fact: HttpFact | undefined): Promise<HttpAnswer> {
    const { url, authorization } = parseUrl(resource);
    const conditions: Record<string, string> = {};
    if (fact?.etag !== undefined) conditions['if-none-match'] = fact.etag;
    else if (fact?.since !== undefined) conditions['if-modified-since'] = fact.since;
    return this.#options.client.send(task, {
      method: 'GET',
      url,
      // As BuildKit's client does: the digest is of what the encoding stands for.
      headers: { 'accept-encoding': 'gzip', ...resource.headers, ...conditions },
      ...(authorization === undefined ? {} : { authorization }),
      insecure: false,
      redirects: 'follow',
    });
  }

  async #take(
    task: Task,
    vertex: Digest,
    resource: HttpResource,
    fact: HttpFact | undefined,
    answer: HttpAnswer,
  ): Promise<Fetched> {
    const { status } = answer;
    const etag = answer.header('etag');
    const asked = fact?.etag !== undefined || fact?.since !== undefined;
    // Some servers send the body again although the tag is the same.
    if (asked && (status === 304 || (status === 200 && sameTag(etag, fact.etag)))) {
      answer.discard();
      return { kind: 'unchanged' };
    }
    if (status !== 200) {
      answer.discard();
      throw statusError(resource, status);
    }
    const { digest, size, path } = await this.#save(task, vertex, resource, answer);
    const lastModified = parseDate(answer.header('last-modified'));
    const disposition = answer.header('content-disposition');
    const content: HttpContent = {
      digest,
      size,
      ...(lastModified === undefined ? {} : { lastModified }),
      ...(disposition === undefined ? {} : { disposition }),
    };
    const sentAt = parseDate(answer.header('date'));
    const strong =
      lastModified !== undefined && sentAt !== undefined && (sentAt - lastModified) * 1000 >= STRONG_AFTER_MS;
    const since = strong ? answer.header('last-modified') : undefined;
    if (etag !== undefined || since !== undefined) {
      const remembered: HttpFact = {
        ...content,
        ...(etag === undefined ? {} : { etag }),
        ...(since === undefined ? {} : { since }),
      };
      this.#options.facts?.put(FACT, keyOf(resource), remembered);
    }
    return { kind: 'file', file: { ...content, path } };
  }

  async #save(
    task: Task,
    vertex: Digest,
    resource: HttpResource,
    answer: HttpAnswer,
  ): Promise<{ digest: Digest; size: number; path: string }> {
    const { now, maxBytes = DEFAULT_MAX_BYTES } = this.#options;
    const tooLarge = (): TsbuildError =>
      new TsbuildError('TSB_NETWORK', `Cannot download ${shown(resource)}: it has more than ${maxBytes} bytes`);
    const encoded = /^(x-)?gzip$/i.test(answer.header('content-encoding') ?? '');
    const length = Number(answer.header('content-length') ?? Number.NaN);
    if (length > maxBytes) {
      answer.discard();
      throw tooLarge();
    }
    const total = encoded || Number.isNaN(length) ? {} : { total: length };
    const id = `downloading ${redactUrls(resource.url)}`;
    const directory = this.#options.temporary();
    const path = `${directory}/file`;
    const hasher = new Hasher();
    let fd: number | undefined;
    let reportedAt = -Infinity;
    const report = (completed: boolean): void => {
      const at = now();
      if (!completed && at - reportedAt < PROGRESS_INTERVAL) return;
      reportedAt = at;
      task.events({
        type: 'status',
        vertex,
        id,
        current: hasher.size,
        ...total,
        unit: 'bytes',
        at,
        ...(completed ? { completed } : {}),
      });
    };
    try {
      fd = fs.openSync(path, 'wx', 0o600);
      for await (const chunk of encoded ? gunzip(answer.stream()) : answer.stream()) {
        hasher.update(chunk);
        if (hasher.size > maxBytes) throw tooLarge();
        for (let done = 0; done < chunk.length;) done += fs.writeSync(fd, chunk, done);
        report(false);
      }
      report(true);
      return { digest: hasher.digest(), size: hasher.size, path };
    } catch (error) {
      fs.rmSync(directory, { recursive: true, force: true });
      if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT')
        throw storeError(
          error,
          `Cannot store what ${shown(resource)} gives in ${JSON.stringify(directory)}`,
          directory,
        );
      throw error;
    } finally {
      if (fd !== undefined) fs.closeSync(fd);
    }
  }
}

/** What a lock file has of an address. */
function contentOf({ pin, size, modified, disposition }: HttpPin): HttpContent {
  return {
    digest: pin,
    size,
    ...(modified === undefined ? {} : { lastModified: modified }),
    ...(disposition === undefined ? {} : { disposition }),
  };
}

function pinOf(ref: string, { digest, size, lastModified, disposition }: HttpContent): HttpPin {
  return {
    type: 'http',
    ref,
    pin: digest,
    size,
    ...(lastModified === undefined ? {} : { modified: lastModified }),
    ...(disposition === undefined ? {} : { disposition }),
  };
}

/** What a status means to the user. */
function statusError(resource: HttpResource, status: number): TsbuildError {
  const message = `Cannot download ${shown(resource)}: invalid response status ${status}`;
  if (status === 404 || status === 410) return new TsbuildError('TSB_NOT_FOUND', message);
  const host = new URL(resource.url).hostname;
  const denied = status === 401 || status === 403;
  return new TsbuildError(
    'TSB_NETWORK',
    message,
    denied ? { hint: `if it needs credentials: --secret id=HTTP_AUTH_TOKEN_${host},env=NAME` } : {},
  );
}

/** The server was not asked to compress, but some do. */
async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const input = Readable.from(source);
  const stream = createGunzip();
  input.on('error', (error) => stream.destroy(error));
  try {
    yield* input.pipe(stream) as AsyncIterable<Uint8Array>;
  } finally {
    input.destroy();
  }
}

/** The URL without credentials, which become a header (RFC 7617). @throws TsbuildError `TSB_CONTEXT` */
function parseUrl({ url: text, authorization }: HttpResource): {
  readonly url: URL;
  readonly authorization: string | undefined;
} {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new TsbuildError(
      'TSB_CONTEXT',
      `Cannot download ${JSON.stringify(redactUrls(text))}: it is not a web address`,
    );
  const { username, password } = url;
  url.username = '';
  url.password = '';
  url.hash = '';
  if (authorization !== undefined || (username === '' && password === '')) return { url, authorization };
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { url, authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** What makes it another resource: all that is sent. */
function keyOf({ url, headers, authName }: HttpResource): string {
  // The URL may have credentials in it, which must not get into the index.
  return canonicalDigest('tsbuild.http-resource.v1', { url, headers, auth: authName });
}

function shown(resource: HttpResource): string {
  return JSON.stringify(redactUrls(resource.url));
}

/** The end of the last year that dates have four digits for, in ms: lock files and the documents of images know no later one. */
const END_OF_DATES = 253_402_300_800_000;

/** A date header in seconds since the epoch. */
function parseDate(header: string | undefined): number | undefined {
  if (header === undefined || !/^[A-Z][a-z]+,? /.test(header)) return undefined;
  const time = Date.parse(header);
  return Number.isNaN(time) || time < 0 || time >= END_OF_DATES ? undefined : Math.floor(time / 1000);
}

/** Weak and strong tags name the same file here: it is hashed in any case. */
function sameTag(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a.replace(/^W\//, '') === b.replace(/^W\//, '');
}

function offlineError(doing: string, resource: HttpResource, error: unknown): TsbuildError {
  const { cause, message } = networkError(doing, new URL(resource.url).origin, error);
  return new TsbuildError('TSB_NETWORK', message, {
    cause,
    hint: 'is the machine online, and the address right? With --checksum a file that an earlier build had is used without asking',
  });
}
