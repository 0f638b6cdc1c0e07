import type { Task } from '../events/index.ts';
import type { HttpAnswer } from '../registry/index.ts';
import { TsbuildError } from '../util/index.ts';
import { AwsKeys, type AwsKeySources } from './aws-credentials.ts';
import { download } from './download.ts';
import { keyOfName, nameOfKey, type KeyPrefixes } from './key-prefixes.ts';
import { checkObjectName } from './name.ts';
import { partsOf } from './parts.ts';
import { type BucketAddress, bucketId, bucketUrl, encodeKey } from './s3-address.ts';
import { s3Hint } from './s3-errors.ts';
import { listBucket } from './s3-list.ts';
import { MultipartUpload } from './s3-multipart.ts';
import { type S3Request, type S3Signing, signed } from './s3-signing.ts';
import { Service, type Surroundings } from './service.ts';
import type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from './types.ts';
import { textOf } from './xml.ts';

/** A cache in a bucket of Amazon S3 or a service that speaks its protocol. */
export interface S3Options extends BucketAddress, KeyPrefixes {
  readonly keys: Omit<AwsKeySources, 'region'>;
  /** Parts of one object that are sent at a time. Default 4. */
  readonly uploadParallelism?: number;
  /** Tries per request, the first included. Default: as everywhere. */
  readonly attempts?: number;
  /** Objects younger than this are not touched, in ms. Default a day. */
  readonly touchRefreshMs?: number;
}

/** Objects are sent in one piece up to so many bytes, else in parts of so many: memory is that times the parallelism. */
const PART_BYTES = 8 << 20;
/** What S3 can copy in one request, in bytes, and so what can be touched. */
const COPY_LIMIT = 5 * 2 ** 30;

/** Objects in a bucket. */
export class S3Store implements ObjectStore, AsyncDisposable {
  readonly id: string;
  readonly #options: S3Options;
  readonly #service: Service;
  readonly #signing: S3Signing;

