import { type BigIntStats, fstatSync, lstatSync } from 'node:fs';
import { fileBatch, type FileState, isInState, type OwnedFileState } from '../sys/index.ts';
import { type ByteString, toFsPath } from './bytes.ts';
import { clearState, putState, stateRows } from './state-sum.ts';

/** The fields of a stat by which a state of a file is told from others: any change of content or metadata changes one. */
export type StatIdentity = FileState;

/** What a file on the host is, as far as it matters to a build. */
export type HostStat = OwnedFileState;

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

/**
 * The states of names in an open directory, of themselves and not of what they link to: rows for `getState` and `stateSum`. All at once
 * takes 0.8 us for each, one by one by Node 6 us.
 * @throws Node's errors, but not for what is not there
 */
export function lookUp(dirfd: number, names: readonly ByteString[]): Uint32Array {
  const rows = stateRows(names.length);
  if (names.length === 0) return rows;
  const batch = fileBatch();
  if (batch?.look(dirfd, Buffer.from(`${names.join('\0')}\0`, 'latin1'), rows) === 0) return rows;
  for (const [row, name] of names.entries()) {
    const path = toFsPath(`/proc/self/fd/${dirfd}/${name}`);
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats) putState(rows, row, toHostStat(stats));
    else clearState(rows, row);
  }
  return rows;
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
