import type { ServerResponse } from 'node:http';
import type { Task } from '../events/index.ts';
import { type HttpAnswer, networkError } from '../registry/index.ts';
import { answerName, type RecordedAnswer } from '../pins/index.ts';
import type { BlobDir, Lease } from '../store/index.ts';
import { type Digest, isTsbuildError, roomAgain, TsbuildError } from '../util/index.ts';
import { hasBody, isLasting, keptHeaders, recordOf } from './answer.ts';
import type { Problems } from './problems.ts';
import { type ProxyRequest, SAFE_METHODS } from './proxy-request.ts';
import { refuse, sendBlob } from './send.ts';
import type { RecordMode, Tape } from './tape.ts';
import type { Upstream } from './upstream.ts';
import { isRedacted, writtenAddress } from './web-address.ts';
import { WholeBodies } from './whole-bodies.ts';

/** Bytes of a body that is recorded. */
const MAX_BODY = 64 * 1024 ** 3;

/** What the requests of all steps of a build share. */
export interface ExchangeOptions {
  readonly blobs: BlobDir;
  readonly lease: Lease;
  readonly tape: Tape;
  readonly upstream: Upstream;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Name of the lock file, for messages. */
  readonly lock: string;
  /** Requests that may change something on a server are sent too. */
  readonly allowOther: boolean;
  /** Bytes of one answer. Default 64 GiB. */
  readonly maxBody?: number;
  /** Set: no server is asked. @returns the error to be thrown */
  readonly offline: ((what: string) => TsbuildError) | undefined;
}

/** Whose request it is. */
export interface Asker {
  readonly task: Task;
  readonly step: string;
  readonly mode: RecordMode;
  readonly problems: Problems;
}

