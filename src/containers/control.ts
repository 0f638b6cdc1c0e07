import { constants } from 'node:os';
import { TsbuildError } from '../util/index.ts';
import { Connection, type ConnectionEnd } from './connection.ts';
import type { Container } from './types.ts';

/**
 * The number of a signal: `TERM`, `SIGTERM` or `15`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseSignal(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= 64) return Number(text);
  const realTime = /^(?:SIG)?RTMIN(?:\+(\d{1,2}))?$/i.exec(text);
  if (realTime !== null && Number(realTime[1] ?? 0) <= 30) return 34 + Number(realTime[1] ?? 0);
  const upper = text.toUpperCase();
  const number = constants.signals[(upper.startsWith('SIG') ? upper : `SIG${upper}`) as NodeJS.Signals];
  if (number !== undefined) return number;
  throw new TsbuildError('TSB_USAGE', `Invalid signal: ${text}`, { hint: 'for example SIGTERM, HUP or 9' });
}

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
