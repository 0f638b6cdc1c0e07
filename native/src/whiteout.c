/* What hides names of lower layers, as overlayfs has it (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"). */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define WHITEOUT_MARK "user.overlay.whiteout"
/* On directories that have marked files: src/tree/merged-dir.ts looks for it. */
#define WHITEOUTS_MARK "user.overlay.whiteouts"
#define OPAQUE "user.overlay.opaque"

bool is_whiteout(int dir, const char *name, const struct stat *info) {
  if (S_ISCHR(info->st_mode)) return info->st_rdev == makedev(0, 0);
  if (!S_ISREG(info->st_mode) || info->st_size != 0) return false;
  int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return false;
  bool marked = fgetxattr(fd, WHITEOUT_MARK, NULL, 0) >= 0;
  close(fd);
  return marked;
}

void make_whiteout(int dir, const char *name) {
  if (mknodat(dir, name, S_IFCHR, makedev(0, 0)) == 0) return;
  if (errno != EPERM) fail("cannot mark \"%s\" as deleted", name);
  int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 || fsetxattr(fd, WHITEOUT_MARK, "y", 1, 0) < 0) fail("cannot mark \"%s\" as deleted", name);
  close(fd);
  if (fsetxattr(dir, WHITEOUTS_MARK, "y", 1, 0) < 0 || (!is_opaque(dir) && fsetxattr(dir, OPAQUE, "x", 1, 0) < 0))
    fail("cannot mark the directory of \"%s\"", name);
}

bool is_opaque(int dir) {
  char value[2];
  return fgetxattr(dir, OPAQUE, value, sizeof value) == 1 && value[0] == 'y';
}
