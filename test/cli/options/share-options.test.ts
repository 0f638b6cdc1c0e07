import { describe, expect, test } from 'vitest';
import { parseShares, type ShareOptions } from '../../../src/cli/options/share-options.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

function refusal(options: ShareOptions): { readonly message: string; readonly hint: string | undefined } {
  try {
    parseShares(options);
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE')) return { message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('Not refused');
}

describe('--pid, --ipc and --uts, by docker’s rules', () => {
  test.each<[ShareOptions, object]>([
    [{}, {}],
    [{ pid: '', ipc: '', uts: '' }, {}],
    [{ pid: 'host' }, { processes: 'host' }],
    [{ pid: 'container:web' }, { processesOf: 'web' }],
    [{ ipc: 'private' }, {}],
    [{ ipc: 'none' }, { ipc: 'none' }],
    [{ ipc: 'shareable' }, { ipc: 'shareable' }],
    [
      { ipc: 'host', uts: 'host' },
      { ipc: 'host', uts: 'host' },
    ],
    [{ ipc: 'container:web', hostname: 'mine' }, { ipcOf: 'web' }],
    [{ ipc: 'shareable', sysctl: ['kernel.shmmax=1', 'kernel.domainname=a'] }, { ipc: 'shareable' }],
    [{ ipc: 'host', sysctl: ['kernel.domainname=a', 'net.core.somaxconn=1'] }, { ipc: 'host' }],
  ])('%j', (options, shares) => {
    expect(parseShares(options)).toEqual(shares);
  });

  test.each([
    [{ pid: 'bogus' }, 'invalid PID mode'],
    [{ pid: 'private' }, 'invalid PID mode'],
    [{ pid: 'container:' }, 'invalid PID mode'],
    [{ ipc: 'bogus' }, 'invalid IPC mode'],
    [{ ipc: 'container:' }, 'invalid IPC mode'],
    [{ uts: 'container:web' }, 'invalid UTS mode'],
    [{ uts: 'host', hostname: 'mine' }, 'conflicting options: hostname and the UTS mode'],
    [{ ipc: 'host', sysctl: ['kernel.shmmax=1'] }, '--sysctl kernel.shmmax=1 with --ipc'],
    [{ ipc: 'container:web', sysctl: ['fs.mqueue.msg_max=1'] }, '--sysctl fs.mqueue.msg_max=1 with --ipc'],
    [{ uts: 'host', sysctl: ['kernel.domainname=a'] }, '--sysctl kernel.domainname=a with --uts host'],
  ])('%j is refused: %s', (options, why) => {
    const { message, hint } = refusal(options);
    expect(message).toContain(why);
    expect(hint).toMatch(/./);
  });
});
