import { AT_REMOVEDIR, close, statat, unlinkat } from '../sys/index.ts';
import { type ByteString, isDir, listDir, openDirAt, toFsPath } from '../tree/index.ts';

/** Removes everything in an open directory, following no symlink. Deep trees are no problem: one level at a time. */
export function emptyDir(fd: number): void {
  // Directories on the way down: each is removed from its parent once it is empty.
  const stack: { fd: number; name: ByteString; names: ByteString[] }[] = [{ fd, name: '', names: listDir(fd) }];
  try {
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const name = top.names.pop();
      if (name === undefined) {
        stack.pop();
        const parent = stack.at(-1);
        if (!parent) return;
        close(top.fd);
        unlinkat(parent.fd, toFsPath(top.name), AT_REMOVEDIR);
      } else if (isDir(statat(top.fd, toFsPath(name)))) {
        const child = openDirAt(top.fd, name);
        stack.push({ fd: child, name, names: listDir(child) });
      } else unlinkat(top.fd, toFsPath(name));
    }
  } finally {
    for (const entry of stack.slice(1)) close(entry.fd);
  }
}

/** Removes a file, or a directory with everything in it. */
export function removeAt(dirfd: number, name: ByteString): void {
  if (!isDir(statat(dirfd, toFsPath(name)))) {
    unlinkat(dirfd, toFsPath(name));
    return;
  }
  const fd = openDirAt(dirfd, name);
  try {
    emptyDir(fd);
  } finally {
    close(fd);
  }
  unlinkat(dirfd, toFsPath(name), AT_REMOVEDIR);
}
