import type { Task } from '../events/index.ts';
import { type HttpAnswer, isPassing, networkError, throwIfCanceled } from '../registry/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { Service, ServiceRequest } from './service.ts';
import type { GetOptions } from './types.ts';

/** An object that is loaded. */
export interface Download extends GetOptions {
  /** Begins messages. */
  readonly doing: string;
  /** Makes the request for it. @param range the header's value, if only a part is wanted */
  readonly make: (range: string | undefined) => ServiceRequest | Promise<ServiceRequest>;
  /** Whether an answer says that there is no such object. */
  readonly isAbsent: (answer: HttpAnswer) => boolean;
}

/** A transfer that gets on by so many bytes and breaks again begins to count its tries anew. */
const PROGRESS = 1 << 20;

/**
 * The bytes of an object; undefined when there is none. Where a connection breaks, the rest is asked for: objects do not change. One that is
 * replaced meanwhile, which its `ETag` shows, is an error instead.
 * @throws TsbuildError `TSB_DIGEST` for one that is too long or ends early; `TSB_REGISTRY`, `TSB_NETWORK`, the latter two while it is
 *   read, too
 */
export async function download(
  task: Task,
  service: Service,
  options: Download,
): Promise<AsyncGenerator<Uint8Array, void, undefined> | undefined> {
  const { doing, isAbsent } = options;
  const first = await ask(task, service, options, 0);
  if (isAbsent(first)) {
    first.discard();
    return undefined;
  }
  const size = await sizeOf(service, options, first, 0);
  if (size !== undefined && size > options.maxBytes) {
    first.discard();
    throw tooLong(doing, options.maxBytes);
  }
  return chunksOf(task, service, options, first, size);
}

function ask(task: Task, service: Service, { doing, make, range }: Download, from: number): Promise<HttpAnswer> {
  const start = (range?.start ?? 0) + from;
  const end = range === undefined ? '' : range.start + range.length - 1;
  return service.send(task, doing, () => make(range === undefined && from === 0 ? undefined : `bytes=${start}-${end}`));
}

/** Bytes that an answer has, from `from` of what is wanted on; undefined where it does not say. @throws TsbuildError when it is another part */
async function sizeOf(
  service: Service,
  { doing, range }: Download,
  answer: HttpAnswer,
  from: number,
): Promise<number | undefined> {
  const partial = range !== undefined || from > 0;
  if (answer.status !== (partial ? 206 : 200)) {
    if (answer.status === 416) {
      answer.discard();
      throw endsEarly(doing);
    }
    if (answer.status !== 200) throw await service.failure(doing, answer);
    answer.discard();
    throw new TsbuildError(
      'TSB_REGISTRY',
      `${doing}: the service sends whole objects only, where a part was asked for`,
    );
  }
  const length = answer.header('content-length');
  if (partial) {
    const start = (range?.start ?? 0) + from;
    const told = /^bytes (\d+)-(\d+)\//.exec(answer.header('content-range') ?? '');
    const [first, to, wanted] = [Number(told?.[1]), Number(told?.[2]), range && range.start + range.length - 1];
    if (first !== start || (wanted !== undefined && to !== wanted)) {
      answer.discard();
      throw first === start && wanted !== undefined && to < wanted ? endsEarly(doing) : otherPart(doing);
    }
    return to - start + 1;
  }
  return length === undefined ? undefined : Number(length);
}

async function* chunksOf(
  task: Task,
  service: Service,
  options: Download,
  first: HttpAnswer,
  size: number | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { doing, maxBytes } = options;
  const etag = first.header('etag');
  let answer = first;
  let received = 0;
  let best = 0;
  for (let tried = 1; ; tried++) {
    try {
      for await (const chunk of answer.stream()) {
        received += chunk.length;
        if (received > maxBytes) throw tooLong(doing, maxBytes);
        if (size !== undefined && received > size) throw otherPart(doing);
        yield chunk;
      }
      if (size !== undefined && received < size) throw endsEarly(doing);
      return;
    } catch (error) {
      throwIfCanceled(task);
      if (received - best >= PROGRESS) {
        best = received;
        tried = 1;
      }
      if (!isPassing(error) || tried >= service.attempts) throw networkError(doing, first.url.host, error);
    }
    await service.wait(task, tried, undefined);
    answer = await ask(task, service, options, received);
    const rest = await sizeOf(service, options, answer, received);
    if (size !== undefined && rest !== undefined && rest + received !== size) {
      answer.discard();
      throw otherPart(doing);
    }
    if (answer.header('etag') !== etag) {
      answer.discard();
      throw new TsbuildError('TSB_CHANGED', `${doing}: it was replaced while it was read`);
    }
  }
}

function tooLong(doing: string, maxBytes: number): TsbuildError {
  return new TsbuildError('TSB_DIGEST', `${doing}: it has more than the ${maxBytes} bytes that are expected at most`);
}

function endsEarly(doing: string): TsbuildError {
  return new TsbuildError('TSB_DIGEST', `${doing}: it ends early`);
}

function otherPart(doing: string): TsbuildError {
  return new TsbuildError('TSB_REGISTRY', `${doing}: the service sent another part of it than it was asked for`);
}
