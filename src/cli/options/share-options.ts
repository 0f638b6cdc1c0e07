import type { NewContainer } from '../../engine/index.ts';
import { TsbuildError } from '../../util/index.ts';

/** Options of `run` and `create` about namespaces that are not the container's own. */
export interface ShareOptions {
  readonly pid?: string;
  readonly ipc?: string;
  readonly uts?: string;
  readonly hostname?: string;
  readonly sysctl?: readonly string[];
}

/** What was asked for, before any container is looked for. */
export interface Shares extends Pick<NewContainer['process'], 'processes' | 'ipc' | 'uts'> {
  /** Names of containers. */
  readonly processesOf?: string;
  readonly ipcOf?: string;
}

/**
 * Understands `--pid`, `--ipc` and `--uts` as docker does.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseShares(options: ShareOptions): Shares {
  const { pid = '', ipc = '', uts = '' } = options;
  const shares = { ...parsePid(pid), ...parseIpc(ipc), ...parseUts(uts) };
  if (shares.uts !== undefined && options.hostname !== undefined)
    throw new TsbuildError('TSB_USAGE', 'conflicting options: hostname and the UTS mode', {
      hint: 'leave one of them out: with --uts host the host name is that of the machine',
    });
  checkSysctls(shares, options.sysctl);
  return shares;
}

function parsePid(text: string): Shares {
  if (text === '') return {};
  if (text === 'host') return { processes: 'host' };
  const processesOf = nameIn(text);
  if (processesOf !== undefined) return { processesOf };
  throw new TsbuildError('TSB_USAGE', `Cannot use --pid ${JSON.stringify(text)}: invalid PID mode`, {
    hint: 'there are host and container:NAME; without it a container has processes of its own',
  });
}

function parseIpc(text: string): Shares {
  if (text === '' || text === 'private') return {};
  if (text === 'host' || text === 'none' || text === 'shareable') return { ipc: text };
  const ipcOf = nameIn(text);
  if (ipcOf !== undefined) return { ipcOf };
  throw new TsbuildError('TSB_USAGE', `Cannot use --ipc ${JSON.stringify(text)}: invalid IPC mode`, {
    hint: 'there are private, shareable, none, host and container:NAME',
  });
}

function parseUts(text: string): Shares {
  if (text === '' || text === 'private') return {};
  if (text === 'host') return { uts: 'host' };
  throw new TsbuildError('TSB_USAGE', `Cannot use --uts ${JSON.stringify(text)}: invalid UTS mode`, {
    hint: 'there is host; without it a container has a host name of its own',
  });
}

function nameIn(text: string): string | undefined {
  return /^container:(.+)$/.exec(text)?.[1];
}

/** What belongs to a namespace of the machine's or of another container is not this one's to change. */
function checkSysctls({ ipc, ipcOf, uts }: Shares, sysctls: readonly string[] = []): void {
  const sharesIpc = ipc === 'host' || ipcOf !== undefined;
  const bad = sysctls.find(
    (text) =>
      (sharesIpc && /^(?:fs[./]mqueue[./]|kernel[./](?:msg|sem|shm))/.test(text)) ||
      (uts === 'host' && /^kernel[./]domainname/.test(text)),
  );
  if (bad === undefined) return;
  const flag = uts === 'host' && /domainname/.test(bad) ? '--uts host' : '--ipc';
  throw new TsbuildError('TSB_USAGE', `Cannot use --sysctl ${bad} with ${flag}: the namespace is not the container's`, {
    hint: 'set it where the namespace is made',
  });
}
