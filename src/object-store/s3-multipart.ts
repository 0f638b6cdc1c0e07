import type { Task } from '../events/index.ts';
import type { HttpAnswer } from '../registry/index.ts';
import { TsbuildError } from '../util/index.ts';
import { eachOf, partsOf } from './parts.ts';
import type { S3Request } from './s3-signing.ts';
import type { ObjectContent } from './types.ts';
import { escapeXml, textOf } from './xml.ts';

/** What S3 takes of one object. */
const MAX_PARTS = 10_000;

/** An object that is sent in parts. */
export interface MultipartOptions {
  readonly task: Task;
  readonly doing: string;
  readonly key: string;
  readonly content: ObjectContent;
  readonly ifAbsent: boolean;
  /** Parts that are sent at a time. */
  readonly atOnce: number;
}

type Exchange = (task: Task, request: S3Request) => Promise<{ readonly answer: HttpAnswer; readonly xml: string }>;

/** Sends an object in parts (S3's multipart upload): visible once all are there, and thrown away when one fails. */
export class MultipartUpload {
  readonly #options: MultipartOptions;
  readonly #exchange: Exchange;

  constructor(options: MultipartOptions, exchange: Exchange) {
    this.#options = options;
    this.#exchange = exchange;
  }

  /** @param partBytes the least length of a part but the last; larger ones are made of what has more than 10,000 */
  async send(partBytes: number): Promise<void> {
    const { task, doing, key, content, ifAbsent, atOnce } = this.#options;
    const { xml } = await this.#exchange(task, { method: 'POST', key, query: { uploads: '' } });
    const uploadId = textOf(xml, 'UploadId');
    if (uploadId === undefined || uploadId === '')
      throw new TsbuildError('TSB_REGISTRY', `${doing}: the service did not begin an upload`);
    try {
      const etags: string[] = [];
      const size = Math.max(partBytes, Math.ceil(content.size / MAX_PARTS));
      await eachOf(task, partsOf(task, doing, content, size), atOnce, async (own, body, index) => {
        const query = { partNumber: String(index + 1), uploadId };
        const { answer } = await this.#exchange(own, { method: 'PUT', key, query, body });
        etags[index] = answer.header('etag') ?? '';
      });
      const parts = etags.map(
        (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(etag)}</ETag></Part>`,
      );
      await this.#exchange(task, {
        method: 'POST',
        key,
        query: { uploadId },
        headers: { 'content-type': 'application/xml', ...(ifAbsent ? { 'if-none-match': '*' } : {}) },
        body: Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`),
      });
    } catch (error) {
      await this.#abort(key, uploadId);
      throw error;
    }
  }

  /** Parts of an upload that nobody completes are kept, and paid for, until somebody deletes them. Also when the task is canceled. */
  async #abort(key: string, uploadId: string): Promise<void> {
    const task: Task = { ...this.#options.task, signal: AbortSignal.timeout(5000) };
    await this.#exchange(task, { method: 'DELETE', key, query: { uploadId } }).catch(() => undefined);
  }
}
