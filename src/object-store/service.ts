import { setTimeout as sleep } from 'node:timers/promises';
import type { Task } from '../events/index.ts';
import {
  type HttpAnswer,
  HttpClient,
  type HttpClientOptions,
  type HttpRequest,
  isPassing,
  isPassingStatus,
  networkError,
  throwIfCanceled,
  waitForRetry,
} from '../registry/index.ts';
import { type Said, saidBy, serviceError } from './service-error.ts';

/** Documents of a service (lists, tokens, errors) are never larger, in bytes. */
const DOCUMENT_LIMIT = 8 << 20;
/** What is read of an error, in bytes. */
const ERROR_LIMIT = 64 << 10;

/** One request; `redirects` is `refuse` unless it says otherwise: what signs for one host says nothing to another. */
export type ServiceRequest = Pick<HttpRequest, 'method' | 'url' | 'headers' | 'authorization' | 'body'> & {
  readonly redirects?: HttpRequest['redirects'];
};

/** What a service's client needs of its surroundings: proxies, certificates, limits, the clock. */
export type Surroundings = Omit<HttpClientOptions, 'config' | 'credentials' | 'now'> & {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
};

/** What one service says about itself. */
export interface ServiceTraits {
  /** Secrets that no message may repeat, as they are at the time of the call. */
  readonly secrets: () => readonly string[];
  /** What helps against an answer, if anything is known to. */
  readonly hint: (said: Said) => string | undefined;
  /** A status that asks to come again, besides those that do everywhere. */
  readonly isPassing?: (answer: HttpAnswer) => boolean;
  /** Told of a request before each try; may wait, or throw where no more are allowed. */
  readonly beforeTry?: (task: Task, doing: string, request: ServiceRequest) => Promise<void>;
  /** Told of each answer. */
  readonly onAnswer?: (request: ServiceRequest, answer: HttpAnswer) => void;
}

/**
 * Sends requests to a service that is not a registry: each is made anew for every try, since signatures age; what may pass is tried again
 * with growing waits, as `Retry-After` says; errors name what was being done and never what the service was sent to know us by.
 */
export class Service implements AsyncDisposable {
  readonly #http: HttpClient;
  readonly #traits: ServiceTraits;
  readonly #now: () => number;

  constructor(surroundings: Surroundings, traits: ServiceTraits) {
    this.#http = new HttpClient(surroundings);
    this.#now = surroundings.now;
    this.#traits = traits;
  }

  /** Tries per request. */
  get attempts(): number {
    return this.#http.limits.attempts;
  }

  /**
   * Any answer that is final; its body has not been read.
   * @param doing begins messages, e.g. `Cannot write "blobs/…" to s3://bucket`
   * @throws TsbuildError `TSB_NETWORK`, `TSB_CANCELED`, and what making the request throws
   */
  async send(task: Task, doing: string, make: () => ServiceRequest | Promise<ServiceRequest>): Promise<HttpAnswer> {
    for (let tried = 1; ; tried++) {
      const request = await make();
      await this.#traits.beforeTry?.(task, doing, request);
      let answer: HttpAnswer | undefined;
      let failure: unknown;
      try {
        answer = await this.#http.send(task, { redirects: 'refuse', insecure: false, ...request });
      } catch (error) {
        throwIfCanceled(task);
        failure = error;
      }
      if (answer !== undefined) {
        this.#traits.onAnswer?.(request, answer);
        if (!isPassingStatus(answer.status) && this.#traits.isPassing?.(answer) !== true) return answer;
      } else if (!isPassing(failure)) throw this.#unreachable(doing, request, failure);
      const last = tried >= this.attempts || !(await this.wait(task, tried, answer?.header('retry-after')));
      if (!last) answer?.discard();
      else if (answer !== undefined) return answer;
      else throw this.#unreachable(doing, request, failure);
    }
  }

  /** The same with the whole body, which is asked for again when the connection breaks within it. */
  async exchange(
    task: Task,
    doing: string,
    make: () => ServiceRequest | Promise<ServiceRequest>,
  ): Promise<{ readonly answer: HttpAnswer; readonly body: Buffer }> {
    for (let tried = 1; ; tried++) {
      const answer = await this.send(task, doing, make);
      const ok = answer.status >= 200 && answer.status < 300;
      try {
        return { answer, body: await answer.small(ok ? DOCUMENT_LIMIT : ERROR_LIMIT) };
      } catch (error) {
        throwIfCanceled(task);
        if (!ok) return { answer, body: Buffer.alloc(0) };
        if (!isPassing(error) || tried >= this.attempts) throw networkError(doing, answer.url.host, error);
        await this.wait(task, tried, undefined);
      }
    }
  }

  /** Waits before another try. @returns false, at once, where the service asks for more patience than we have */
  wait(task: Task, tried: number, retryAfter: string | undefined): Promise<boolean> {
    return waitForRetry(task, this.#http.limits, tried, retryAfter, this.#now);
  }

  /** The error for an answer that is not what was asked for. @param body if it has been read already */
  async failure(doing: string, answer: HttpAnswer, body?: Uint8Array): Promise<Error> {
    const text = body ?? (await answer.small(ERROR_LIMIT).catch(() => Buffer.alloc(0)));
    const secrets = [...answer.sent, ...this.#traits.secrets()];
    return serviceError(doing, answer, saidBy(answer, text, secrets), this.#traits.hint);
  }

  /** The error for a host that cannot be reached. */
  #unreachable(doing: string, request: ServiceRequest, error: unknown): Error {
    return networkError(doing, request.url.host, error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

/** Waits, and stops waiting when the task is canceled. @param ms milliseconds */
export async function pause(task: Task, ms: number): Promise<void> {
  try {
    await sleep(ms, undefined, { signal: task.signal });
  } catch {
    throwIfCanceled(task);
  }
}
