import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';

/** The machine as far as limits are about it: files of /proc and of the trees of cgroups. Tests bring one of their own. */
export interface KernelFiles {
  /** Undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** Where a symbolic link leads to; undefined when there is none. */
  link(path: string): string | undefined;
  /** Names of the groups in a group. */
  groups(path: string): readonly string[];
  /** @throws the system's error */
  write(path: string, text: string): void;
  /** @throws the system's error */
  makeGroup(path: string): void;
  /** @throws the system's error, `EBUSY` while there are processes in it */
  removeGroup(path: string): void;
  /** Whether this process may write to a file, or make a group in a directory. */
  isWritable(path: string): boolean;
}

/** This machine. */
export const kernelFiles: KernelFiles = {
  read: (path) => attempt(() => readFileSync(path, 'utf8')),
  link: (path) => attempt(() => readlinkSync(path)),
  groups: (path) =>
    attempt(() =>
      readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])),
    ) ?? [],
  // Files of the kernel are there before they are written to, and what is not there must not be made.
  write: (path, text) => writeFileSync(path, text, { flag: 'r+' }),
  makeGroup: (path) => mkdirSync(path),
  removeGroup: (path) => rmdirSync(path),
  isWritable: (path) => attempt(() => (accessSync(path, constants.W_OK), true)) ?? false,
};

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
