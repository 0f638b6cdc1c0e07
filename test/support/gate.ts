import { createServer, type Socket } from 'node:net';

/** Holds steps and whatever else connects until it is opened, so that a test decides when something that takes its time ends. */
export interface Gate extends AsyncDisposable {
  /** For a step in the machine's network: waits at the gate. Needs `ALLOW_GATE`, and `--network=host` at the RUN. */
  readonly command: string;
  /** Resolves when somebody waits. */
  readonly reached: Promise<void>;
  open(): void;
}

/** What a build that has a gate in it is allowed. */
export const ALLOW_GATE = '--allow=network.host';

export async function startGate(): Promise<Gate> {
  const waiting = new Set<Socket>();
  const reached = Promise.withResolvers<void>();
  let isOpen = false;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    reached.resolve();
    if (isOpen) socket.destroy();
    else waiting.add(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const open = (): void => {
    isOpen = true;
    for (const socket of waiting) socket.destroy();
    waiting.clear();
  };
  return {
    // It ends with what the other side closes; what it says of that is no matter.
    command: `nc 127.0.0.1 ${port} < /dev/null || true`,
    reached: reached.promise,
    open,
    async [Symbol.asyncDispose]() {
      open();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
