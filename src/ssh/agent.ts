import type { AgentRequest } from './protocol.ts';

/** What keeps keys: this process, or an agent of the user. */
export interface Agent {
  /** Begins a conversation with it. */
  readonly connect: () => AgentConnection;
}

/** One client's conversation. Disposed while an answer is awaited, it ends that too. */
export interface AgentConnection extends Disposable {
  /** Gives the message that answers a request; `failure` where there is no other answer. Rejects when the agent is gone. */
  readonly ask: (request: AgentRequest) => Promise<Buffer>;
}
