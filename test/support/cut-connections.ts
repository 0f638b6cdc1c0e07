import { connect, createServer, type Socket } from 'node:net';

/** Whose bytes are counted. */
export type Side = 'client' | 'server';

/** A way to a server that breaks connections when so many bytes went by. */
export interface CutConnections extends AsyncDisposable {
  /** `127.0.0.1:<port>`, to be used instead of the server's own. */
  readonly host: string;
  /** One entry for each connection to come that is to be cut: after how many bytes of which side. */
  readonly cuts: { readonly after: number; readonly from: Side }[];
  /** Connections that were cut. */
  readonly broken: number;
}

/** Puts a relay before a server, which knows nothing of HTTP: whatever is under way is torn, as when a machine loses its network. */
export async function cutConnections(to: string): Promise<CutConnections> {
  const [hostname = '', port] = to.split(':');
  const open = new Set<Socket>();
  const cuts: CutConnections['cuts'] = [];
  let broken = 0;
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    const passed = { client: 0, server: 0 };
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    const relay = (from: Socket, onto: Socket, side: Side): void => {
      from.on('data', (chunk) => {
        const cut = cuts[0];
        const room = cut?.from === side ? cut.after - passed[side] : Number.POSITIVE_INFINITY;
        passed[side] += chunk.length;
        if (chunk.length < room) {
          if (!onto.write(chunk)) from.pause();
          return;
        }
        cuts.shift();
        broken++;
        onto.end(chunk.subarray(0, Math.max(0, room)), end);
        from.destroy();
      });
      onto.on('drain', () => from.resume());
      from.on('end', () => onto.end());
      from.on('error', end);
      from.on('close', () => open.delete(from));
      open.add(from);
    };
    relay(near, far, 'client');
    relay(far, near, 'server');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  return {
    host: `127.0.0.1:${address.port}`,
    cuts,
    get broken() {
      return broken;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
