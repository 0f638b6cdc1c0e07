import { createReadStream } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { RecordedAnswer } from '../pins/index.ts';
import type { BlobDir } from '../store/index.ts';
import { type Digest, sanitizeLine } from '../util/index.ts';
import { parseRange } from './byte-range.ts';
import type { ProxyRequest } from './proxy-request.ts';

/** Says no, in words that clients show: some show the reason, some the body. */
export function refuse(response: ServerResponse, status: number, why: string): void {
  if (response.headersSent) return void response.destroy();
  const text = sanitizeLine(why, 2000);
  // A reason is latin1 and one line.
  const reason = text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300);
  response.writeHead(status, `tsbuild: ${reason}`, {
    'content-type': 'text/plain; charset=utf-8',
    // What it would have sent on is not read.
    connection: 'close',
  });
  response.end(`tsbuild: ${text}\n`);
}

/** Sends a recorded body, or what of it is asked for: what a server with this very file would do. */
export async function sendBlob(
  blobs: BlobDir,
  request: ProxyRequest,
  known: RecordedAnswer & { readonly digest: Digest },
  response: ServerResponse,
): Promise<void> {
  const { status, headers, digest } = known;
  if (status === 200 && isUnchanged(request, headers)) {
    const { 'content-type': _type, 'content-encoding': _encoding, ...others } = headers;
    return void response.writeHead(304, others).end();
  }
  const { fd, size } = blobs.openRead(digest);
  const range = status === 200 && isSame(request.ifRange, headers) ? parseRange(request.range, size) : undefined;
  const ranges = status === 200 ? { 'accept-ranges': 'bytes' } : {};
  if (range === 'none')
    response.writeHead(416, { ...headers, ...ranges, 'content-range': `bytes */${size}`, 'content-length': 0 });
  else if (range === undefined) response.writeHead(status, { ...headers, ...ranges, 'content-length': size });
  else
    response.writeHead(206, {
      ...headers,
      ...ranges,
      'content-range': `bytes ${range.start}-${range.end - 1}/${size}`,
      'content-length': range.end - range.start,
    });
  const { start, end } = range === 'none' ? { start: 0, end: 0 } : (range ?? { start: 0, end: size });
  // An empty part cannot be read as one: the end of a stream is its last byte.
  const stream = createReadStream('', { fd, start, end: Math.max(start, end - 1), highWaterMark: 1 << 18 });
  try {
    if (end > start) await pipeline(stream, response);
    else response.end();
  } catch {
    // The client went away, or the disk failed: it sees that the body is cut.
    response.destroy();
  } finally {
    stream.destroy();
  }
}

/** Whether the client has what is recorded (RFC 9110, 13.1). Of the two questions the first one counts. */
function isUnchanged(
  { ifNoneMatch, ifModifiedSince, range }: ProxyRequest,
  headers: RecordedAnswer['headers'],
): boolean {
  if (range !== undefined) return false;
  const { etag, 'last-modified': modified } = headers;
  if (ifNoneMatch?.trim() === '*') return true;
  if (ifNoneMatch !== undefined)
    return (
      etag !== undefined && ifNoneMatch.split(',').some((tag) => withoutWeakness(tag.trim()) === withoutWeakness(etag))
    );
  return modified !== undefined && ifModifiedSince !== undefined && Date.parse(modified) <= Date.parse(ifModifiedSince);
}

function withoutWeakness(tag: string): string {
  return tag.replace(/^W\//, '');
}

/** Whether a client that has a part of something has a part of this (RFC 9110, 13.1.5). */
function isSame(ifRange: string | undefined, { etag, 'last-modified': modified }: RecordedAnswer['headers']): boolean {
  return ifRange === undefined || (ifRange === etag && !ifRange.startsWith('W/')) || ifRange === modified;
}
