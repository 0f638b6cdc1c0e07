/**
 * Compares two stamps of a directory, as the worker's `usage` makes them: `INODE.STATUS.LOOKS`, hex. STATUS covers the times at which
 * inodes were last changed, which no program can set, so it tells of every write, whatever was done to hide it. In a copy of the
 * store all of these are new: there the root has another inode number, and what a faithful copy keeps (names, types, modes, owners,
 * sizes, times of last modification) has to do.
 * @returns whether nothing changed
 */
export function sameStamp(recorded: string, now: string): boolean {
  if (recorded === now) return true;
  const [inode, , looks] = recorded.split('.');
  const [inodeNow, , looksNow] = now.split('.');
  return inode !== inodeNow && looks !== undefined && looks === looksNow;
}

const BY = 'by ';

/** What stands in place of a stamp while the process that made the directory has yet to measure it. */
export function unmeasured(session: string): string {
  return BY + session;
}

/** The session that has yet to measure the directory; undefined where there is a stamp. */
export function measurerOf(stamp: string): string | undefined {
  return stamp.startsWith(BY) ? stamp.slice(BY.length) : undefined;
}

/** Whether a stamp is one of a directory: `usage` has nothing but zeros for what it cannot open as one. */
export function isOfDirectory(stamp: string): boolean {
  return !stamp.startsWith('0.');
}
