import { constants } from 'node:os';

/** The first and the last of the realtime signals that the C library leaves to programs (signal(7)). */
const [RTMIN, RTMAX] = [34, 64];

/** Older names of signals that Node does not know. */
const OLD_NAMES: Readonly<Record<string, number>> = { SIGCLD: constants.signals.SIGCHLD };

/** Of two names of a signal the first one is what everybody calls it: SIGABRT, and not SIGIOT. */
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .toReversed()
    .map(([name, number]) => [number, name]),
);

/** What a signal is called, realtime ones as by kill(1): `SIGTERM`, `SIGRTMIN+3`, `SIGRTMAX-1`. */
export function signalName(number: number): string {
  if (number < RTMIN || number > RTMAX) return NAMES.get(number) ?? `SIG${number}`;
  const [up, down] = [number - RTMIN, RTMAX - number];
  const [base, offset] = up < 16 ? ['SIGRTMIN', up === 0 ? '' : `+${up}`] : ['SIGRTMAX', down === 0 ? '' : `-${down}`];
  return base + offset;
}

/** The number of a signal by its name, with or without `SIG`, in any case; undefined where there is none of that name. */
export function signalNumber(text: string): number | undefined {
  const upper = text.toUpperCase();
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  return constants.signals[name as NodeJS.Signals] ?? OLD_NAMES[name] ?? realtime(name);
}

function realtime(name: string): number | undefined {
  const match = /^SIGRT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name);
  if (match === null) return undefined;
  const [, base, sign, digits = '0'] = match;
  if (sign !== undefined && (sign === '+') !== (base === 'MIN')) return undefined;
  const number = base === 'MIN' ? RTMIN + Number(digits) : RTMAX - Number(digits);
  return number >= RTMIN && number <= RTMAX ? number : undefined;
}
