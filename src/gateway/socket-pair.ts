import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';

const NAME = 'gateway';

/** Two ends of one connection. */
export interface SocketPair {
  readonly ours: Socket;
  /** To be given to a process, and closed here then. */
  readonly theirs: Socket;
}

/**
 * A connected pair of sockets, which Node has no call for. HTTP/2 wants a real socket: on other streams Node's own code fails an assertion
 * when a connection is closed while something is still being written, and takes the process with it.
 * @param directory an empty one that nobody else can enter
 * @throws what the file system or the kernel says
 */
export async function socketPair(directory: string): Promise<SocketPair> {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  // By descriptor: the path of a socket has room for 108 bytes.
  const path = `/proc/self/fd/${fd}/${NAME}`;
  const server = createServer({ pauseOnConnect: true });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const ours = await new Promise<Socket>((resolve, reject) => {
      const socket = createConnection(path, () => resolve(socket)).once('error', reject);
    });
    return { ours, theirs: await accepted };
  } finally {
    server.close();
    rmSync(`${directory}/${NAME}`, { force: true });
    closeSync(fd);
  }
}
