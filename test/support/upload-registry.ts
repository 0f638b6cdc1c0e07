import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Digest } from '../../src/util/index.ts';

/** What goes wrong with a request. */
export type Fault =
  /** Another answer than the right one; the request changes nothing. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** The connection is cut before anything is read. */
  | 'reset'
  /** So many bytes of the body arrive, and count, and then the connection is cut. */
  | { readonly cutAfter: number }
  /** All is done as it should be, and the answer is lost. */
  | 'lost'
  /** The upload is forgotten first. */
  | 'forget';

export interface UploadRequest {
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** Bytes of the body that arrived. */
  bytes: number;
}

/**
 * A registry in memory with the uploads of the distribution-spec (1.1): monolithic, in parts, with their state, and mounts; whose
 * connections, answers and memory fail as a test says. It refuses what a real one refuses: parts that do not fit, blobs of another digest,
 * manifests before their blobs.
 */
export interface UploadRegistry extends AsyncDisposable {
  readonly host: string;
  readonly requests: UploadRequest[];
  /** By repository and digest. */
  readonly blobs: Map<string, Buffer>;
  /** By repository and tag or digest. */
  readonly manifests: Map<string, { readonly type: string; readonly bytes: Buffer }>;
  /** Asked before every request; the last one is that request. */
  fault: (request: UploadRequest, requests: readonly UploadRequest[]) => Fault | undefined;
  /** Whether it knows of referrers. */
  referrers: boolean;
  /** Bodies are at most so long. */
  maxBody: number;
  /** What it says that parts must be at least. */
  minChunk: number;
  /** Whether one repository may take blobs over from another. */
  mounts: boolean;
  /** Uploads that are open. */
  readonly uploads: ReadonlyMap<string, Buffer>;
}

