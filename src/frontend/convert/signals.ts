import { constants } from 'node:os';
import { dockerfileError } from '../dockerfile/failure.ts';

/** Number of the last real-time signal on Linux. */
const LAST_SIGNAL = 64;
const ALIASES = new Set(['CLD', 'EMT', 'LOST', 'STKFLT', 'PWR', 'POLL', 'UNUSED', 'IOT']);

/**
 * Refuses what is not a signal: a name with or without `SIG`, in any case, `RTMIN+n`, `RTMAX-n` or a number.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function checkSignal(signal: string): void {
  if (/^[+-]?\d+$/.test(signal)) {
    if (Number(signal) === 0) throw invalid(signal);
    return;
  }
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realtime) {
    const offset = Number(realtime[3] ?? 0);
    const right = realtime[1] === 'MIN' ? '+' : '-';
    if ((realtime[2] ?? right) === right && 34 + offset <= LAST_SIGNAL) return;
    throw invalid(signal);
  }
  if (!(`SIG${name}` in constants.signals) && !ALIASES.has(name)) throw invalid(signal);
}

function invalid(signal: string): Error {
  return dockerfileError(`invalid signal: ${signal}`);
}
