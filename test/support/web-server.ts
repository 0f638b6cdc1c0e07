import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request that came, in a few words. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** An HTTP server on a loopback address that keeps a list of what it was asked. */
export class WebServer implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  readonly url: string;
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server, port: number, host: string) {
    this.#server = server;
    this.port = port;
    this.url = `http://${host}:${port}`;
  }

  static async start(listener: RequestListener, host = '127.0.0.1'): Promise<WebServer> {
    const held: { web?: WebServer } = {};
    const server = createServer((request, response) => {
      held.web?.seen.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers });
      listener(request, response);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    held.web = new WebServer(server, (server.address() as AddressInfo).port, host);
    return held.web;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
