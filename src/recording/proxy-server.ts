import { closeSync, constants, openSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, duplexPair, pipeline } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { fromErrno, messageOf } from '../util/index.ts';
import type { Authority } from './authority.ts';
import { BadRequest, type ProxyRequest, readRequest, type Tunnel } from './proxy-request.ts';
import { refuse } from './send.ts';

/** What a hostile step may have open, and how long it may be about something. Milliseconds and bytes. */
const LIMITS = {
  connections: 512,
  headerBytes: 32 << 10,
  headersMs: 30_000,
  requestMs: 300_000,
  handshakeMs: 30_000,
  idleMs: 600_000,
  keepAliveMs: 60_000,
} as const;

/** The first byte of TLS: a record of the handshake. */
const TLS_HANDSHAKE = 0x16;
/** Connections that wait to be taken, as many as the relay in the step's network has. */
const BACKLOG = 4096;
const NAME = 'proxy';

/** Who answers, and whom the clients believe. */
export interface ProxyServerOptions {
  readonly authority: Authority;
  /** Must not reject. */
  readonly answer: (request: ProxyRequest, response: ServerResponse) => Promise<void>;
  /** Told of requests that are none, and of clients that do not believe the authority. @param what a method and an address, or a host */
  readonly onRefused: (what: string, why: string) => void;
}

/** An HTTP proxy that listens. Disposed, it ends all connections. */
export interface ProxyServer extends AsyncDisposable {
  /** Its unix socket. */
  readonly path: string;
}

/**
 * Starts the proxy of one step: plain requests, and tunnels (CONNECT), whose other end it is itself. It speaks HTTP/1.1.
 * @param directory which nobody else may enter
 * @throws TsbuildError `TSB_STORE` when there can be no socket
 */
export async function startProxyServer(directory: string, options: ProxyServerOptions): Promise<ProxyServer> {
  const { onRefused } = options;
  const tunnels = new WeakMap<Duplex, Tunnel>();
  const sockets = new Set<Duplex>();
  const server = createServer({
    maxHeaderSize: LIMITS.headerBytes,
    headersTimeout: LIMITS.headersMs,
    requestTimeout: LIMITS.requestMs,
    keepAliveTimeout: LIMITS.keepAliveMs,
    connectionsCheckingInterval: 5000,
  });
  server.maxConnections = LIMITS.connections;
  server.timeout = LIMITS.idleMs;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', (message: IncomingMessage, response: ServerResponse) => {
    void answerOne(options, tunnels.get(message.socket), message, response);
  });
  server.on('connect', (message: IncomingMessage, socket: Duplex, head: Buffer) => {
    openTunnel(server, options, tunnels, message, socket as Socket, head);
  });
  // Malformed, too long or too slow: such a connection says nothing more that could be understood.
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
    onRefused('a request', `cannot be understood: ${messageOf(error)}`);
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
    socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  });
  let fd: number | undefined;
  try {
    // The store's path may be longer than what a socket can be bound to.
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    await listen(server, `/proc/self/fd/${fd}/${NAME}`);
  } catch (error) {
    server.close();
    throw fromErrno(error, 'Cannot make a socket for the proxy of a step', 'TSB_STORE');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
  return {
    path: `${directory}/${NAME}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answerOne(
  { answer, onRefused }: ProxyServerOptions,
  tunnel: Tunnel | undefined,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.on('error', () => undefined);
  // The present is no part of a recorded answer.
  response.sendDate = false;
  message.on('error', () => undefined);
  let request: ProxyRequest;
  try {
    request = await readRequest(message, tunnel);
  } catch (error) {
    const { status, message: why } = error instanceof BadRequest ? error : new BadRequest(400, messageOf(error));
    const host = tunnel?.host ?? message.headers.host ?? 'a server';
    onRefused(`${message.method ?? 'a request'} to ${host}`, `was refused: ${why}`);
    return refuse(response, status, why);
  }
  await answer(request, response);
}

/** Becomes the server at the other end of a tunnel, with TLS where the client begins it. */
function openTunnel(
  server: Server,
  options: ProxyServerOptions,
  tunnels: WeakMap<Duplex, Tunnel>,
  { url = '' }: IncomingMessage,
  socket: Socket,
  head: Buffer,
): void {
  const { authority, onRefused } = options;
  socket.on('error', () => socket.destroy());
  const target = readAuthority(url);
  if (target === undefined) {
    onRefused(`CONNECT ${url}`, 'was refused: it is no host and port');
    return void socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  }
  const begin = (first: Buffer): void => {
    socket.unshift(first);
    const isTls = first[0] === TLS_HANDSHAKE;
    if (!isTls && !/^[A-Z]$/.test(first.subarray(0, 1).toString('latin1'))) {
      onRefused(`CONNECT ${url}`, 'was refused: it speaks neither TLS nor HTTP');
      return void socket.destroy();
    }
    const stream = isTls
      ? withTls(authority, target.host, socket, (why) => onRefused(`https://${url}`, why))
      : withoutTls(socket);
    tunnels.set(stream, { ...target, secure: isTls });
    server.emit('connection', stream);
  };
  socket.setTimeout(LIMITS.handshakeMs, () => socket.destroy());
  socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
  if (head.length > 0) begin(head);
  else
    socket.once('data', (first: Buffer) => {
      socket.pause();
      begin(first);
    });
}

function withTls(authority: Authority, host: string, socket: Socket, onFailure: (why: string) => void): TLSSocket {
  const stream = new TLSSocket(socket, {
    isServer: true,
    secureContext: authority.context(host),
    // What follows is HTTP/1.1: clients that can do more are told.
    ALPNProtocols: ['http/1.1'],
  });
  let isSecure = false;
  stream.once('secure', () => {
    isSecure = true;
    socket.setTimeout(0);
  });
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (!isSecure && /unknown.ca|bad.certificate|certificate.unknown/i.test(`${error.code ?? ''} ${error.message}`))
      onFailure('was given up by a client that does not believe the authority of the recorded network');
    stream.destroy();
  });
  return stream;
}

/** The server reads from the descriptor of a socket that it knows, past what was taken from it here. */
function withoutTls(socket: Socket): Duplex {
  const [inner, outer] = duplexPair();
  const ignore = (): void => undefined;
  socket.setTimeout(LIMITS.idleMs);
  pipeline(socket, inner, ignore);
  pipeline(inner, socket, ignore);
  outer.on('error', ignore);
  return outer;
}

/** `host:port` of a CONNECT. A host is what a certificate can be made for. */
function readAuthority(text: string): { readonly host: string; readonly port: number } | undefined {
  const [, name = '', port = ''] = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9_.-]{1,253}):(\d{1,5})$/i.exec(text) ?? [];
  if (name === '' || Number(port) === 0 || Number(port) > 65_535 || !URL.canParse(`http://${name}/`)) return undefined;
  return { host: new URL(`http://${name}/`).hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}
