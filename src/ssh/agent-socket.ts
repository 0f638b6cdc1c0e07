import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { fromErrno } from '../util/index.ts';
import type { Agent, AgentConnection } from './agent.ts';
import { failure, frame, parseRequest, readMessages } from './protocol.ts';

/** Connections at a time; each may hold a message. More are turned away. */
const MAX_CONNECTIONS = 128;

const NAME = 'ssh_auth_sock';

/** An agent that listens. Disposed, it ends all connections and removes the socket. */
export interface AgentSocket extends AsyncDisposable {
  /** Where the socket is: for mounting it. Clients take no paths of more than 107 bytes. */
  readonly path: string;
  /** A short path to it, for programs that run beside this process as the same user. */
  readonly address: string;
}

/**
 * Lets an agent listen at a socket in a directory, which nobody else may enter.
 * @throws TsbuildError `TSB_STORE` when there can be no socket
 */
export async function serveAgent(agent: Agent, directory: string): Promise<AgentSocket> {
  const connections = new Set<Socket>();
  // A client may end its side before the answer is there.
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    void converse(socket, agent);
  });
  server.maxConnections = MAX_CONNECTIONS;
  let fd: number | undefined;
  try {
    // The store's path may be longer than what a socket can be bound to.
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    await listen(server, `/proc/self/fd/${fd}/${NAME}`);
    const held = fd;
    return {
      path: `${directory}/${NAME}`,
      // Not process.pid: /proc may be that of another pid namespace.
      address: `/proc/${readlinkSync('/proc/self')}/fd/${fd}/${NAME}`,
      async [Symbol.asyncDispose]() {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        for (const socket of connections) socket.destroy();
        await closed;
        closeSync(held);
      },
    };
  } catch (error) {
    server.close();
    if (fd !== undefined) closeSync(fd);
    throw fromErrno(error, 'Cannot make a socket for an SSH agent', 'TSB_STORE');
  }
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Answers one client until it goes away. Whatever it sends, the worst that comes of it is the end of its connection. */
async function converse(socket: Socket, agent: Agent): Promise<void> {
  using connection = agent.connect();
  socket.once('close', () => connection[Symbol.dispose]());
  try {
    await pipeline(socket, (stream: AsyncIterable<Buffer>) => answer(stream, connection), socket);
  } catch {
    // It went away, sent what is no message, or the agent behind is gone: then there is nothing more to say.
  }
}

async function* answer(stream: AsyncIterable<Buffer>, connection: AgentConnection): AsyncGenerator<Buffer, void> {
  for await (const message of readMessages(stream)) {
    const request = parseRequest(message);
    yield frame(request ? await connection.ask(request) : failure);
  }
}
