import { createConnection, type Socket } from 'node:net';
import type { Agent, AgentConnection } from './agent.ts';
import { MalformedError } from './errors.ts';
import { type AgentRequest, answers, encodeRequest, failure, frame, readMessages } from './protocol.ts';

/** The user's agent at a socket, of which nothing is asked but lists and signatures. */
export function forwardedAgent(socket: string): Agent {
  return { connect: () => new ForwardedConnection(socket) };
}

/** A connection of its own for every client, as the agent would have it without us; opened with the first request. */
class ForwardedConnection implements AgentConnection {
  readonly #path: string;
  #socket: Socket | undefined;
  #messages: AsyncGenerator<Buffer, void> | undefined;
  #disposed = false;

  constructor(path: string) {
    this.#path = path;
  }

  async ask(request: AgentRequest): Promise<Buffer> {
    if (this.#disposed) throw new MalformedError('the connection has ended');
    this.#socket ??= createConnection(this.#path);
    this.#messages ??= readMessages(this.#socket as AsyncIterable<Buffer>);
    this.#socket.write(frame(encodeRequest(request)));
    const { value: message } = await this.#messages.next();
    if (!message) throw new MalformedError('the agent ended the connection');
    return answers(message, request.type) ? message : failure;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#socket?.destroy();
  }
}
