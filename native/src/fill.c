/*
 * A named volume that is still empty gets what the image has at its place. It is filled beside its directory and renamed over that, so that
 * one which is filled by halves is never seen. Only the image's part of the tree is read: nothing is mounted in it yet that lies there.
 */
#include "copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* What the directory of a volume is called in its own, and what it is called while it is filled (src/containers/volumes.ts). */
static const char DATA[] = "data", FILLING[] = "filling";

static bool is_empty(int dir) {
  int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? NULL : fdopendir(copy);
  if (entries == NULL) fail("cannot read a volume");
  bool empty = true;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) empty = false;
  closedir(entries);
  return empty;
}

int fill_volume(const struct mount_spec *mount, int root) {
  /* What is mounted already, such as /proc, is no part of the image, whichever link of the image leads there. */
  int source = *mount->source_fd, from = sys_openat2(root, mount->target, O_RDONLY | O_DIRECTORY, 0, RESOLVE_IN_ROOT_ | RESOLVE_NO_MAGICLINKS_ | RESOLVE_NO_XDEV_);
  /* The image has no such directory: then the volume's owner is root, as the mount point's would be. */
  if (from < 0) return source;
  int parent = openat(source, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0 || flock(parent, LOCK_EX) < 0) fail("cannot lock the volume at \"%s\"", mount->target);
  int data = open_subdirectory(parent, DATA);
  if (is_empty(data)) {
    struct rlimit before = raise_descriptor_limit();
    remove_entry(parent, FILLING);
    if (mkdirat(parent, FILLING, 0755) < 0) fail("cannot fill the volume at \"%s\"", mount->target);
    int filling = open_subdirectory(parent, FILLING);
    copy_tree(from, filling);
    copy_directory_attributes(from, filling, COPY_AS_IS);
    if (renameat(parent, FILLING, parent, DATA) < 0) fail("cannot fill the volume at \"%s\"", mount->target);
    setrlimit(RLIMIT_NOFILE, &before);
    close(data);
    data = filling;
  }
  close(from);
  close(parent);
  return data;
}
