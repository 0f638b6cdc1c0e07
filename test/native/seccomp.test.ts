import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHelper } from '../../src/sandbox/index.ts';
import { compileFilter, parseSyscalls, type SyscallTable } from '../../src/sandbox/seccomp/compile.ts';
import type { StepResult } from '../sandbox/support/kit.ts';
import { everyone, runScenario } from '../sandbox/support/run-as.ts';
import { ALLOW, errno, KILL, simulate } from './simulate.ts';

const directory = fileURLToPath(new URL('../../native/seccomp/', import.meta.url));
const syscalls: SyscallTable = parseSyscalls(readFileSync(join(directory, 'syscalls.tsv'), 'utf8'));
const ARCH = { x86_64: 0xc0_00_00_3e, i386: 0x40_00_00_03, arm64: 0xc0_00_00_b7, arm: 0x40_00_00_28 } as const;
const [EPERM, ENOSYS] = [1, 38];

describe.each(['x64', 'arm64'] as const)('the filter for %s', (machine) => {
  const filter = compileFilter(machine, syscalls);

  test('is the one that ships', () => {
    expect(filter.equals(readFileSync(join(directory, `${machine}.bpf`)))).toBe(true);
  });

  type Abi = 'x86_64' | 'i386' | 'x32' | 'arm64' | 'arm';
  const abis: readonly { readonly abi: Abi; readonly arch: number; readonly bit: number }[] =
    machine === 'x64'
      ? [
          { abi: 'x86_64', arch: ARCH.x86_64, bit: 0 },
          { abi: 'i386', arch: ARCH.i386, bit: 0 },
          { abi: 'x32', arch: ARCH.x86_64, bit: 0x40_00_00_00 },
        ]
      : [
          { abi: 'arm64', arch: ARCH.arm64, bit: 0 },
          { abi: 'arm', arch: ARCH.arm, bit: 0 },
        ];

  describe.each(abis)('on $abi', ({ abi, arch, bit }) => {
    const number = (name: string): number | undefined => syscalls.get(name)?.[abi];
    const ask = (name: string, ...args: readonly (number | bigint)[]): number | undefined => {
      const nr = number(name);
      return nr === undefined ? undefined : simulate(filter, { arch, nr: nr + bit, args });
    };

    test.each([
      'read',
      'openat',
      'execve',
      'mmap',
      'clone',
      'chroot',
      'ptrace',
      'setuid',
      'statx',
      'socketpair',
      'futex_waitv',
    ])('%s is allowed', (name) => {
      expect([ALLOW, undefined]).toContain(ask(name, 0, 0));
    });

    test.each([
      'mount', 'umount2', 'unshare', 'setns', 'bpf', 'keyctl', 'add_key', 'request_key', 'perf_event_open', 'userfaultfd',
      'io_uring_setup', 'io_uring_enter', 'kexec_load', 'init_module', 'finit_module', 'open_by_handle_at', 'reboot', 'swapon',
      'settimeofday', 'move_pages', 'pivot_root', 'fsopen', 'open_tree', 'move_mount', 'mount_setattr', 'quotactl', 'acct', 'iopl', 'vm86',
    ])('%s gives EPERM', (name) => {
      expect([errno(EPERM), undefined]).toContain(ask(name));
    }); // oxfmt-ignore

    test('clone3 gives ENOSYS, so that C libraries fall back to clone', () => {
      expect(ask('clone3')).toBe(errno(ENOSYS));
    });

    test('clone without new namespaces is allowed, with them not', () => {
      expect(ask('clone', 0x11)).toBe(ALLOW);
      for (const flag of [0x2_00_00, 0x200_00_00, 0x400_00_00, 0x800_00_00, 0x1000_00_00, 0x2000_00_00, 0x4000_00_00])
        expect(ask('clone', flag | 0x11)).toBe(errno(EPERM));
    });

    test('sockets of all families but AF_ALG and AF_VSOCK, whatever the upper half of the register has', () => {
      if (number('socket') === undefined) return;
      for (const family of [1, 2, 10, 16, 17, 37, 39, 41, 45]) expect(ask('socket', family)).toBe(ALLOW);
      for (const family of [38, 40, 0x1_00_00_00_26n, 0xff_00_00_00_28n])
        expect(ask('socket', family)).toBe(errno(EPERM));
    });

    test('personality only for what is harmless', () => {
      for (const persona of [0, 8, 0x2_00_00, 0x2_00_08, 0xff_ff_ff_ff])
        expect(ask('personality', persona)).toBe(ALLOW);
      for (const persona of [0x4_00_00, 1, 0x80_00_00]) expect(ask('personality', persona)).toBe(errno(EPERM));
    });

    test('what is newer than the profile gives ENOSYS', () => {
      expect(simulate(filter, { arch, nr: 1000 + bit, args: [] })).toBe(errno(ENOSYS));
    });

    test('every number ends in a verdict', () => {
      for (let nr = 0; nr < 600; nr++) {
        const verdict = simulate(filter, { arch, nr: nr + bit, args: [0n, 0n] });
        expect([ALLOW, errno(EPERM), errno(ENOSYS)]).toContain(verdict);
      }
    });
  });

  test('kills programs of any other ABI', () => {
    for (const arch of [0, 0x14, 0xc0_00_00_f3]) expect(simulate(filter, { arch, nr: 1, args: [] })).toBe(KILL);
  });
});

