import { dockerfileError } from '../dockerfile/failure.ts';

const NAMES: ReadonlySet<string> = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP ' +
    'TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
);

/**
 * Refuses what is not a Linux signal: a name with or without `SIG`, in any case, `RTMIN+1` to `RTMIN+15`, `RTMAX-14` to
 * `RTMAX-1`, or a number other than 0.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function checkSignal(signal: string): void {
  if (/^[+-]?\d{1,19}$/.test(signal) && BigInt.asIntN(64, BigInt(signal)) === BigInt(signal) && Number(signal) !== 0)
    return;
  const name = signal.toUpperCase().replace(/^SIG/, '');
  const realtime = /^(?:RTMIN\+([1-9]\d?)|RTMAX-([1-9]\d?))$/.exec(name);
  const offset = Number(realtime?.[1] ?? realtime?.[2] ?? 0);
  if (offset >= 1 && offset <= (name.startsWith('RTMIN') ? 15 : 14)) return;
  if (!NAMES.has(name)) throw dockerfileError(`invalid signal: ${signal}`);
}
