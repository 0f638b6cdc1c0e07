import type { Task } from '../events/index.ts';
import type { HttpAnswer } from '../registry/index.ts';
import { randomHex, TsbuildError } from '../util/index.ts';
import type { AzureRequest } from './azure-key.ts';
import { eachOf, partsOf } from './parts.ts';
import type { Service, ServiceRequest } from './service.ts';
import type { ObjectContent } from './types.ts';
import { textOf } from './xml.ts';

/** Blobs are sent in one piece up to so many bytes, else in blocks of so many. */
const BLOCK_BYTES = 8 << 20;
/** What Azure takes of one blob. */
const MAX_BLOCKS = 50_000;
/** Blocks that are sent at a time. */
const AT_ONCE = 4;

/** A blob that is sent. */
export interface BlobUpload {
  readonly doing: string;
  /** Of the blob, with whatever is to stay in its query. */
  readonly url: URL;
  readonly content: ObjectContent;
  /** One that is there already is left as it is. */
  readonly ifAbsent: boolean;
  readonly authorize: (request: AzureRequest) => ServiceRequest;
  /** Asked, once, about an answer that is not what it should be. @returns whether to send the request again */
  readonly mend?: (task: Task, code: string) => Promise<boolean>;
}

/** Sends a block blob: what others see is all of it or nothing. */
export async function uploadBlob(task: Task, service: Service, upload: BlobUpload): Promise<void> {
  const { doing, content } = upload;
  if (content.size <= BLOCK_BYTES) {
    let body: Buffer = Buffer.alloc(0);
    for await (const part of partsOf(task, doing, content, BLOCK_BYTES)) body = part;
    await send(task, service, upload, '', body, { 'x-ms-blob-type': 'BlockBlob', ...condition(upload) });
    return;
  }
  // Blocks that two send at a time are in one set until they are listed, and the first list throws the others away.
  for (let tries = 1; ; tries++) {
    const nonce = randomHex(8);
    const ids: string[] = [];
    const size = Math.max(BLOCK_BYTES, Math.ceil(content.size / MAX_BLOCKS));
    await eachOf(task, partsOf(task, doing, content, size), AT_ONCE, async (own, part, index) => {
      const id = Buffer.from(`${nonce}-${String(index).padStart(6, '0')}`).toString('base64');
      ids[index] = id;
      await send(own, service, upload, `comp=block&blockid=${encodeURIComponent(id)}`, part, {});
    });
    const list = `<?xml version="1.0" encoding="utf-8"?><BlockList>${ids.map((id) => `<Latest>${id}</Latest>`).join('')}</BlockList>`;
    const code = await send(task, service, upload, 'comp=blocklist', Buffer.from(list), condition(upload));
    if (code !== 'InvalidBlockList') return;
    if (tries === 3) throw new TsbuildError('TSB_REGISTRY', `${doing}: others write the same blob all the time`);
  }
}

function condition({ ifAbsent }: BlobUpload): Readonly<Record<string, string>> {
  return ifAbsent ? { 'if-none-match': '*' } : {};
}

/** @returns the service's name for what kept it from being done, where that is fine; else empty */
async function send(
  task: Task,
  service: Service,
  upload: BlobUpload,
  query: string,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const { doing, authorize } = upload;
  const url = new URL(upload.url);
  url.search = [url.search.slice(1), query].filter((part) => part !== '').join('&');
  for (let mended = false; ; mended = true) {
    const { answer, body: said } = await service.exchange(task, doing, () =>
      authorize({ method: 'PUT', url, headers, body }),
    );
    if (answer.status >= 200 && answer.status < 300) return '';
    const code = codeOf(answer, said);
    if (headers['if-none-match'] !== undefined && (answer.status === 412 || code === 'BlobAlreadyExists'))
      return 'BlobAlreadyExists';
    if (code === 'InvalidBlockList') return code;
    if (mended || !(await upload.mend?.(task, code))) throw await service.failure(doing, answer, said);
  }
}

/** Azure's name for an error. */
export function codeOf(answer: Pick<HttpAnswer, 'header'>, body: Uint8Array): string {
  return answer.header('x-ms-error-code') ?? textOf(Buffer.from(body).toString(), 'Code') ?? '';
}
