import { type BigIntStats, lstatSync } from 'node:fs';
import { statatIfExists } from '../sys/index.ts';
import { type ByteString, toFsPath } from './bytes.ts';

/** What identifies the state of a file on the host: any change of content or metadata changes it. */
export interface HostStat {
  readonly dev: bigint;
  readonly ino: bigint;
  /** Type and permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function toHostStat(stats: BigIntStats): HostStat {
  return {
    dev: stats.dev,
    ino: stats.ino,
    mode: Number(stats.mode),
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    size: Number(stats.size),
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
  };
}

/** The state of a name in an open directory, undefined when there is none. A symlink is not followed. */
export function lstatBeneath(dirfd: number, name: ByteString): HostStat | undefined {
  const path = toFsPath(`/proc/self/fd/${dirfd}/${name}`);
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && toHostStat(stats);
}

/** The same through src/sys. */
export function statBeneath(dirfd: number, name: ByteString): HostStat | undefined {
  const stat = statatIfExists(dirfd, toFsPath(name));
  if (!stat) return undefined;
  const { mode, nlink, uid, size, mtimeSec, mtimeNsec, ctimeSec, ctimeNsec } = stat;
  return {
    dev: makedev(stat.devMajor, stat.devMinor),
    ino: (BigInt(stat.inoHigh) << 32n) | BigInt(stat.inoLow),
    mode,
    nlink,
    uid,
    size,
    mtimeNs: BigInt(mtimeSec) * SECOND + BigInt(mtimeNsec),
    ctimeNs: BigInt(ctimeSec) * SECOND + BigInt(ctimeNsec),
  };
}

/** As stat(2) gives device numbers, see makedev(3) of glibc and musl. */
function makedev(major: number, minor: number): bigint {
  if (major < 0x1000 && minor < 0x100) return BigInt((major << 8) | minor);
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

/** The fields of a stat by which a state of a file is told from others. */
export type StatIdentity = Pick<HostStat, 'dev' | 'ino' | 'size' | 'mode' | 'mtimeNs' | 'ctimeNs'>;

/** Whether a file is still the same and unchanged. */
export function sameStat(a: StatIdentity, b: StatIdentity): boolean {
  return (
    a.ino === b.ino &&
    a.dev === b.dev &&
    a.ctimeNs === b.ctimeNs &&
    a.mtimeNs === b.mtimeNs &&
    a.size === b.size &&
    a.mode === b.mode
  );
}

/** ns. Kernels stamp files by a clock that ticks every 1 to 10 ms. */
const TICK = 20_000_000n;
/** ns. File systems without fractions of seconds (ext3, FAT) stamp every 1 or 2 s. */
const COARSE_TICK = 2_000_000_000n;
const SECOND = 1_000_000_000n;

/**
 * Whether a change of the file after `atNs` (ns since the epoch) would show in its times. One that was changed just before could change
 * again and carry the same stamp ("racy git", git's technical documentation).
 */
export function isSettled({ mtimeNs, ctimeNs }: Pick<HostStat, 'mtimeNs' | 'ctimeNs'>, atNs: bigint): boolean {
  const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
  const tick = ctimeNs % SECOND === 0n ? COARSE_TICK : TICK;
  return mtimeNs >= 0n && ctimeNs >= 0n && latest + tick < atNs;
}
