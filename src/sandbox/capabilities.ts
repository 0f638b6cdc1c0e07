import { suggest, TsbuildError } from '../util/index.ts';

/** Docker's default set: 14 capabilities, `CapBnd: 00000000a80425fb`. */
const DOCKER_CAPABILITIES = 0xa8_04_25_fbn;
/** As many as the kernel has bits for, also those that it will get. */
export const ALL_CAPABILITIES = 0xffff_ffff_ffff_ffffn;

/** By their numbers (linux/capability.h). */
const NAMES = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST ' +
  'NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE ' +
  'SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG ' +
  'WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ');

/**
 * A capability as docker takes it: `NET_ADMIN`, `cap_net_admin` or `ALL`.
 * @returns the name in capitals, without `CAP_`
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseCapability(text: string): string {
  const name = text.toUpperCase().replace(/^CAP_/, '');
  if (name === 'ALL' || NAMES.includes(name)) return name;
  const near = suggest(name, NAMES);
  throw new TsbuildError(
    'TSB_USAGE',
    `Unknown capability ${JSON.stringify(text)}`,
    near === undefined ? {} : { hint: `did you mean ${near}?` },
  );
}

/** The mask of a set: docker's, with these added and those dropped; a single name counts for more than `ALL`. */
export function capabilityMask(add: readonly string[], drop: readonly string[]): bigint {
  const mask = (names: readonly string[]): bigint =>
    names.reduce((sum, name) => (name === 'ALL' ? sum : sum | (1n << BigInt(NAMES.indexOf(name)))), 0n);
  const all = (1n << BigInt(NAMES.length)) - 1n;
  const base = add.includes('ALL') ? all : drop.includes('ALL') ? 0n : DOCKER_CAPABILITIES;
  return (base | mask(add)) & ~mask(drop);
}
