import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/**
 * A server of ours that speaks as GitHub's cache service (version 2) does by what is known of its protocol: Twirp in JSON, bytes by signed
 * addresses as block blobs of Azure. It is not GitHub's, of which no copy can be had: what it does is what public clients expect.
 */
export interface ActionsCache extends AsyncDisposable {
  /** For `ACTIONS_RESULTS_URL`. */
  readonly url: string;
  /** A token for jobs of a branch, which also read what the default branch has. */
  token(branch: string): string;
  readonly entries: CacheEntry[];
  /** `METHOD name status`, e.g. `CreateCacheEntry 200`, `PUT blob 201`. */
  readonly requests: string[];
  /** Answers a request itself, instead of the service. @returns whether it did */
  interfere: (name: string, request: IncomingMessage, response: ServerResponse) => boolean;
  /** What a request waits for before it is looked at. */
  hold: (name: string) => Promise<void> | undefined;
  /** Entries that may still be created, before 429. */
  creations: number;
}

export interface CacheEntry {
  readonly branch: string;
  readonly key: string;
  readonly version: string;
  readonly blob: string;
  /** Undefined until it is finalized. */
  bytes: Buffer | undefined;
  /** When it was created, as a count. */
  readonly at: number;
}

export const DEFAULT_BRANCH = 'refs/heads/main';

