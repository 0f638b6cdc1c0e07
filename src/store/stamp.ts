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
