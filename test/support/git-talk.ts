import { createServer, type Socket } from 'node:net';

/** A pkt-line of git's protocol. */
export function packet(data: string | Uint8Array): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

/** A server of the git protocol on this machine that says what a test wants, and does not mind what it hears. */
export async function startGitTalk(
  talk: (socket: Socket) => Promise<void> | void,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
    // What the other side does to the connection is no fault of the test.
    socket.once('data', () => void Promise.resolve(talk(socket)).catch(() => undefined));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
  return {
    url: `git://127.0.0.1:${port}/x`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
