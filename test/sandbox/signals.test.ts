import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { parseSignal, stopSignalOf } from '../../src/containers/index.ts';
import { checkSignal } from '../../src/frontend/convert/signals.ts';
import { endOf } from '../../src/runtime/container-end.ts';
import { concludeStep, readStatusLine, type StepReport } from '../../src/sandbox/index.ts';
import { signalName, signalNumber } from '../../src/sandbox/signals.ts';

/** Numbers of signals: those of signal(7), and the realtime ones that the C library leaves to programs. */
const NUMBERS = [...Array.from({ length: 31 }, (_, at) => at + 1), ...Array.from({ length: 31 }, (_, at) => at + 34)];

/** What moby/sys/signal knows on Linux: Docker's names. */
const DOCKERS = (
  'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP ' +
  `TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX ${Array.from({ length: 15 }, (_, at) => `RTMIN+${at + 1}`).join(' ')} ` +
  Array.from({ length: 14 }, (_, at) => `RTMAX-${at + 1}`).join(' ')
).split(' ');

describe('names of signals', () => {
  test('are those that bash has for them', () => {
    const names = execFileSync('bash', ['-c', NUMBERS.map((number) => `kill -l ${number}`).join(';')], {
      encoding: 'utf8',
    });
    const own = NUMBERS.map((number) => signalName(number).slice(3));
    // Of 29 there are two names; signal(7) has this one first.
    expect(own).toEqual(
      names
        .trim()
        .split('\n')
        .map((name) => (name === 'POLL' ? 'IO' : name)),
    );
  });

  test('are read as they are written', () => {
    for (const number of NUMBERS) expect(signalNumber(signalName(number))).toBe(number);
    for (const number of [0, 32, 33, 65, 99]) expect(signalNumber(signalName(number))).toBeUndefined();
  });

  test.each([
    ['TERM', 15],
    ['sigabrt', 6],
    ['SIGIOT', 6],
    ['SIGPOLL', 29],
    ['CLD', 17],
    ['rtmin', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX', 64],
    ['SIGRTMAX-14', 50],
  ])('%s is %d', (text, number) => expect(signalNumber(text)).toBe(number));

  test.each(['', 'SIG', 'TERMINATE', 'RTMIN-1', 'RTMAX+1', 'RTMIN+31', 'RTMAX-31', 'RTMIN+', 'SIGSIGTERM', 'constructor', '__proto__'])(
    '%j is none',
    (text) => expect(signalNumber(text)).toBeUndefined(),
  ); // oxfmt-ignore

  test('of Docker are all known: what a Dockerfile may name (STOPSIGNAL), a container can be stopped by', () => {
    for (const name of DOCKERS) {
      expect(() => checkSignal(name)).not.toThrow();
      expect(parseSignal(name), name).toBe(parseSignal(`SIG${name.toLowerCase()}`));
    }
    expect(parseSignal('RTMAX-1')).toBe(63);
  });

  test('that are none do not keep a container from being stopped', () => {
    for (const stopSignal of ['', '0', 'SIGNOTHING', '4711', '-9', 'RTMIN+99'])
      expect(stopSignalOf({ stopSignal })).toBe(constants.signals.SIGTERM);
    expect(stopSignalOf({ stopSignal: 'SIGRTMIN+3' })).toBe(37);
    expect(stopSignalOf({ stopSignal: '3' })).toBe(3);
  });
});

describe('a program that a signal has ended', () => {
  const ended = (number: number) => {
    const report: StepReport = {};
    readStatusLine(report, `signal ${number}`);
    return concludeStep(report, 0);
  };

  test.each([
    [6, 'SIGABRT', 134],
    [9, 'SIGKILL', 137],
    [11, 'SIGSEGV', 139],
    [29, 'SIGIO', 157],
    [34, 'SIGRTMIN', 162],
    [35, 'SIGRTMIN+1', 163],
    [64, 'SIGRTMAX', 192],
  ])('%d is told as %s, and its exit code is 128 more: %d', (number, signal, exitCode) => {
    expect(ended(number)).toEqual({ kind: 'signaled', signal });
    expect(endOf(ended(number))).toEqual({ exitCode });
  });
});

describe('a program that was not run has the exit codes of docker run', () => {
  const notRun = (errno: string) => endOf({ kind: 'not-executed', path: '/bin/x', errno });

  test.each([
    ['ENOENT', 127, 'Cannot run "/bin/x": it was not found in the image'],
    ['EACCES', 126, 'Cannot run "/bin/x": it cannot be executed (EACCES)'],
    ['ENOEXEC', 126, 'Cannot run "/bin/x": it cannot be executed (ENOEXEC)'],
    ['EISDIR', 126, 'Cannot run "/bin/x": it cannot be executed (EISDIR)'],
  ])('%s: %d', (errno, exitCode, message) => {
    expect(notRun(errno)).toMatchObject({ exitCode, error: { code: 'TSB_STEP', message } });
  });

  test('one that ran has its own', () => {
    for (const code of [0, 1, 125, 126, 127, 255]) expect(endOf({ kind: 'exited', code })).toEqual({ exitCode: code });
  });
});
