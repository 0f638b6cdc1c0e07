import { type BigIntStats, fstatSync, lstatSync } from 'node:fs';
import { type FileStat, type FileState, isInState, statatIfExists } from '../sys/index.ts';
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
  return stat && new SysStat(stat);
}

/** Whether an open file is still in the state that `stat` is of. */
export function isStill(fd: number, stat: HostStat): boolean {
  if (stat instanceof SysStat) return isInState(fd, stat);
  return sameStat(toHostStat(fstatSync(fd, { bigint: true })), stat);
}

/** A state as src/sys gives it. The large numbers are made when they are asked for, which for most files is never. */
class SysStat implements HostStat, FileState {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly ctimeSec: number;
  readonly ctimeNsec: number;
  readonly inoHigh: number;
  readonly inoLow: number;
  readonly devMajor: number;
  readonly devMinor: number;

  constructor(stat: FileStat) {
    this.mode = stat.mode;
    this.nlink = stat.nlink;
    this.uid = stat.uid;
    this.size = stat.size;
    this.mtimeSec = stat.mtimeSec;
    this.mtimeNsec = stat.mtimeNsec;
    this.ctimeSec = stat.ctimeSec;
    this.ctimeNsec = stat.ctimeNsec;
    this.inoHigh = stat.inoHigh;
    this.inoLow = stat.inoLow;
    this.devMajor = stat.devMajor;
    this.devMinor = stat.devMinor;
  }

  get dev(): bigint {
    return makedev(this.devMajor, this.devMinor);
  }

  get ino(): bigint {
    return (BigInt(this.inoHigh) << 32n) | BigInt(this.inoLow);
  }

  get mtimeNs(): bigint {
    return BigInt(this.mtimeSec) * SECOND + BigInt(this.mtimeNsec);
  }

  get ctimeNs(): bigint {
    return BigInt(this.ctimeSec) * SECOND + BigInt(this.ctimeNsec);
  }
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