describe('in a step', () => {
  let probe: string;
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-probe-'));
    chmodSync(dir, 0o755);
    probe = join(dir, 'probe');
    execFileSync('cc', ['-static', '-O1', '-o', probe, fileURLToPath(new URL('./probe.c', import.meta.url))]);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  // Landlock has scopes since Linux 6.12; where it has none, doctor says so.
  const scopes = Number(execFileSync(findHelper(), ['landlock']).toString()) >= 6;
  test.skipIf(!scopes).each(everyone)('an abstract socket of the machine is out of reach (%s)', async (who) => {
    const { out, connections, outside } = await runScenario<{ out: string[]; connections: number; outside: boolean }>(
      who,
      'abstractSocket',
      { program: probe },
    );
    expect(outside).toBe(true);
    // EPERM from Landlock, ECONNREFUSED where the network has no socket of that name.
    expect(out[0]).toBe('abstract=1\n');
    expect(['abstract=1\n', 'abstract=111\n']).toContain(out[1]);
    expect(connections).toBe(0);
  });

  test.each(everyone)('forbidden calls fail (%s)', async (who) => {
    const result = await runScenario<StepResult>(who, 'probe', { program: probe }, { leak: true });
    expect(result.err).toBe('');
    const got = Object.fromEntries(result.out.split('\n').map((line) => line.split('=')));
    const works = ['socket-inet', 'personality-query', 'chroot', 'mknod-fifo'];
    for (const name of works) expect([name, got[name]]).toEqual([name, '0']);
    const denied = [
      'socket-alg', 'socket-vsock', 'socket-alg-high', 'unshare-user', 'unshare-mount', 'clone-user', 'mount', 'fsopen', 'open-tree',
      'pivot-root', 'keyctl', 'add-key', 'bpf', 'perf', 'userfaultfd', 'io-uring', 'kexec', 'init-module', 'open-by-handle', 'setns',
      'reboot', 'swapon', 'settimeofday', 'personality-aslr', 'mknod-disk',
    ]; // oxfmt-ignore
    for (const name of denied) expect([name, got[name]]).toEqual([name, '1']);
    expect(got['clone3']).toBe('38');
    expect(got['newest']).toBe('38');
    // Not a terminal, and none to be had.
    expect(got['tiocsti']).toBe('25');
    expect(got['tty']).toBe('6');
    if (process.arch === 'x64') {
      expect([got['i386-getpid'], got['i386-unshare'], got['i386-keyctl'], got['i386-newest']]).toEqual([
        '0',
        '1',
        '1',
        '38',
      ]);
      // Kernels without x32 answer ENOSYS by themselves.
      expect(['0', '38']).toContain(got['x32-getpid']);
    }
    // Nothing but the standard streams is open, whatever the caller had (CVE-2024-21626).
    const fds = result.out.split('\n').filter((line) => line.startsWith('fd-'));
    expect(fds.slice(0, 3)).toEqual(['fd-0', 'fd-1', 'fd-2']);
  });
});
