/* What files look like: whose they are is told from what is remembered; all the rest, and of most files everything, is the kernel's. */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* Offsets in struct statx of linux/stat.h. */
enum { ALL_OF_IT = 256, AT_UID_ = 0x14, AT_GID_ = 0x18, AT_MODE_ = 0x1c, AT_MAJOR_ = 0x80, AT_MINOR_ = 0x84 };

static void put(unsigned char *statx, size_t at, uint32_t value) { memcpy(statx + at, &value, sizeof value); }

static struct reply give_statx(const struct call *call, const char *path, const struct owner *owner) {
  unsigned char text[ALL_OF_IT] = {0};
  int flags = (int)call->arguments[2] & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
  if (syscall(SYS_statx, AT_FDCWD, path, flags, (uint32_t)call->arguments[3], text) < 0) return reply_proceed();
  put(text, AT_UID_, owner->uid);
  put(text, AT_GID_, owner->gid);
  if (owner->device != 0) {
    uint16_t mode;
    memcpy(&mode, text + AT_MODE_, sizeof mode);
    mode = (uint16_t)((mode & 07777) | owner->device);
    memcpy(text + AT_MODE_, &mode, sizeof mode);
    put(text, AT_MAJOR_, owner->major);
    put(text, AT_MINOR_, owner->minor);
  }
  return write_memory(call->arguments[4], text, sizeof text) ? reply_value(0) : reply_error(EFAULT);
}

static struct reply give_stat(uint64_t address, struct stat info, const struct owner *owner) {
  info.st_uid = owner->uid;
  info.st_gid = owner->gid;
  if (owner->device != 0) {
    info.st_mode = (info.st_mode & 07777) | owner->device;
    info.st_rdev = makedev(owner->major, owner->minor);
  }
  return write_memory(address, &info, sizeof info) ? reply_value(0) : reply_error(EFAULT);
}

/*
 * Files that nothing is remembered of, which nearly all are, by what changes with their attributes. The kernel's clock stands still for some ms: only
 * who was not changed lately is known to look different after the next change.
 */
enum { PLAIN = 1 << 13, OLD = 2 };
static struct {
  dev_t device;
  ino_t inode;
  struct timespec changed;
} plain[PLAIN];

static bool is_known_plain(const struct stat *info) {
  size_t at = info->st_ino % PLAIN;
  bool same_time = plain[at].changed.tv_sec == info->st_ctim.tv_sec && plain[at].changed.tv_nsec == info->st_ctim.tv_nsec;
  return same_time && plain[at].inode == info->st_ino && plain[at].device == info->st_dev;
}

static void note_plain(const struct stat *info) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME_COARSE, &now) < 0 || now.tv_sec - info->st_ctim.tv_sec < OLD) return;
  size_t at = info->st_ino % PLAIN;
  plain[at].inode = info->st_ino;
  plain[at].device = info->st_dev;
  plain[at].changed = info->st_ctim;
}

struct reply fake_stat(const struct call *call) {
  const uint64_t *arguments = call->arguments;
  const char *path = NULL;
  uint64_t address = arguments[1];
  switch (call->number) {
  case SYS_fstat: path = go_to_descriptor((int)arguments[0]); break;
  case SYS_newfstatat:
  case SYS_statx:
    path = go_to((int)arguments[0], arguments[1], (int)arguments[call->number == SYS_statx ? 2 : 3]);
    address = arguments[2];
    break;
#ifdef SYS_stat
  case SYS_stat:
  case SYS_lstat:
    path = go_to(AT_FDCWD, arguments[0], call->number == SYS_stat ? 0 : AT_SYMLINK_NOFOLLOW);
    break;
#endif
  default: break;
  }
  struct stat info;
  /* What is not there, the kernel says best. */
  if (path == NULL) return reply_proceed();
  if (stat_there(path, &info) < 0 || is_known_plain(&info)) return reply_proceed();
  struct owner owner = read_owner(path, true, &info);
  if (owner.uid == 0 && owner.gid == 0 && owner.device == 0) {
    note_plain(&info);
    return reply_proceed();
  }
  return call->number == SYS_statx ? give_statx(call, path, &owner) : give_stat(address, info, &owner);
}
