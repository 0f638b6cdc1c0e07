import { type BigIntStats, fstatSync, lstatSync } from 'node:fs';
import { type FileState, isInState, statatIfExists } from '../sys/index.ts';
import { type ByteString, toFsPath } from './bytes.ts';

/** The fields of a stat by which a state of a file is told from others: any change of content or metadata changes one. */
export type StatIdentity = FileState;

/** What a file on the host is, as far as it matters to a build. */
export interface HostStat extends StatIdentity {
  readonly nlink: number;
  readonly uid: number;
}

/** The fields that tell whether a file changed, out of Node's. */
export function toHostStat(stats: BigIntStats): HostStat {
  const [mtimeSec, mtimeNsec] = fromNs(stats.mtimeNs);
  const [ctimeSec, ctimeNsec] = fromNs(stats.ctimeNs);
  const [devMajor, devMinor] = splitDevice(stats.dev);
  return {
    mode: Number(stats.mode),
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    size: Number(stats.size),
    mtimeSec,
    mtimeNsec,
    ctimeSec,
    ctimeNsec,
    inoHigh: Number(stats.ino >> 32n),
    inoLow: Number(stats.ino & 0xffffffffn),
    devMajor,
    devMinor,
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
  const { inoHigh, inoLow, devMajor, devMinor } = stat;
  // Without what is not asked for: large contexts hold very many of these.
  return {
    mode,
    nlink,
    uid,
    size,
    mtimeSec,
    mtimeNsec,
    ctimeSec,
    ctimeNsec,
    inoHigh,
    inoLow,
    devMajor,
    devMinor,
  };
}

/** Whether an open file is in a state. @param fast through src/sys, which takes half the time once it is loaded */
export function isStill(fd: number, stat: StatIdentity, fast: boolean): boolean {
  return fast ? isInState(fd, stat) : sameStat(toHostStat(fstatSync(fd, { bigint: true })), stat);
}

/** Whether a file is still the same and unchanged. */
export function sameStat(a: StatIdentity, b: StatIdentity): boolean {
  return (
    sameInode(a, b) &&
    a.ctimeNsec === b.ctimeNsec &&
    a.ctimeSec === b.ctimeSec &&
    a.mtimeNsec === b.mtimeNsec &&
    a.mtimeSec === b.mtimeSec &&
    a.size === b.size &&
    a.mode === b.mode
  );
}

/** Whether it is the same file, changed or not. */
export function sameInode(a: StatIdentity, b: StatIdentity): boolean {
  return a.inoLow === b.inoLow && a.inoHigh === b.inoHigh && a.devMinor === b.devMinor && a.devMajor === b.devMajor;
}

/** dev, ino, mode, size, mtime and ctime (ns since the epoch), as lstat(2) gives them. */
export function toBigInts(stat: StatIdentity): readonly [bigint, bigint, bigint, bigint, bigint, bigint] {
  return [
    makeDevice(stat.devMajor, stat.devMinor),
    (BigInt(stat.inoHigh) << 32n) | BigInt(stat.inoLow),
    BigInt(stat.mode),
    BigInt(stat.size),
    toNs(stat.mtimeSec, stat.mtimeNsec),
    toNs(stat.ctimeSec, stat.ctimeNsec),
  ];
}

const SECOND = 1_000_000_000n;

/** Nanoseconds since the epoch. */
export function toNs(seconds: number, nanoseconds: number): bigint {
  return BigInt(seconds) * SECOND + BigInt(nanoseconds);
}

/** Whole seconds, rounded down, and the nanoseconds after them. */
function fromNs(ns: bigint): readonly [number, number] {
  const rest = Number(ns % SECOND);
  const seconds = Number(ns / SECOND);
  return rest < 0 ? [seconds - 1, rest + 1e9] : [seconds, rest];
}

/** Major and minor number of a device number as stat(2) gives it: see makedev(3) of glibc and musl. */
export function splitDevice(dev: bigint): readonly [major: number, minor: number] {
  const low = Number(dev & 0xffffffffn);
  const high = Number(dev >> 32n);
  return [
    ((high & 0xfffff000) | ((low >>> 8) & 0xfff)) >>> 0,
    (((high & 0xfff) << 20) | ((low >>> 20) << 8) | (low & 0xff)) >>> 0,
  ];
}

function makeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

/** ms. Kernels stamp files by a clock that ticks every 1 to 10 ms. */
const TICK = 20;
/** ms. File systems without fractions of seconds (ext3, FAT) stamp every 1 or 2 s. */
const COARSE_TICK = 2000;

/**
 * Whether a change of the file after `at` (ms since the epoch) would show in its times. One that was changed just before could change
 * again and carry the same stamp ("racy git", git's technical documentation).
 */
export function isOldEnough(
  { mtimeSec, mtimeNsec, ctimeSec, ctimeNsec }: Pick<StatIdentity, 'mtimeSec' | 'mtimeNsec' | 'ctimeSec' | 'ctimeNsec'>,
  at: number,
): boolean {
  const latest = Math.max(mtimeSec * 1000 + mtimeNsec / 1e6, ctimeSec * 1000 + ctimeNsec / 1e6);
  return mtimeSec >= 0 && ctimeSec >= 0 && latest + (ctimeNsec === 0 ? COARSE_TICK : TICK) < at;
}
