/**
 * SSH agents for steps and for git: private keys from files, or the user's own agent, at a socket that lists keys and signs with
 * them, and does nothing else (draft-ietf-sshm-ssh-agent; OpenSSH's PROTOCOL.key). And signatures of files, which are verified
 * (PROTOCOL.sshsig).
 */
export type { Agent } from './agent.ts';
export { type AgentSocket, serveAgent } from './agent-socket.ts';
export { openAgent } from './open-agent.ts';
export { isSshSignature, verifySshSignature } from './sshsig.ts';
