import { getSystemErrorName } from 'node:util';
import type { StepUsage } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import { ULIMITS } from './encode-step.ts';
import { signalName } from './signals.ts';
import type { ExitStatus } from './types.ts';

/** What the helper has said on its status descriptor. */
export interface StepReport {
  /** PID 1 of the step, in the pid namespace of whoever started the helper. */
  pid?: number;
  status?: ExitStatus;
  usage?: StepUsage;
  /** Bytes of files that a step in groups of control had in memory when it failed. */
  filesInMemory?: number;
  /** Errno with which the kernel refused the step's emulator. */
  emulatorRefused?: number;
  error?: { readonly errno: number; readonly stage: string; readonly text: string };
  /** Number of the process that holds a root, as /proc of this machine has it. */
  held?: number;
  /** The root is made. */
  isReady?: boolean;
  /** Told when a root is held. @param held see there */
  readonly onReady?: (held: number) => void;
  /** Told when the step gets the /proc around it, because the kernel refuses it a new one (rung 2). */
  readonly onBoundProc?: () => void;
  /** Told which port of the machine a published one got, by its place among them. */
  readonly onPort?: (index: number, port: number) => void;
}

/** Takes one line of the status descriptor into `report`. The first end that was reported counts. */
export function readStatusLine(report: StepReport, line: string): void {
  const [word = '', number = '', stage = '', ...text] = line.split(' ');
  const value = Number(number);
  switch (word) {
    case 'pid':
      report.pid = value;
      break;
    case 'held':
      report.held = value;
      if (report.isReady) report.onReady?.(value);
      break;
    case 'ready':
      // The holder says so itself, and may be faster than the one that tells its number.
      report.isReady = true;
      if (report.held !== undefined) report.onReady?.(report.held);
      break;
    case 'proc':
      report.onBoundProc?.();
      break;
    case 'port':
      report.onPort?.(value, Number(stage));
      break;
    case 'exit':
      report.status ??= { kind: 'exited', code: value };
      break;
    case 'signal':
      report.status ??= { kind: 'signaled', signal: signalName(value) };
      break;
    case 'usage':
      report.usage = usageOf(line);
      break;
    case 'shmem':
      report.filesInMemory = value;
      break;
    case 'emulator':
      report.emulatorRefused = value;
      break;
    case 'error':
      report.error ??= { errno: value, stage, text: text.join(' ') };
      break;
    default:
  }
}

/** Of the line that native/src/usage.c writes. */
function usageOf(line: string): StepUsage {
  const [user = 0, system = 0, peakMemory = 0, readBytes = 0, writtenBytes = 0] = line.split(' ').slice(1).map(Number);
  return { userMs: user / 1000, systemMs: system / 1000, peakMemory, readBytes, writtenBytes };
}

/** Stages that fail because of what the image or the user's instructions are; at the others the machine is at fault. */
const USERS_STAGES = new Set(['user', 'cwd', 'mounts', 'limits', 'sources']);

const HINTS: Readonly<Record<string, string>> = {
  sysctl:
    'name and value are those of --sysctl; in a container around tsbuild /proc/sys can be read-only, and some need a kernel of 5.19 or newer',
  'id-map': 'tsbuild doctor says what this machine allows',
  limits: 'a step can have no more than tsbuild itself has: "ulimit -Ha" shows that',
  namespaces: 'tsbuild doctor says what this machine allows',
  namespace: 'tsbuild doctor says what this machine allows',
  overlay:
    'the store must be on a local file system such as ext4, xfs or btrfs, not on overlayfs or NFS (see TSBUILD_ROOT)',
  layers: 'put several commands into one RUN, or begin anew with one layer: FROM scratch and COPY --from=<stage> / /',
  cgroup: 'the group was taken away by somebody else, or is not yours any more; try again, or leave the limits out',
  proc: 'tsbuild doctor says what this machine allows',
};

function joinHint(text: string): { readonly hint?: string } {
  if (text.includes('in use'))
    return { hint: 'another container has it: leave --ip out, or see "tsbuild network inspect"' };
  if (text.includes('is free')) return { hint: 'make a network with a larger --subnet or --ip-range' };
  return {};
}

/** By the kernel's reason. */
const PUBLISH_HINTS: Readonly<Record<string, string>> = {
  EACCES:
    'ports below 1024 are for root: publish another, such as -p 8080:80, or type: sudo sysctl net.ipv4.ip_unprivileged_port_start=80',
  EADDRINUSE:
    'something else listens there: -p 0:CONTAINER takes a port that is free, -p 8000-9000:CONTAINER one of these',
  EADDRNOTAVAIL: 'it is no address of this machine',
};

/**
 * How the step ended, from all that was reported.
 * @param exitCode of the helper itself, null when it was killed
 * @throws TsbuildError `TSB_STEP` or `TSB_SANDBOX` when the step could not be set up
 */
export function concludeStep(report: StepReport, exitCode: number | null, stderr?: string): ExitStatus {
  const { error } = report;
  if (error === undefined) {
    if (report.status !== undefined) return report.status;
    const reason = stderr?.trim().split('\n').at(-1) ?? '';
    const why = reason === '' ? (exitCode === null ? 'it was killed' : `exit code ${exitCode}`) : reason;
    throw new TsbuildError('TSB_SANDBOX', `Cannot run the sandbox helper: ${why}`);
  }
  const errno = error.errno === 0 ? undefined : getSystemErrorName(-error.errno);
  if (error.stage === 'exec' && errno !== undefined) {
    const refused = report.emulatorRefused;
    const more = refused === undefined ? {} : { emulatorRefused: getSystemErrorName(-refused) };
    return { kind: 'not-executed', path: error.text, errno, ...more };
  }
  if (error.stage === 'publish')
    throw new TsbuildError('TSB_USAGE', `Cannot publish a port: ${error.text} (${errno ?? 'no reason given'})`, {
      hint: PUBLISH_HINTS[errno ?? ''] ?? 'publish another: -p HOST:CONTAINER',
    });
  if (error.stage === 'join')
    throw new TsbuildError('TSB_USAGE', `Cannot join a network: ${error.text}`, joinHint(error.text));
  const code = USERS_STAGES.has(error.stage) ? 'TSB_STEP' : 'TSB_SANDBOX';
  const hint = HINTS[error.stage];
  // The helper knows limits by their numbers.
  const text =
    error.stage === 'limits' ? error.text.replace(/\d+$/, (number) => ULIMITS[Number(number)] ?? number) : error.text;
  throw new TsbuildError(
    code,
    `Cannot set up the step (${error.stage}): ${text}${errno === undefined ? '' : ` (${errno})`}`,
    hint === undefined ? {} : { hint },
  );
}
