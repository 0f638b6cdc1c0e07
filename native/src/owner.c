/*
 * Owners where all files belong to one id on disk. What a file's owner would be is remembered on its inode, so that it follows the file
 * through renames, hard links and an overlay's copies, and goes when the file goes: nothing has to be kept in step with the tree.
 *
 * - Files and directories have it in an attribute, "uid:gid", or "uid:gid:c:major:minor" for a device that stands as an empty file.
 * - Links, fifos and sockets may have no attributes of users. Their time of last access is used, which means nothing for an image: a second from
 *   2^33 on (the year 2242) is the uid, the nanoseconds are the gid. The kernel moves no such time: it lies in the future (relatime).
 *
 * src/sys/owners.ts reads and writes the same.
 */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OWNER "user.tsbuild.owner"
enum { OWNER_TEXT = 80 };
#define FIRST_SECOND (1ll << 33)

static bool has_attributes(const struct stat *info) { return S_ISREG(info->st_mode) || S_ISDIR(info->st_mode); }

bool is_owner_time(const struct stat *info) {
  return !has_attributes(info) && info->st_atim.tv_sec >= FIRST_SECOND && info->st_atim.tv_sec < FIRST_SECOND + OWNER_LIMIT;
}

/* What a step writes there itself says whose its own files are, which it may say. */
static struct owner parse_owner(const char *text) {
  struct owner owner = {0};
  char kind = 0;
  int fields = sscanf(text, "%9u:%9u:%c:%9u:%9u", &owner.uid, &owner.gid, &kind, &owner.major, &owner.minor);
  if (fields == 5 && (kind == 'c' || kind == 'b')) owner.device = kind == 'c' ? S_IFCHR : S_IFBLK;
  return fields < 2 ? (struct owner){0} : owner;
}

struct owner read_owner(const char *path, bool follow, const struct stat *info) {
  if (!has_attributes(info)) {
    if (!is_owner_time(info)) return (struct owner){0};
    return (struct owner){.uid = (uid_t)(info->st_atim.tv_sec - FIRST_SECOND), .gid = (gid_t)info->st_atim.tv_nsec};
  }
  char text[OWNER_TEXT];
  ssize_t length = follow ? getxattr(path, OWNER, text, sizeof text - 1) : lgetxattr(path, OWNER, text, sizeof text - 1);
  if (length <= 0) return (struct owner){0};
  text[length] = 0;
  return parse_owner(text);
}

static int write_attribute(const char *path, bool follow, const struct owner *owner) {
  char text[OWNER_TEXT];
  int length = snprintf(text, sizeof text, "%u:%u", owner->uid, owner->gid);
  if (owner->device != 0)
    length += snprintf(text + length, sizeof text - (size_t)length, ":%c:%u:%u", owner->device == S_IFCHR ? 'c' : 'b', owner->major, owner->minor);
  bool plain = owner->uid == 0 && owner->gid == 0 && owner->device == 0;
  int failed = plain    ? (follow ? removexattr(path, OWNER) : lremovexattr(path, OWNER))
               : follow ? setxattr(path, OWNER, text, (size_t)length, 0)
                        : lsetxattr(path, OWNER, text, (size_t)length, 0);
  return failed < 0 && errno != ENODATA && errno != ENOTSUP ? errno : 0;
}

int write_owner(const char *path, bool follow, const struct stat *info, const struct owner *owner) {
  if (has_attributes(info)) return write_attribute(path, follow, owner);
  bool plain = owner->uid == 0 && owner->gid == 0;
  if (plain && !is_owner_time(info)) return 0;
  struct timespec times[2] = {{FIRST_SECOND + owner->uid, (long)owner->gid}, {0, UTIME_OMIT}};
  if (plain) times[0] = info->st_mtim;
  return utimensat(AT_FDCWD, path, times, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0 && errno != EPERM ? errno : 0;
}

void give_entry(int dir, const char *name, uid_t uid, gid_t gid) {
  char *path = format_text("/proc/self/fd/%d/%s", dir, name);
  struct stat info;
  struct owner owner = {.uid = uid, .gid = gid};
  if (lstat(path, &info) < 0 || (errno = write_owner(path, false, &info, &owner)) != 0) fail("cannot remember the owner of \"%s\"", name);
  free(path);
}

void copy_owner(int from, int to) {
  char text[OWNER_TEXT];
  ssize_t length = fgetxattr(from, OWNER, text, sizeof text);
  if (length > 0 && fsetxattr(to, OWNER, text, (size_t)length, 0) < 0) fail("cannot remember the owner of a directory");
}
