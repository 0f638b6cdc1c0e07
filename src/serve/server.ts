import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Store } from '../store/index.ts';
import { errnoOf, isTsbuildError, messageOf, TsbuildError } from '../util/index.ts';
import type { Access } from './access.ts';
import { Fault } from './fault.ts';
import { RegistryHandlers } from './registry.ts';
import { Repositories } from './repositories.ts';
import { type Route, routeOf } from './route.ts';
import { Uploads } from './uploads.ts';

/** A connection that says nothing for so long is closed. */
const IDLE_MS = 120_000;
/** Connections at a time. */
const MAX_CONNECTIONS = 1024;
/** What is still being sent when the server ends has so long to come to its end. */
const GRACE_MS = 3000;
const READS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

/** What is served, where, and to whom. */
export interface ServeOptions {
  readonly store: Store;
  /** Host and port that are listened on; port 0 is any that is free. */
  readonly host: string;
  readonly port: number;
  readonly access: Access;
  /** PEM. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /** Told of each request when it was answered. */
  readonly onRequest?: (request: ServedRequest) => void;
  /** Told why a request failed that should not have. */
  readonly onFailure: (message: string) => void;
}

/** A request that was answered. */
export interface ServedRequest {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly ms: number;
}

/** Dispose it to end it. */
export interface RegistryServer extends AsyncDisposable {
  /** `host:port` as it is listened on. */
  readonly address: string;
}

/**
 * Serves the image store of a machine by the OCI distribution spec 1.1.
 * @throws TsbuildError `TSB_NETWORK` when the address cannot be listened on, `TSB_USAGE` when certificate and key do not fit
 */
export async function startServer(options: ServeOptions): Promise<RegistryServer> {
  const { store } = options;
  const server = await createHttpServer(options.tls);
  server.maxConnections = MAX_CONNECTIONS;
  // Large blobs take their time; what stalls is ended by the time without a byte.
  server.requestTimeout = 0;
  server.setTimeout(IDLE_MS);
  const port = await listen(server, options);
  const address = `${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}`;
  const uploads = new Uploads(store);
  const handlers = new RegistryHandlers(store, new Repositories(store, address), uploads);
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answer(options, handlers, request, response);
  });
  return {
    address,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      await closed;
      clearTimeout(timer);
      uploads[Symbol.dispose]();
    },
  };
}

async function createHttpServer(tls: ServeOptions['tls']): Promise<Server> {
  if (!tls) return createServer();
  const { createServer: createTlsServer } = await import('node:https');
  try {
    return createTlsServer({ ...tls, minVersion: 'TLSv1.2' });
  } catch (error) {
    throw new TsbuildError('TSB_USAGE', `Cannot use the certificate and its key: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function listen(server: Server, { host, port }: ServeOptions): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    const errno = errnoOf(error);
    const why = errno === 'EADDRINUSE' ? 'something listens there already' : messageOf(error);
    throw new TsbuildError('TSB_NETWORK', `Cannot listen on ${host}:${port}: ${why}`, {
      hint: errno === 'EACCES' ? 'ports below 1024 are for root: take a higher one' : 'take another one with --addr',
      cause: error,
    });
  }
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : port;
}

async function answer(
  { access, onRequest, onFailure, store }: ServeOptions,
  handlers: RegistryHandlers,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const began = store.now();
  const { method = '', url = '' } = request;
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  response.setHeader('x-content-type-options', 'nosniff');
  response.once('close', () =>
    onRequest?.({ method, url, status: response.statusCode, ms: Math.round(store.now() - began) }),
  );
  try {
    const { route, query } = parseUrl(url);
    await access.check(request, !READS.includes(method));
    await handlers.answer(route, { request, response, query });
  } catch (error) {
    const fault = faultOf(error, onFailure);
    if (response.headersSent || fault === undefined) response.destroy();
    else {
      // What is still being sent is not read: the connection ends with the answer.
      if (!request.complete) response.setHeader('connection', 'close');
      response.writeHead(fault.status, { ...fault.headers, 'content-type': 'application/json' });
      response.end(method === 'HEAD' ? undefined : fault.body);
    }
  }
}

/** @throws Fault */
function parseUrl(text: string): { readonly route: Route; readonly query: URLSearchParams } {
  const url = URL.canParse(text, 'http://registry') ? new URL(text, 'http://registry') : undefined;
  let path: string | undefined;
  try {
    path = url && decodeURIComponent(url.pathname);
  } catch {
    // A malformed escape.
  }
  const route = path === undefined ? undefined : routeOf(path);
  if (!url || !route) throw new Fault(404, 'UNSUPPORTED', 'there is nothing of this name in a registry');
  return { route, query: url.searchParams };
}

/** The answer to what went wrong; undefined when nobody is there to have one. */
function faultOf(error: unknown, onFailure: (message: string) => void): Fault | undefined {
  if (error instanceof Fault) return error;
  const errno = errnoOf(error);
  if (errno === 'ECONNRESET' || errno === 'ERR_STREAM_PREMATURE_CLOSE' || errno === 'EPIPE') return undefined;
  onFailure(messageOf(error));
  // Paths of this machine are nothing for clients.
  if (isTsbuildError(error, 'TSB_NO_SPACE')) return new Fault(507, 'UNKNOWN', "the registry's disk is full");
  return new Fault(500, 'UNKNOWN', 'the registry failed, see what it says itself');
}
