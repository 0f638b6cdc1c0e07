import { Connection, type ConnectionEnd } from './connection.ts';
import type { Container } from './types.ts';

/** Sends one request to a container's supervisor and waits for its answer. @returns undefined when there is no supervisor */
export async function request(
  container: Container,
  kind: string,
  data = '',
  signal?: AbortSignal,
): Promise<ConnectionEnd | undefined> {
  using connection = await Connection.open(container.directory);
  if (connection === undefined) return undefined;
  const abort = (): void => void connection.socket.destroy();
  signal?.addEventListener('abort', abort);
  try {
    connection.send(kind, data);
    return await connection.ended;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Ends a container: its signal, and SIGKILL after the time. Resolves when it has ended; with nothing to do for one that does not run.
 * @param seconds -1: no SIGKILL
 */
export async function stopContainer(
  container: Container,
  { seconds, number, signal }: { readonly seconds: number; readonly number: number; readonly signal?: AbortSignal },
): Promise<void> {
  await request(container, 'S', `${number} ${seconds < 0 ? -1 : Math.round(seconds * 1000)}`, signal);
}
