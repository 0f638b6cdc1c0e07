import { credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** Any message, as the library has it: bytes are Buffers, 64-bit numbers are strings. */
export type Message = Readonly<Record<string, any>>; // oxlint-disable-line typescript/no-explicit-any

/** A client of the gateway, by another library than the program's own. */
export interface GatewayClient extends Disposable {
  /** Calls a method. @throws with `code` and `details` for a status */
  readonly call: (method: string, request?: Message) => Promise<Message>;
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
    [Symbol.dispose]: () => client['close'](),
  };
}