  /** @throws TsbuildError `TSB_USAGE` */
  constructor(options: S3Options, surroundings: Surroundings) {
    const { bucket, region } = options;
    this.#options = options;
    this.id = bucketId(options);
    const keys = new AwsKeys({ ...options.keys, region }, surroundings);
    this.#signing = { url: bucketUrl(options), region, keys, now: surroundings.now, cache: new Map() };
    const limits = {
      ...surroundings.limits,
      ...(options.attempts === undefined ? {} : { attempts: options.attempts }),
    };
    this.#service = new Service(
      { ...surroundings, limits },
      {
        secrets: () => [keys.last?.secretAccessKey ?? '', keys.last?.sessionToken ?? ''],
        hint: (said) => s3Hint(said, keys.last, bucket, region),
        // Two that write one name at a time: who comes second finds it written.
        isPassing: ({ status, method }) => status === 409 && method === 'PUT',
      },
    );
  }

  async get(task: Task, name: string, options: GetOptions): Promise<AsyncIterable<Uint8Array> | undefined> {
    const key = this.#key(name);
    return download(task, this.#service, {
      ...options,
      doing: `Cannot read ${JSON.stringify(name)} in ${this.id}`,
      make: (range) =>
        this.#signed(task, { method: 'GET', key, ...(range === undefined ? {} : { headers: { range } }) }),
      isAbsent: ({ status }) => status === 404,
    });
  }

  async head(task: Task, name: string): Promise<{ readonly size: number } | undefined> {
    const answer = await this.#head(task, name);
    return answer && { size: sizeOf(answer) };
  }

  async put(task: Task, name: string, content: ObjectContent, { ifAbsent = false }: PutOptions = {}): Promise<void> {
    const key = this.#key(name);
    const doing = `Cannot write ${JSON.stringify(name)} to ${this.id}`;
    if (content.size > PART_BYTES) {
      // Nothing is sent in vain; the condition on what completes the upload is for those who write it meanwhile.
      if (ifAbsent && (await this.head(task, name)) !== undefined) return;
      const { uploadParallelism = 4 } = this.#options;
      const upload = new MultipartUpload(
        { task, doing, key, content, ifAbsent, atOnce: uploadParallelism },
        (own, request) => this.#exchange(own, doing, request),
      );
      await upload.send(PART_BYTES);
      return;
    }
    let body: Buffer = Buffer.alloc(0);
    for await (const part of partsOf(task, doing, content, PART_BYTES)) body = part;
    await this.#exchange(task, doing, {
      method: 'PUT',
      key,
      body,
      ...(ifAbsent ? { headers: { 'if-none-match': '*' } } : {}),
    });
  }

  async *list(task: Task, prefix: string): AsyncGenerator<StoredObject, void, undefined> {
    const doing = `Cannot list ${this.id}`;
    for (const start of this.#listPrefixes(prefix)) {
      for await (const { key, ...object } of listBucket(doing, start, (request) =>
        this.#exchange(task, doing, request),
      )) {
        const name = nameOfKey(this.#options, key);
        if (name?.startsWith(prefix)) yield { name, ...object };
      }
    }
  }

  async touch(task: Task, name: string): Promise<void> {
    const { touchRefreshMs = 24 * 3_600_000, bucket } = this.#options;
    const answer = await this.#head(task, name);
    const writtenAt = Date.parse(answer?.header('last-modified') ?? '');
    if (answer === undefined || this.#signing.now() - writtenAt < touchRefreshMs) return;
    const doing = `Cannot touch ${JSON.stringify(name)} in ${this.id}`;
    if (sizeOf(answer) > COPY_LIMIT)
      throw new TsbuildError('TSB_REGISTRY', `${doing}: objects of more than 5 GiB cannot be made young again`);
    const key = this.#key(name);
    // A copy onto itself, which is only allowed when something about it changes: its metadata are said to.
    const headers = { 'x-amz-copy-source': `/${bucket}/${encodeKey(key)}`, 'x-amz-metadata-directive': 'REPLACE' };
    await this.#exchange(task, doing, { method: 'PUT', key, headers });
  }

  async delete(task: Task, name: string): Promise<void> {
    const doing = `Cannot delete ${JSON.stringify(name)} in ${this.id}`;
    await this.#exchange(task, doing, { method: 'DELETE', key: this.#key(name) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
  }

  #key(name: string): string {
    return keyOfName(this.#options, checkObjectName(name));
  }

  /** Where keys of names with a prefix begin: blobs may be elsewhere than the rest. */
  #listPrefixes(prefix: string): readonly string[] {
    const first = keyOfName(this.#options, prefix);
    const blobs = keyOfName(this.#options, 'blobs/');
    return 'blobs/'.startsWith(prefix) && !blobs.startsWith(first) ? [first, blobs] : [first];
  }

  #signed(task: Task, request: S3Request): ReturnType<typeof signed> {
    return signed(task, this.#signing, request);
  }

  async #head(task: Task, name: string): Promise<HttpAnswer | undefined> {
    const doing = `Cannot look for ${JSON.stringify(name)} in ${this.id}`;
    const key = this.#key(name);
    const answer = await this.#service.send(task, doing, () => this.#signed(task, { method: 'HEAD', key }));
    answer.discard();
    // A bucket that may not be listed answers 403 for what is not there. So does one that may not be read, and a GET says which it was.
    if (answer.status === 404 || answer.status === 403)
      return answer.status === 404 ? undefined : this.#denied(task, doing, key);
    if (answer.status !== 200) throw await this.#service.failure(doing, answer, Buffer.alloc(0));
    return answer;
  }

  /** An answer to HEAD has no words: what asks for one byte gets them. */
  async #denied(task: Task, doing: string, key: string): Promise<undefined> {
    const answer = await this.#service.send(task, doing, () =>
      this.#signed(task, { method: 'GET', key, headers: { range: 'bytes=0-0' } }),
    );
    throw await this.#service.failure(doing, answer);
  }

  /** Sends what answers with a document or nothing. An upload whose condition does not hold is done. */
  async #exchange(
    task: Task,
    doing: string,
    request: S3Request,
  ): Promise<{ readonly answer: HttpAnswer; readonly xml: string }> {
    const { answer, body } = await this.#service.exchange(task, doing, () => this.#signed(task, request));
    const xml = body.toString();
    const conditional = request.headers?.['if-none-match'] === '*';
    // 409 is for what somebody else is writing at this moment, even after some tries.
    const isThere = conditional && (answer.status === 412 || answer.status === 409);
    const isGone = request.method === 'DELETE' && answer.status === 404 && textOf(xml, 'Code') !== 'NoSuchBucket';
    // Copies and completed uploads begin their answer before they know how it ends.
    const failed =
      answer.status === 200 && /^\s*(?:<\?[^>]*>)?\s*<Error[\s>]/.test(xml) && textOf(xml, 'Code') !== undefined;
    if ((answer.status < 200 || answer.status > 299 || failed) && !isThere && !isGone)
      throw await this.#service.failure(doing, answer, body);
    return { answer, xml };
  }
}

function sizeOf(answer: HttpAnswer): number {
  const size = Number(answer.header('content-length'));
  return Number.isSafeInteger(size) ? size : 0;
}