export async function startActionsCache(): Promise<ActionsCache> {
  const tokens = new Map<string, string>();
  const uploads = new Map<string, { blocks: Map<string, Buffer>; bytes: Buffer | undefined }>();
  const signature = randomBytes(12).toString('base64');
  let count = 0;

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  const url = `http://127.0.0.1:${address.port}/`;
  const signed = (blob: string): string => `${url}blobs/${blob}?sig=${encodeURIComponent(signature)}`;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const at = new URL(request.url ?? '', url);
    const method = at.pathname.replace('/twirp/github.actions.results.api.v1.CacheService/', '');
    const name = at.pathname.startsWith('/blobs/') ? `${request.method} blob` : method;
    response.on('finish', () => cache.requests.push(`${name} ${response.statusCode}`));
    if (cache.interfere(name, request, response)) return;
    await cache.hold(name);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (at.pathname.startsWith('/blobs/')) blob(request, response, at, body);
    else twirp(request, response, method, body);
  }

  function twirp(request: IncomingMessage, response: ServerResponse, method: string, body: Buffer): void {
    const json = (status: number, document: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(document));
    };
    const branch = tokens.get(request.headers.authorization?.replace(/^Bearer /, '') ?? '');
    if (branch === undefined) {
      json(401, { code: 'unauthenticated', msg: `token ${request.headers.authorization} is not valid` });
      return;
    }
    if (request.method !== 'POST' || request.headers['content-type'] !== 'application/json') {
      json(404, { code: 'bad_route', msg: 'no such route' });
      return;
    }
    const {
      key,
      version,
      size_bytes: size,
      restore_keys: prefixes = [],
    } = JSON.parse(body.toString()) as {
      readonly key: string;
      readonly version: string;
      readonly size_bytes?: string;
      readonly restore_keys?: readonly string[];
    };
    if (key.length > 512 || key.includes(',')) {
      json(400, { code: 'invalid_argument', msg: 'key is not valid' });
      return;
    }
    const own = cache.entries.find(
      (entry) => entry.branch === branch && entry.key === key && entry.version === version,
    );
    switch (method) {
      case 'CreateCacheEntry': {
        if (cache.creations-- <= 0) {
          response.setHeader('retry-after', '1');
          json(429, { code: 'resource_exhausted', msg: 'too many entries' });
          return;
        }
        if (own !== undefined) {
          json(409, {
            code: 'already_exists',
            msg: `cache entry with the same key, version, and scope already exists`,
          });
          return;
        }
        const entry = { branch, key, version, blob: randomBytes(8).toString('hex'), bytes: undefined, at: ++count };
        cache.entries.push(entry);
        uploads.set(entry.blob, { blocks: new Map(), bytes: undefined });
        json(200, { ok: true, signed_upload_url: signed(entry.blob) });
        return;
      }
      case 'FinalizeCacheEntryUpload': {
        const uploaded = own && uploads.get(own.blob)?.bytes;
        if (own === undefined || uploaded === undefined || uploaded.length !== Number(size)) {
          json(400, { code: 'failed_precondition', msg: 'upload is not complete' });
          return;
        }
        own.bytes = uploaded;
        json(200, { ok: true, entry_id: String(own.at) });
        return;
      }
      case 'GetCacheEntryDownloadURL': {
        // The very key before its beginnings, the job's branch before the default one, what is newest first.
        const usable = cache.entries
          .filter((entry) => entry.version === version && entry.bytes !== undefined)
          .toReversed();
        const found = [branch, DEFAULT_BRANCH]
          .flatMap((scope) => [
            usable.find((entry) => entry.branch === scope && entry.key === key),
            ...prefixes.map((prefix) => usable.find((entry) => entry.branch === scope && entry.key.startsWith(prefix))),
          ])
          .find((entry) => entry !== undefined);
        if (found === undefined) json(200, { ok: false });
        else json(200, { ok: true, signed_download_url: signed(found.blob), matched_key: found.key });
        return;
      }
      default:
        json(404, { code: 'bad_route', msg: 'no such route' });
    }
  }

  /** What of Azure's block blobs clients of the cache use. */
  function blob(request: IncomingMessage, response: ServerResponse, at: URL, body: Buffer): void {
    const name = at.pathname.slice('/blobs/'.length);
    const upload = uploads.get(name);
    if (
      at.searchParams.get('sig') !== signature ||
      upload === undefined ||
      request.headers.authorization !== undefined
    ) {
      response.writeHead(403, { 'x-ms-error-code': 'AuthenticationFailed' }).end();
      return;
    }
    if (request.method === 'GET') {
      const bytes = cache.entries.find((entry) => entry.blob === name)?.bytes;
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
      if (bytes === undefined) response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end();
      else if (range === null)
        response.writeHead(200, { 'content-length': bytes.length, etag: `"${name}"` }).end(bytes);
      else {
        const start = Number(range[1]);
        const end = Math.min(range[2] === '' ? bytes.length - 1 : Number(range[2]), bytes.length - 1);
        const part = bytes.subarray(start, end + 1);
        response
          .writeHead(206, {
            'content-length': part.length,
            'content-range': `bytes ${start}-${end}/${bytes.length}`,
            etag: `"${name}"`,
          })
          .end(part);
      }
      return;
    }
    const isBlock = at.searchParams.get('comp') === 'block';
    if (isBlock) upload.blocks.set(at.searchParams.get('blockid') ?? '', body);
    else if (at.searchParams.get('comp') === 'blocklist') {
      const ids = [...body.toString().matchAll(/<Latest>([^<]*)<\/Latest>/g)].map((match) => match[1] ?? '');
      const blocks = ids.map((id) => upload.blocks.get(id));
      if (blocks.includes(undefined)) {
        response.writeHead(400, { 'x-ms-error-code': 'InvalidBlockList' }).end();
        return;
      }
      upload.bytes = Buffer.concat(blocks as Buffer[]);
    } else if (request.headers['x-ms-blob-type'] === 'BlockBlob') upload.bytes = body;
    else {
      response.writeHead(400, { 'x-ms-error-code': 'MissingRequiredHeader' }).end();
      return;
    }
    response.writeHead(201).end();
  }

  const cache: ActionsCache = {
    url,
    entries: [],
    requests: [],
    interfere: () => false,
    hold: () => undefined,
    creations: 200,
    token(branch) {
      const token = `job-token-${branch}-${randomBytes(8).toString('hex')}`;
      tokens.set(token, branch);
      return token;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return cache;
}