const digestOf = (bytes: Buffer): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export async function startUploadRegistry(): Promise<UploadRegistry> {
  const uploads = new Map<string, Buffer>();
  let count = 0;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const seen: UploadRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      bytes: 0,
    };
    registry.requests.push(seen);
    const fault = registry.fault(seen, registry.requests);
    if (fault === 'reset') {
      request.socket.destroy();
      return;
    }
    const id = /\/blobs\/uploads\/([^/]+)$/.exec(seen.path)?.[1];
    if (fault === 'forget' && id !== undefined) uploads.delete(id);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => {
      const limit = typeof fault === 'object' && 'cutAfter' in fault ? fault.cutAfter : Number.POSITIVE_INFINITY;
      const kept = chunk.subarray(0, Math.max(0, limit - seen.bytes));
      chunks.push(kept);
      seen.bytes += kept.length;
      if (seen.bytes < limit) return;
      if (id !== undefined && uploads.has(id))
        uploads.set(id, Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), ...chunks]));
      request.socket.destroy();
    });
    request.on('end', () => {
      if (request.socket.destroyed) return;
      if (typeof fault === 'object' && 'status' in fault) {
        response.writeHead(fault.status, fault.headers).end(request.method === 'HEAD' ? undefined : fault.body);
        return;
      }
      const socket = request.socket;
      answer(seen, Buffer.concat(chunks), id, fault === 'lost' ? undefined : response);
      if (fault === 'lost') socket.destroy();
    });
    request.on('error', () => undefined);
  });

  /** Does what is asked; says so where there is somebody to tell. */
  function answer(
    seen: UploadRequest,
    body: Buffer,
    id: string | undefined,
    response: ServerResponse | undefined,
  ): void {
    const reply = (status: number, headers: Record<string, string> = {}, text?: string | Buffer): void => {
      response?.writeHead(status, headers).end(seen.method === 'HEAD' ? undefined : text);
    };
    const refuse = (status: number, code: string): void =>
      reply(status, {}, JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }));
    const repository = /^\/v2\/(.+?)\/(?:blobs|manifests|referrers)\//.exec(seen.path)?.[1] ?? '';
    const last = decodeURIComponent(seen.path.split('/').at(-1) ?? '');
    const place = (upload: string): Record<string, string> => ({
      location: `/v2/${repository}/blobs/uploads/${upload}?s=${count++}`,
    });
    const store = (bytes: Buffer): void => {
      const digest = seen.query.get('digest') ?? '';
      if (digestOf(bytes) !== digest) return refuse(400, 'DIGEST_INVALID');
      registry.blobs.set(`${repository}@${digest}`, bytes);
      reply(201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest });
    };
    if (body.length > registry.maxBody) return refuse(413, 'SIZE_INVALID');
    if (seen.path.includes('/manifests/')) {
      const key = `${repository}:${last}`;
      if (seen.method !== 'PUT') {
        const found = registry.manifests.get(key);
        if (found === undefined) return refuse(404, 'MANIFEST_UNKNOWN');
        return reply(
          200,
          {
            'content-type': found.type,
            'docker-content-digest': digestOf(found.bytes),
            'content-length': String(found.bytes.length),
          },
          found.bytes,
        );
      }
      const document = JSON.parse(body.toString()) as {
        config?: { digest: string };
        layers?: { digest: string; mediaType: string }[];
        manifests?: { digest: string }[];
        subject?: { digest: string };
      };
      const isList = last.startsWith('sha256-');
      const blobs = [...(document.config ? [document.config] : []), ...(document.layers ?? [])].filter(
        (layer) => !('mediaType' in layer && String(layer.mediaType).includes('foreign')),
      );
      if (blobs.some(({ digest }) => !registry.blobs.has(`${repository}@${digest}`)))
        return refuse(400, 'BLOB_UNKNOWN');
      if (
        !isList &&
        (document.manifests ?? []).some(({ digest }) => !registry.manifests.has(`${repository}:${digest}`))
      )
        return refuse(400, 'MANIFEST_UNKNOWN');
      const manifest = { type: seen.headers['content-type'] ?? '', bytes: body };
      registry.manifests.set(key, manifest);
      registry.manifests.set(`${repository}:${digestOf(body)}`, manifest);
      return reply(201, {
        'docker-content-digest': digestOf(body),
        ...(registry.referrers && document.subject ? { 'oci-subject': document.subject.digest } : {}),
      });
    }
    if (seen.path.includes('/referrers/')) {
      if (!registry.referrers) return refuse(404, 'NOT_FOUND');
      const entries = [...registry.manifests.entries()]
        .filter(([key]) => key.startsWith(`${repository}:sha256:`))
        .map(([, { type, bytes }]) => ({
          type,
          bytes,
          document: JSON.parse(bytes.toString()) as Record<string, unknown>,
        }))
        .filter(({ document }) => (document['subject'] as { digest?: string } | undefined)?.digest === last)
        .map(({ type, bytes, document }) => ({
          mediaType: type,
          digest: digestOf(bytes),
          size: bytes.length,
          artifactType: document['artifactType'],
        }));
      const mediaType = 'application/vnd.oci.image.index.v1+json';
      return reply(
        200,
        { 'content-type': mediaType },
        JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries }),
      );
    }
    if (seen.method === 'HEAD' || (seen.method === 'GET' && last.startsWith('sha256:'))) {
      const blob = registry.blobs.get(`${repository}@${last}`);
      return blob === undefined ? reply(404) : reply(200, { 'content-length': String(blob.length) }, blob);
    }
    if (seen.method === 'POST') {
      const [mount, from] = [seen.query.get('mount'), seen.query.get('from')];
      const known = registry.blobs.get(`${from}@${mount}`);
      if (known !== undefined && registry.mounts) {
        registry.blobs.set(`${repository}@${mount}`, known);
        return reply(201, { location: `/v2/${repository}/blobs/${mount}` });
      }
      const upload = String(count++);
      uploads.set(upload, Buffer.alloc(0));
      const least = registry.minChunk === 0 ? {} : { 'oci-chunk-min-length': String(registry.minChunk) };
      return reply(202, { ...place(upload), ...least });
    }
    const state = uploads.get(id ?? '');
    if (id === undefined || state === undefined) return refuse(404, 'BLOB_UPLOAD_UNKNOWN');
    if (seen.method === 'DELETE') {
      uploads.delete(id);
      return reply(204);
    }
    const range = { range: `0-${Math.max(0, state.length - 1)}` };
    if (seen.method === 'GET') return reply(204, { ...place(id), ...range });
    if (seen.method === 'PUT') {
      uploads.delete(id);
      return store(Buffer.concat([state, body]));
    }
    const [start, end] = (seen.headers['content-range'] ?? '').split('-').map(Number);
    if (start !== state.length || end !== state.length + body.length - 1) return reply(416, { ...place(id), ...range });
    const grown = Buffer.concat([state, body]);
    uploads.set(id, grown);
    return reply(202, { ...place(id), range: `0-${grown.length - 1}` });
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  const registry: UploadRegistry = {
    host: `127.0.0.1:${address.port}`,
    requests: [],
    blobs: new Map(),
    manifests: new Map(),
    fault: () => undefined,
    referrers: true,
    maxBody: Number.POSITIVE_INFINITY,
    minChunk: 0,
    mounts: true,
    uploads,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return registry;
}
