import { MalformedError } from './errors.ts';
import { encodeString, encodeUint32, WireReader } from './wire.ts';

/** Bytes of the longest message that OpenSSH's agent takes. */
export const MAX_MESSAGE: number = 256 * 1024;

/** Numbers of draft-ietf-sshm-ssh-agent. */
const FAILURE = 5;
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;

/** What a client may ask for. Everything else, such as adding, removing or locking keys, is not a request here. */
export type AgentRequest =
  | { readonly type: 'list' }
  | { readonly type: 'sign'; readonly blob: Buffer; readonly data: Buffer; readonly flags: number };

/** The answer to whatever an agent does not do, or cannot. */
export const failure: Buffer = Buffer.of(FAILURE);

/** Reads a message; undefined when it is none that is allowed, or malformed. */
export function parseRequest(message: Buffer): AgentRequest | undefined {
  try {
    const reader = new WireReader(message);
    const type = reader.byte();
    if (type !== REQUEST_IDENTITIES && type !== SIGN_REQUEST) return undefined;
    const request: AgentRequest =
      type === REQUEST_IDENTITIES
        ? { type: 'list' }
        : { type: 'sign', blob: reader.string(), data: reader.string(), flags: reader.uint32() };
    reader.end();
    return request;
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** A request as agents read it. */
export function encodeRequest(request: AgentRequest): Buffer {
  if (request.type === 'list') return Buffer.of(REQUEST_IDENTITIES);
  const { blob, data, flags } = request;
  return Buffer.concat([Buffer.of(SIGN_REQUEST), encodeString(blob), encodeString(data), encodeUint32(flags)]);
}

/** Public keys without comments: those often tell the names of people and machines. */
export function encodeIdentities(blobs: readonly Buffer[]): Buffer {
  const keys = blobs.flatMap((blob) => [encodeString(blob), encodeString('')]);
  return Buffer.concat([Buffer.of(IDENTITIES_ANSWER), encodeUint32(blobs.length), ...keys]);
}

/** The answer to a request to sign. */
export function encodeSignature(signature: Buffer): Buffer {
  return Buffer.concat([Buffer.of(SIGN_RESPONSE), encodeString(signature)]);
}

/** Whether a message is the answer that a request of this type wants. */
export function answers(message: Buffer, type: AgentRequest['type']): boolean {
  return message[0] === (type === 'list' ? IDENTITIES_ANSWER : SIGN_RESPONSE);
}

/**
 * The messages of a connection, without their lengths. No more than one message is held, and the stream is read only as far as asked.
 * @throws MalformedError for a message that is empty or longer than `MAX_MESSAGE`, or cut off
 */
export async function* readMessages(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  const header = Buffer.alloc(4);
  let message: Buffer | undefined;
  let filled = 0;
  for await (let chunk of stream) {
    while (chunk.length > 0) {
      const target: Buffer = message ?? header;
      const count = chunk.copy(target, filled);
      chunk = chunk.subarray(count);
      filled += count;
      if (filled < target.length) break;
      filled = 0;
      if (message) {
        yield message;
        message = undefined;
      } else {
        const length = header.readUInt32BE();
        if (length === 0 || length > MAX_MESSAGE)
          throw new MalformedError('a message has a length that is not allowed');
        message = Buffer.alloc(length);
      }
    }
  }
  if (message || filled > 0) throw new MalformedError('the last message is cut off');
}

/** A message with its length before it. */
export function frame(message: Buffer): Buffer {
  return encodeString(message);
}
