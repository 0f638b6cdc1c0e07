/**
 * Writes the root file systems of build results out: as a tar archive, or into a directory. Runs where files of sub-ids can
 * be read, i.e. in the worker; everything it takes and gives is plain data.
 */
export { writeRootfsDirectory, type WriteDirectoryOptions } from './directory.ts';
export { BufferedOutput } from './buffered-output.ts';
export { RootfsTar } from './rootfs-tar.ts';
export { writeRootfsTar } from './tar.ts';
export type { Checkpoint, RootfsReport, RootfsTree, WriteRootfsOptions } from './types.ts';
