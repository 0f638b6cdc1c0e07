import { constants } from 'node:os';
import { TsbuildError } from '../util/index.ts';

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
