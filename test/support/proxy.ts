import { createServer, request as forward } from 'node:http';
import { connect, type Socket } from 'node:net';

/** A proxy that opens tunnels (CONNECT) and passes requests on, for names that only it knows. */
export interface TestProxy extends AsyncDisposable {
  readonly url: string;
  /** `host:port` of every tunnel and request that was asked for. */
  readonly tunnels: string[];
}

/** @param hosts names that lead to this machine, the port as asked for */
export async function startProxy(hosts: readonly string[] = ['registry.test']): Promise<TestProxy> {
  const tunnels: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://none.test');
    tunnels.push(url.host);
    if (!hosts.includes(url.hostname)) {
      response.writeHead(502).end();
      return;
    }
    const { method, headers } = request;
    const options = { host: '127.0.0.1', port: url.port, path: url.pathname + url.search, method, headers };
    const onward = forward(options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.on('connect', (request, socket: Socket) => {
    tunnels.push(request.url ?? '');
    const [host = '', port = ''] = (request.url ?? '').split(':');
    socket.on('error', () => undefined);
    if (!hosts.includes(host)) {
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const onward = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    for (const one of [onward, socket]) {
      sockets.add(one);
      one.on('error', () => one.destroy());
      one.on('close', () => sockets.delete(one));
    }
    onward.on('close', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    tunnels,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
