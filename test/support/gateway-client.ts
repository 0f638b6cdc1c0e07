import { type ClientDuplexStream, credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Any message, as the library has it: bytes are Buffers, 64-bit numbers are strings. */
export type Message = Readonly<Record<string, any>>; // oxlint-disable-line typescript/no-explicit-any

/** A client of the gateway, by another library than the program's own. */
export interface GatewayClient extends Disposable {
  /** Calls a method. @throws with `code` and `details` for a status */
  readonly call: (method: string, request?: Message) => Promise<Message>;
  /** Begins `ExecProcess`. */
  readonly exec: () => ExecStream;
}

/** One `ExecProcess`, about any number of programs. */
export interface ExecStream {
  send(message: Message): void;
  /** Says that no more will be sent. */
  end(): void;
  /** Gives the call up. */
  cancel(): void;
  /** The next message for a program. @throws with `code` and `details` when the call has ended without */
  next(id: string): Promise<Message>;
  /** All that is said of a program up to its end. */
  rest(id: string): Promise<Ended>;
  /** The status that the call ends with. */
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  /** Reads no more until told to. */
  pause(): void;
  resume(): void;
}

/** What a program said and how it ended. */
export interface Ended {
  readonly out: string;
  readonly err: string;
  readonly exit: Message;
  /** Kinds of messages, in their order. */
  readonly kinds: readonly string[];
}

/**
 * @param protoFile testdata/gateway/gateway.proto, wherever it is
 * @param address `unix:/path`
 */
export function gatewayClient(protoFile: string, address: string): GatewayClient {
  const loaded = loadPackageDefinition(
    loadSync(protoFile, { keepCase: true, longs: String, defaults: true, oneofs: true }),
  );
  const { LLBBridge } = (loaded as Message)['moby'].buildkit.v1.frontend as Message;
  const client = new LLBBridge(address, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
  }) as Message;
  return {
    call: (method, request = {}) =>
      new Promise<Message>((resolve, reject) => {
        client[method](request, { deadline: Date.now() + 60_000 }, (error: ServiceError | null, answer: Message) => {
          if (error) reject(error);
          else resolve(answer);
        });
      }),
    exec: () => new Exec(client['ExecProcess']() as ClientDuplexStream<Message, Message>),
    [Symbol.dispose]: () => client['close'](),
  };
}

class Exec implements ExecStream {
  readonly ended: Promise<{ readonly code: number; readonly details: string }>;
  readonly #call: ClientDuplexStream<Message, Message>;
  readonly #messages: Message[] = [];
  #over: { readonly code: number; readonly details: string } | undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(call: ClientDuplexStream<Message, Message>) {
    this.#call = call;
    call.on('data', (message: Message) => {
      this.#messages.push(message);
      this.#wake();
    });
    call.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      call.on('status', ({ code, details }) => {
        this.#over = { code, details };
        resolve(this.#over);
        this.#wake();
      });
    });
  }

  send(message: Message): void {
    this.#call.write(message);
  }

  end(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  async next(id: string): Promise<Message> {
    for (;;) {
      const at = this.#messages.findIndex((message) => message['ProcessID'] === id);
      const [found] = at < 0 ? [] : this.#messages.splice(at, 1);
      if (found !== undefined) return found;
      if (this.#over !== undefined) throw Object.assign(new Error(this.#over.details), this.#over);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async rest(id: string): Promise<Ended> {
    const streams: Record<number, Buffer[]> = { 1: [], 2: [] };
    const kinds: string[] = [];
    let exit: Message = {};
    for (;;) {
      const message = await this.next(id);
      const kind = message['Input'] as string;
      kinds.push(kind);
      if (kind === 'Exit') exit = message['Exit'] as Message;
      if (kind === 'File')
        streams[(message['File'] as Message)['Fd'] as number]?.push((message['File'] as Message)['Data'] as Buffer);
      if (kind !== 'Done') continue;
      const text = (fd: number): string => Buffer.concat(streams[fd] ?? []).toString();
      return { out: text(1), err: text(2), exit, kinds };
    }
  }
}
