import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

/** One request as the scripted registry saw it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What to do with a request: an answer as data, or a function that answers, well or badly, by itself. */
export type Reply =
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | Uint8Array;
    }
  | ((request: IncomingMessage, response: ServerResponse) => void);

/** An HTTP(S) server in this process whose every answer a test writes, for registries that misbehave. */
export interface ScriptedRegistry extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly requests: readonly SeenRequest[];
  /**
   * Sets the answers for a path (without query), the last one for good. A key may begin with a method:
   * `HEAD /v2/x/manifests/latest`.
   */
  on(path: string, ...replies: Reply[]): void;
}

export async function startScriptedRegistry(tls?: {
  readonly key: string;
  readonly cert: string;
}): Promise<ScriptedRegistry> {
  const requests: SeenRequest[] = [];
  const script = new Map<string, Reply[]>();
  const listener: RequestListener = (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      const replies = script.get(`${request.method} ${path}`) ?? script.get(path);
      const reply = replies !== undefined && replies.length > 1 ? replies.shift() : replies?.[0];
      if (typeof reply === 'function') reply(request, response);
      else answer(request, response, reply ?? { status: 404 });
    });
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  return {
    host: `127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    on(path, ...replies) {
      script.set(path, replies);
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Exclude<Reply, (...args: never) => void>,
): void {
  const body = Buffer.from(reply.body ?? '');
  response.writeHead(reply.status ?? 200, { 'content-length': String(body.length), ...reply.headers });
  response.end(request.method === 'HEAD' ? undefined : body);
}
