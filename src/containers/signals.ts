import { signalNumber } from '../sandbox/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { ContainerRecord } from './types.ts';

const SIGTERM = 15;

/**
 * The number of a signal: `TERM`, `SIGTERM`, `RTMIN+3` or `15`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseSignal(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= 64) return Number(text);
  const number = signalNumber(text);
  if (number !== undefined) return number;
  throw new TsbuildError('TSB_USAGE', `Invalid signal: ${text}`, { hint: 'for example SIGTERM, HUP or 9' });
}

/** The signal that a container is stopped by. What an image names and is none counts as none, as with docker: it must be possible to stop it. */
export function stopSignalOf({ stopSignal }: Pick<ContainerRecord, 'stopSignal'>): number {
  try {
    return parseSignal(stopSignal);
  } catch {
    return SIGTERM;
  }
}
