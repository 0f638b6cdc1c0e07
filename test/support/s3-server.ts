import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request as forward, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignatureV4 } from '@smithy/signature-v4';
import S3rver from 's3rver';

/** Whom the server lets in. */
export const S3_KEY = { accessKeyId: 'AKIATESTTESTTEST', secretAccessKey: 'wJalr/XUtnFEMI+K7MDENG=bPxRfi' };
export const S3_BUCKET = 'cache-bucket';
export const S3_REGION = 'eu-central-1';

/** A request as it came, and what was made of it. */
export interface SeenS3Request {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  status: number;
}

/** An S3 service on a loopback address: npm's s3rver behind a server of ours that does what it leaves out. */
export interface S3Server extends AsyncDisposable {
  readonly url: string;
  readonly requests: SeenS3Request[];
  /** Answers a request itself, instead of the service. @returns whether it did */
  interfere: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** What `@smithy/signature-v4` wants of a hash. */
class Sha256 {
  readonly #hash = createHash('sha256');
  readonly #key: string | ArrayBuffer | ArrayBufferView | undefined;
  readonly #data: Uint8Array[] = [];

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#key = key;
  }

  update(data: Uint8Array | string): void {
    this.#data.push(Buffer.from(data as Uint8Array));
  }

  async digest(): Promise<Uint8Array> {
    const { createHmac } = await import('node:crypto');
    const key = this.#key;
    const hash =
      key === undefined
        ? this.#hash
        : createHmac('sha256', typeof key === 'string' ? key : Buffer.from(key as Uint8Array));
    for (const data of this.#data) hash.update(data);
    return new Uint8Array(hash.digest());
  }

  reset(): void {
    this.#data.length = 0;
  }
}

/** Why a request is not as its sender signed it, by Amazon's own implementation; undefined when it is. */
async function forgery(request: IncomingMessage, body: Buffer): Promise<string | undefined> {
  const { authorization = '', ...headers } = request.headers;
  const [, id, date, region, service, names = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      authorization,
    ) ?? [];
  if (id === undefined) return 'AccessDenied';
  if (id !== S3_KEY.accessKeyId) return 'InvalidAccessKeyId';
  if (region !== S3_REGION || service !== 's3') return 'AuthorizationHeaderMalformed';
  const signedNames = names.split(';');
  // All that could change what is done must be signed.
  const unsigned = Object.keys(headers).filter(
    (name) => (name.startsWith('x-amz-') || name === 'host' || name.startsWith('if-')) && !signedNames.includes(name),
  );
  if (unsigned.length > 0) return 'AccessDenied';
  if (headers['x-amz-content-sha256'] !== createHash('sha256').update(body).digest('hex'))
    return 'XAmzContentSHA256Mismatch';
  const at = String(headers['x-amz-date']).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  if (!String(headers['x-amz-date']).startsWith(date ?? '-')) return 'SignatureDoesNotMatch';
  const url = new URL(request.url ?? '', `http://${headers.host}`);
  const signer = new SignatureV4({
    credentials: S3_KEY,
    region: S3_REGION,
    service: 's3',
    sha256: Sha256,
    uriEscapePath: false,
  });
  const again = await signer.sign(
    {
      method: request.method ?? '',
      protocol: 'http:',
      hostname: url.hostname,
      port: Number(url.port),
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: Object.fromEntries(signedNames.map((name) => [name, String(headers[name])])),
    },
    { signingDate: new Date(at) },
  );
  return again.headers['authorization']?.endsWith(`Signature=${signature}`) ? undefined : 'SignatureDoesNotMatch';
}

export async function startS3Server(): Promise<S3Server> {
  const directory = mkdtempSync(join(tmpdir(), 'tsbuild-s3-'));
  const service = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory,
    configureBuckets: [{ name: S3_BUCKET }],
  });
  const { port } = await service.run();
  const front = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy());
  });
  const writing = new Set<string>();
  /** The last write of each object. */
  const writes = new Map<string, Promise<unknown>>();

  /** S3 answers a write when the object is there whole, and of two writers one wins; s3rver writes in place, and answers before the end. */
  async function write(path: string, request: Parameters<typeof pass>[1], body: Buffer): Promise<Passed> {
    const before = writes.get(path) ?? Promise.resolve();
    const written = before.then(async () => {
      const answer = await pass(port, request, body);
      // What is read while s3rver still writes may be longer than its length said: an error of the protocol, for which another read is due.
      const isWhole = (): Promise<boolean> =>
        pass(port, { method: 'GET', url: path, headers: {} }, Buffer.alloc(0)).then(
          (read) => read.body.equals(body),
          () => false,
        );
      if (answer.status === 200) for (let tries = 0; tries < 100 && !(await isWhole()); tries++) await sleep(5);
      return answer;
    });
    writes.set(
      path,
      written.catch(() => undefined),
    );
    return written;
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const seen: SeenS3Request = { method, url, headers, status: 0 };
    server.requests.push(seen);
    response.on('finish', () => (seen.status = response.statusCode));
    if (server.interfere(request, response)) return;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const refuse = (status: number, code: string): void => {
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(
        `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>Refused &lt;here&gt;</Message></Error>`,
      );
    };
    const forged = await forgery(request, body);
    if (forged !== undefined) {
      refuse(forged === 'AuthorizationHeaderMalformed' ? 400 : 403, forged);
      return;
    }
    // Conditional writes, which s3rver does not know.
    const path = url.replace(/\?.*/, '');
    const conditional = headers['if-none-match'] === '*';
    if (conditional && writing.has(path)) {
      refuse(409, 'ConditionalRequestConflict');
      return;
    }
    if (conditional) writing.add(path);
    try {
      if (
        conditional &&
        (await pass(port, { method: 'HEAD', url: path, headers: {} }, Buffer.alloc(0))).status === 200
      ) {
        refuse(412, 'PreconditionFailed');
        return;
      }
      // Whose request it is was found out above; s3rver knows other keys.
      const { authorization: _, ...passed } = headers;
      const isWhole = method === 'PUT' && url === path && headers['x-amz-copy-source'] === undefined;
      if (!isWhole) await writes.get(path);
      const answer = await (isWhole
        ? write(path, { method, url, headers: passed }, body)
        : pass(port, { method, url, headers: passed }, body));
      response.writeHead(answer.status, answer.headers);
      response.end(answer.body);
    } finally {
      if (conditional) writing.delete(path);
    }
  }

  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const address = front.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  const server: S3Server = {
    url: `http://127.0.0.1:${address.port}`,
    requests: [],
    interfere: () => false,
    async [Symbol.asyncDispose]() {
      front.closeAllConnections();
      await new Promise((resolve) => front.close(resolve));
      await service.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return server;
}

interface Passed {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

function pass(
  port: number,
  { method, url, headers }: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  body: Buffer,
): Promise<Passed> {
  return new Promise((resolve, reject) => {
    const onward = forward(
      {
        host: '127.0.0.1',
        port,
        ...(method === undefined ? {} : { method }),
        ...(url === undefined ? {} : { path: url }),
        headers,
        // A connection that was kept may be closed by the other side just now.
        agent: false,
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('close', () => {
          if (!answer.complete) reject(new Error('The answer was cut off'));
          else resolve({ status: answer.statusCode ?? 500, headers: answer.headers, body: Buffer.concat(chunks) });
        });
      },
    );
    onward.on('error', reject);
    onward.end(body);
  });
}
