import { createReadStream, closeSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import {
  type Descriptor,
  documentMediaType,
  filterReferrers,
  MAX_MANIFEST_BYTES,
  mediaTypes,
  parseDocument,
} from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { collect, type Digest, isTsbuildError, sha256 } from '../util/index.ts';
import { Fault } from './fault.ts';
import type { Repositories } from './repositories.ts';
import { digestOf, nameOf, type Route } from './route.ts';
import { rangeOf, type Uploads } from './uploads.ts';

/** A request with its path and query. */
export interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

type Reference = { readonly tag: string } | { readonly digest: Digest };

/** Answers requests by the distribution spec. Who may ask has been looked at. */
export class RegistryHandlers {
  readonly #store: Store;
  readonly #repositories: Repositories;
  readonly #uploads: Uploads;

  constructor(store: Store, repositories: Repositories, uploads: Uploads) {
    this.#store = store;
    this.#repositories = repositories;
    this.#uploads = uploads;
  }

  /** @throws Fault */
  async answer(route: Route, asked: Asked): Promise<void> {
    const method = asked.request.method ?? '';
    switch (route.kind) {
      case 'base':
        return only(method, ['GET', 'HEAD'], () => sendJson(asked, {}));
      case 'catalog':
        return only(method, ['GET', 'HEAD'], () => this.#catalog(asked));
      case 'tags':
        return only(method, ['GET', 'HEAD'], () => this.#tags(asked, route.name));
      case 'referrers':
        return only(method, ['GET', 'HEAD'], () => this.#referrers(asked, route.name, route.digest));
      case 'manifest':
        if (method === 'PUT') return this.#putManifest(asked, route.name, route.reference);
        if (method === 'DELETE') return this.#deleteManifest(asked, route.name, route.reference);
        return only(method, ['GET', 'HEAD'], () => this.#getManifest(asked, route.name, route.reference));
      case 'blob':
        return only(method, ['GET', 'HEAD'], () => this.#getBlob(asked, route.name, route.digest));
      case 'uploads':
        return only(method, ['POST'], () => this.#beginUpload(asked, route.name));
      case 'upload':
        return this.#upload(method, asked, route.name, route.id);
    }
  }

  #catalog(asked: Asked): void {
    const page = pageOf(this.#repositories.names(), asked.query);
    link(asked, '/v2/_catalog', page);
    sendJson(asked, { repositories: page.items });
  }

  #tags(asked: Asked, name: string): void {
    const tags = this.#repositories.tags(name);
    if (tags === undefined) throw new Fault(404, 'NAME_UNKNOWN', 'there is no such repository');
    const page = pageOf(tags, asked.query);
    link(asked, `/v2/${name}/tags/list`, page);
    sendJson(asked, { name, tags: page.items });
  }

  #getManifest({ response, request }: Asked, name: string, reference: Reference): void {
    const document = this.#repositories.document(name, reference);
    if (!document) throw new Fault(404, 'MANIFEST_UNKNOWN', 'there is no such manifest');
    const { digest, mediaType, size } = document.descriptor;
    response.writeHead(200, {
      'content-type': mediaType,
      'content-length': size,
      'docker-content-digest': digest,
      etag: `"${digest}"`,
    });
    response.end(request.method === 'HEAD' ? undefined : document.bytes);
  }

  async #putManifest({ request, response }: Asked, name: string, reference: Reference): Promise<void> {
    const bytes = await readBody(request, MAX_MANIFEST_BYTES);
    const digest = sha256(bytes);
    if ('digest' in reference && reference.digest !== digest)
      throw new Fault(400, 'DIGEST_INVALID', 'what was sent has another digest');
    const { mediaType, parts, subject } = readManifest(bytes, request.headers['content-type']);
    this.#requireParts(name, parts);
    // Held before it is written, and named after; the lease of the upload goes when nobody needs it.
    this.#uploads.hold(name, digest);
    for (const part of parts) this.#uploads.hold(name, part.digest);
    this.#requireParts(name, parts);
    this.#store.blobs.put(bytes);
    this.#repositories.put(name, reference, { mediaType, digest, size: bytes.length }, parts);
    response.writeHead(201, {
      location: `/v2/${name}/manifests/${digest}`,
      'docker-content-digest': digest,
      ...(subject === undefined ? {} : { 'oci-subject': subject }),
      'content-length': 0,
    });
    response.end();
  }

  /** @throws Fault for blobs and manifests that a repository does not have */
  #requireParts(name: string, parts: readonly Descriptor[]): void {
    const lacks = parts.find(
      ({ digest, size }) =>
        !(this.#uploads.holds(name, digest) || this.#repositories.has(name, digest)) ||
        !this.#store.blobs.has(digest, size),
    );
    if (lacks) throw new Fault(404, 'MANIFEST_BLOB_UNKNOWN', `the repository does not have ${lacks.digest}`);
  }

  #deleteManifest({ response }: Asked, name: string, reference: Reference): void {
    if (!this.#repositories.remove(name, reference))
      throw new Fault(404, 'MANIFEST_UNKNOWN', 'there is no such manifest');
    response.writeHead(202, { 'content-length': 0 }).end();
  }

  async #getBlob({ request, response }: Asked, name: string, digest: Digest): Promise<void> {
    const allowed = this.#uploads.holds(name, digest) || this.#repositories.has(name, digest);
    const opened = allowed ? this.#open(digest) : undefined;
    if (!opened) throw new Fault(404, 'BLOB_UNKNOWN', 'the repository does not have this blob');
    const { fd, size } = opened;
    const headers = {
      'content-type': 'application/octet-stream',
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'accept-ranges': 'bytes',
    };
    const range = byteRange(request.headers.range, size);
    if (range === 'unsatisfiable' || request.method === 'HEAD' || size === 0) {
      closeSync(fd);
      if (range === 'unsatisfiable')
        throw new Fault(416, 'RANGE_INVALID', 'the blob does not have these bytes', {
          'content-range': `bytes */${size}`,
        });
      response.writeHead(200, { ...headers, 'content-length': size }).end();
      return;
    }
    const { start, end } = range ?? { start: 0, end: size - 1 };
    response.writeHead(range ? 206 : 200, {
      ...headers,
      'content-length': end - start + 1,
      ...(range ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}),
    });
    await pipeline(createReadStream('', { fd, start, end, highWaterMark: 256 << 10 }), response);
  }

  #open(digest: Digest): { readonly fd: number; readonly size: number } | undefined {
    try {
      return this.#store.blobs.openRead(digest);
    } catch (error) {
      if (isTsbuildError(error, 'TSB_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  #referrers(asked: Asked, name: string, subject: Digest): void {
    const { manifests, filtered } = filterReferrers(
      this.#repositories.images(name).map(({ descriptor }) => descriptor),
      (descriptor) => this.#store.blobs.peek(descriptor.digest, MAX_MANIFEST_BYTES),
      subject,
      asked.query.get('artifactType') ?? undefined,
    );
    if (filtered) asked.response.setHeader('oci-filters-applied', 'artifactType');
    sendJson(asked, { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  }

  async #beginUpload({ request, response, query }: Asked, name: string): Promise<void> {
    const mount = query.get('mount');
    const from = query.get('from');
    if (mount !== null && from !== null && this.#mount(name, digestOf(mount), nameOf(from))) {
      response.writeHead(201, blobHeaders(name, digestOf(mount))).end();
      return;
    }
    if (query.has('digest')) return this.#takeWhole({ request, response, query }, name);
    const id = this.#uploads.begin(name);
    response.writeHead(202, uploadHeaders(name, id, 0)).end();
  }

  /** A blob in the request that asks for its upload: where that fails nobody knows of the upload, so it goes. */
  async #takeWhole(asked: Asked, name: string): Promise<void> {
    digestOf(asked.query.get('digest') ?? '');
    const id = this.#uploads.begin(name);
    try {
      await this.#finish(asked, name, id);
    } catch (error) {
      this.#uploads.forget(id);
      throw error;
    }
  }

  /** Whether a blob of another repository could be taken over. */
  #mount(name: string, digest: Digest, from: string): boolean {
    if (!this.#repositories.has(from, digest) && !this.#uploads.holds(from, digest)) return false;
    this.#uploads.hold(name, digest);
    return this.#store.blobs.has(digest);
  }

  async #upload(method: string, asked: Asked, name: string, id: string): Promise<void> {
    const { request, response } = asked;
    switch (method) {
      case 'PATCH': {
        const size = await this.#uploads.append(name, id, request, contentStart(request.headers['content-range']));
        response.writeHead(202, uploadHeaders(name, id, size)).end();
        return;
      }
      case 'PUT':
        return this.#finish(asked, name, id);
      case 'DELETE':
        this.#uploads.cancel(name, id);
        response.writeHead(204).end();
        return;
      default:
        return only(method, ['GET', 'HEAD'], () => {
          response.writeHead(204, uploadHeaders(name, id, this.#uploads.size(name, id))).end();
        });
    }
  }

  async #finish({ request, response, query }: Asked, name: string, id: string): Promise<void> {
    const digest = digestOf(query.get('digest') ?? '');
    await this.#uploads.append(name, id, request, contentStart(request.headers['content-range']));
    this.#uploads.finish(name, id, digest);
    response.writeHead(201, blobHeaders(name, digest)).end();
  }
}

/** What a manifest or index names, and must be there for it to be of use. @throws Fault */
function readManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
): { readonly mediaType: string; readonly parts: readonly Descriptor[]; readonly subject: Digest | undefined } {
  try {
    const declared = contentType?.split(';', 1)[0]?.trim();
    const mediaType = documentMediaType(bytes, declared, 'manifest');
    const document = parseDocument(bytes, mediaType, 'manifest');
    if (document.kind === 'index')
      return { mediaType, parts: document.index.manifests, subject: document.index.subject?.digest };
    const { config, layers, subject } = document.manifest;
    // Layers that may not be passed on are where their URLs say.
    const own = layers.filter(({ mediaType: type }) => !/nondistributable|\.foreign\./.test(type));
    return { mediaType, parts: [config, ...own], subject: subject?.digest };
  } catch (error) {
    if (isTsbuildError(error)) throw new Fault(400, 'MANIFEST_INVALID', error.message);
    throw error;
  }
}

/** A page of a sorted list (distribution-spec, "Listing Tags"). */
function pageOf(
  all: readonly string[],
  query: URLSearchParams,
): { items: readonly string[]; more: number | undefined } {
  const text = query.get('n');
  const last = query.get('last');
  const rest = last === null ? all : all.filter((item) => item > last);
  if (text === null) return { items: rest, more: undefined };
  if (!/^\d{1,9}$/.test(text)) throw new Fault(400, 'UNSUPPORTED', 'n is not a number');
  const n = Number(text);
  return { items: rest.slice(0, n), more: n > 0 && rest.length > n ? n : undefined };
}

function link({ response }: Asked, path: string, page: { items: readonly string[]; more: number | undefined }): void {
  if (page.more === undefined) return;
  const last = encodeURIComponent(page.items.at(-1) ?? '');
  response.setHeader('link', `<${path}?n=${page.more}&last=${last}>; rel="next"`);
}

function sendJson({ request, response }: Asked, value: unknown, type = 'application/json'): void {
  const body = JSON.stringify(value);
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** @throws Fault when the method is none of those that are possible */
async function only(method: string, possible: readonly string[], work: () => void | Promise<void>): Promise<void> {
  if (!possible.includes(method))
    throw new Fault(405, 'UNSUPPORTED', `${method} is not possible here`, { allow: possible.join(', ') });
  await work();
}

function blobHeaders(name: string, digest: Digest): Record<string, string | number> {
  return { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest, 'content-length': 0 };
}

function uploadHeaders(name: string, id: string, size: number): Record<string, string | number> {
  return {
    location: `/v2/${name}/blobs/uploads/${id}`,
    range: rangeOf(size),
    'docker-upload-uuid': id,
    'content-length': 0,
  };
}

/** Where a chunk belongs: `Content-Range: START-END`, without a unit. @throws Fault */
function contentStart(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const start = /^(?:bytes )?(\d{1,15})-\d{1,15}(?:\/\d+|\/\*)?$/.exec(header)?.[1];
  if (start === undefined) throw new Fault(416, 'RANGE_INVALID', 'the Content-Range cannot be read');
  return Number(start);
}

/** A `Range` header with one range (RFC 9110, 14.2); undefined for all of it, as for what is not understood. */
function byteRange(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (from === '' && to === '') return undefined;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size - 1 : Math.min(size - 1, Number(to));
  if (start > end) return 'unsatisfiable';
  return { start, end };
}

/** @throws Fault when it is larger */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const tooMuch = (): Fault => new Fault(413, 'SIZE_INVALID', `a manifest may have ${maxBytes} bytes`);
  return collect(request as AsyncIterable<Buffer>, { maxBytes, tooMuch });
}
