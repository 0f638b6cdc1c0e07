import type { Agent } from './agent.ts';
import { encodeIdentities, encodeSignature, failure } from './protocol.ts';
import type { SshKey } from './ssh-key.ts';

/** An agent with these keys, in their order; one that is given twice counts once. */
export function keyAgent(keys: readonly SshKey[]): Agent {
  const known = new Map(keys.map((key) => [key.blob.toString('hex'), key]));
  const list = encodeIdentities([...known.values()].map(({ blob }) => blob));
  return {
    connect: () => ({
      ask: async (request) => {
        if (request.type === 'list') return list;
        const key = known.get(request.blob.toString('hex'));
        if (!key) return failure;
        try {
          return encodeSignature(await key.sign(request.data, request.flags));
        } catch {
          // For example SHA-1 where the machine's OpenSSL forbids it.
          return failure;
        }
      },
      [Symbol.dispose]: () => undefined,
    }),
  };
}
