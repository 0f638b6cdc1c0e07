import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** Whether steps for arm64 are emulated here: by Debian's emulator, on a kernel on which user namespaces have formats of their own (6.7). */
export function canEmulateArm64(): boolean {
  if (process.arch !== 'x64' || !existsSync('/usr/bin/qemu-aarch64-static')) return false;
  const mount = ['mount', '-t', 'binfmt_misc', 'x', tmpdir()];
  return spawnSync('unshare', ['--user', '--map-root-user', '--mount', ...mount]).status === 0;
}