/** Answers requests: from what is recorded, and else, where that is allowed, by asking their servers and writing down what they say. */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #bodies: WholeBodies;
  /** Answers that are on their way. Whoever wants the same waits for it. */
  readonly #running = new Map<string, Promise<unknown>>();
  /** Where addresses that are written down without a part of them came from. */
  readonly #via = new Map<string, string>();

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#bodies = new WholeBodies(options.blobs);
  }

  /** Never rejects: what goes wrong is told to the client, and noted for the step. */
  async answer(asker: Asker, request: ProxyRequest, response: ServerResponse): Promise<void> {
    const what = `${request.method} ${request.written}`;
    try {
      await this.#answer(asker, request, response);
    } catch (error) {
      // The build has ended, or the step was cut off: nobody hears this any more.
      if (asker.task.signal.aborted) return void response.destroy();
      const hint = isTsbuildError(error) ? error.hint : undefined;
      const why = isTsbuildError(error)
        ? `could not be had: ${error.message}`
        : networkError('could not be had', request.url.host, error).message;
      asker.problems.note({ kind: 'unreachable', what, why, ...(hint === undefined ? {} : { hint }) });
      refuse(response, isTsbuildError(error, 'TSB_NETWORK') ? 403 : 502, `${what} ${why}`);
    }
  }

  async #answer(asker: Asker, request: ProxyRequest, response: ServerResponse): Promise<void> {
    const { tape, allowOther, lock } = this.#options;
    const { problems, mode, step } = asker;
    const what = `${request.method} ${request.written}`;
    const known = tape.find(request, mode, step);
    if (known) return this.#replay(asker, request, known, response);
    if (mode === 'locked') {
      const elsewhere = tape.isKnown(request) ? `is not what ${lock} has for this step` : `is not in ${lock}`;
      problems.note({ kind: 'new', what, why: elsewhere });
      return refuse(response, 403, `${what} ${elsewhere}, and --network=locked asks nobody; --network=record adds it`);
    }
    if (!allowOther && !SAFE_METHODS.includes(request.method)) {
      const why = 'may change something on its server, and is not sent';
      problems.note({ kind: 'refused', what, why, hint: 'if it only asks, build with --allow network.post' });
      return refuse(response, 403, `${what} ${why}; --allow network.post has it sent and recorded`);
    }
    const name = JSON.stringify([what, request.authorized, request.sent, request.headers['accept']]);
    const running = this.#running.get(name);
    if (running) {
      await running.catch(() => undefined);
      return this.#answer(asker, request, response);
    }
    const own = this.#record(asker, request, response).finally(() => this.#running.delete(name));
    this.#running.set(name, own);
    return own;
  }

  /** Asks the server, and writes down what it says while the client hears it. */
  async #record(asker: Asker, request: ProxyRequest, response: ServerResponse): Promise<void> {
    const { tape, upstream, offline } = this.#options;
    const { method, written } = request;
    if (offline) throw offline(`web address ${written}`);
    const answer = await upstream.send(asker.task, request);
    const record = recordOf(request, answer);
    this.#noteRedirect(request, answer);
    const via = isRedacted(written) ? this.#via.get(written) : undefined;
    const whole: RecordedAnswer = { ...record, ...(via === undefined ? {} : { via }) };
    const keep = (body: { readonly digest: Digest; readonly size: number } | undefined): RecordedAnswer => {
      if (!isLasting(answer.status)) return whole;
      const kept = tape.add({ ...whole, ...body });
      tape.use(kept, asker.step);
      return kept;
    };
    if (!hasBody(method, answer.status)) {
      answer.discard();
      keep(undefined);
      response.writeHead(answer.status, keptHeaders(method, answer)).end();
      return;
    }
    // A part of it is cut from the whole, which comes first.
    const live = request.range === undefined ? response : undefined;
    if (live) {
      const length = answer.header('content-length');
      const headers = keptHeaders(method, answer);
      live.writeHead(answer.status, { ...headers, ...(length === undefined ? {} : { 'content-length': length }) });
    }
    const kept = keep(await this.#download(answer, live, undefined));
    if (live) live.end();
    else await this.#sendKept(request, kept, response);
  }

  /** Remembers where an address came from that will be written down without a part of it. */
  #noteRedirect({ url, written }: ProxyRequest, answer: HttpAnswer): void {
    const location = answer.header('location');
    if (location === undefined || !URL.canParse(location, url.href)) return;
    const target = writtenAddress(new URL(location, url.href));
    if (isRedacted(target) && !isRedacted(written)) this.#via.set(target, written);
  }

  /**
   * Puts a body into the store, and passes it on meanwhile. The client does not get to its end before it is known to be what it should be.
   * @throws TsbuildError `TSB_DIGEST` and others; the client's connection is cut then
   */
  async #download(
    answer: HttpAnswer,
    response: ServerResponse | undefined,
    expected: { readonly digest: Digest; readonly size: number } | undefined,
  ): Promise<{ readonly digest: Digest; readonly size: number }> {
    const { blobs, lease, maxBody = MAX_BODY } = this.#options;
    using writer = blobs.ingest();
    let last: Uint8Array | undefined;
    try {
      for await (const chunk of answer.stream()) {
        writer.write(chunk);
        if (writer.size > maxBody) throw new TsbuildError('TSB_NETWORK', `it has more than ${maxBody} bytes`);
        if (last !== undefined) await pass(response, last);
        last = chunk;
      }
      // Held before it is there, so that nobody takes it away in between.
      const info = expected === undefined ? await writer.commitBeside() : writer.commit(expected);
      lease.hold({ blobs: [info.digest] });
      if (last !== undefined) await pass(response, last);
      return info;
    } catch (error) {
      response?.destroy();
      throw error;
    }
  }

  /** Answers with what is written down. What the store has no longer is fetched again, and must be the same. */
  async #replay(asker: Asker, request: ProxyRequest, known: RecordedAnswer, response: ServerResponse): Promise<void> {
    this.#options.tape.use(known, asker.step);
    const { digest, size, status } = known;
    if (digest === undefined || size === undefined || request.method === 'HEAD') {
      const length = request.method === 'HEAD' && size !== undefined ? { 'content-length': String(size) } : {};
      response.writeHead(status, { ...known.headers, ...length }).end();
      return;
    }
    const { blobs, lease, now } = this.#options;
    lease.hold({ blobs: [digest] });
    blobs.touch(digest, now());
    while (!(await this.#bodies.has(digest, size))) {
      const name = answerName(known);
      const running = this.#running.get(name);
      if (running) {
        await running.catch(() => undefined);
        continue;
      }
      const own = this.#fetchAgain(asker, request, known, { digest, size }).finally(() => this.#running.delete(name));
      this.#running.set(name, own);
      await own;
    }
    await this.#sendKept(request, known, response);
  }

  /** @throws TsbuildError when it is another one now, which the step cannot get over */
  async #fetchAgain(
    { task, problems }: Asker,
    request: ProxyRequest,
    known: RecordedAnswer,
    expected: { readonly digest: Digest; readonly size: number },
  ): Promise<void> {
    const { upstream, offline, lock } = this.#options;
    if (offline) throw offline(`what ${request.written} gave`);
    const { via } = known;
    // With what the step knows and the lock file must not: else nothing that was signed could be asked for again.
    const answer =
      via === undefined
        ? await upstream.send(task, request)
        : await upstream.send(task, { ...request, url: new URL(via) }, 'follow');
    try {
      if (answer.status !== known.status) {
        answer.discard();
        throw new TsbuildError('TSB_DIGEST', `its server answers ${answer.status}, which was ${known.status}`);
      }
      await this.#download(answer, undefined, expected);
    } catch (error) {
      if (!isTsbuildError(error, 'TSB_DIGEST')) throw error;
      const lost = new TsbuildError(
        'TSB_LOCK',
        `Cannot use ${request.method} ${request.written} as ${lock} has it (${expected.digest}): ${error.message}`,
        { hint: 'see what it is now with --network=record --update-lock', cause: error },
      );
      problems.fail(lost);
      throw lost;
    }
  }

  async #sendKept(request: ProxyRequest, known: RecordedAnswer, response: ServerResponse): Promise<void> {
    const { digest } = known;
    if (digest === undefined) return void response.writeHead(known.status, known.headers).end();
    await sendBlob(this.#options.blobs, request, { ...known, digest }, response);
  }
}

/** Passes a piece on, as fast as the client takes it. One who has gone away is no reason not to write the answer down. */
async function pass(response: ServerResponse | undefined, chunk: Uint8Array): Promise<void> {
  if (response === undefined || response.destroyed || response.write(chunk)) return;
  await roomAgain(response);
}
