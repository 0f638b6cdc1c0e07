/* Owners of files: who changes them, and whose new files are. Each name is looked up from where the asker is, as the kernel would. */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* ---- where the asker is ---- */

/* Page by page: what lies behind the end of the path need not be there. */
static bool read_path(uint64_t address, char *path) {
  for (size_t got = 0; got < PATH_MAX;) {
    size_t piece = PAGE - (size_t)((address + got) % PAGE);
    if (piece > PATH_MAX - got) piece = PATH_MAX - got;
    if (!read_memory(address + got, path + got, piece)) return false;
    if (memchr(path + got, 0, piece) != NULL) return true;
    got += piece;
  }
  return false;
}

static bool enter(const char *link, bool as_root) {
  int fd = openat(supervisor.proc, link, O_PATH | O_DIRECTORY | O_CLOEXEC);
  bool done = fd >= 0 && fchdir(fd) == 0 && (!as_root || chroot(".") == 0);
  if (fd >= 0) close(fd);
  return done;
}

/* To where the asker looks names up that do not begin at its root. */
static bool enter_asker(int number, int dir, bool from_root) {
  char link[64];
  snprintf(link, sizeof link, "%d/root", number);
  if (!enter(link, true) || from_root) return from_root;
  if (dir == AT_FDCWD) snprintf(link, sizeof link, "%d/cwd", number);
  else snprintf(link, sizeof link, "%d/fd/%d", number, dir);
  return enter(link, false);
}

/*
 * Links of /proc are not followed: where the step has the /proc of what is around it, they lead to roots that the asker may not enter, but the
 * supervisor may. Pipes and terminals that programs reach by them have no owner to remember.
 */
static int look_up(const char *path, int flags) { return sys_openat2(AT_FDCWD, path, O_PATH | flags, 0, RESOLVE_NO_MAGICLINKS_); }

/* The same for a path that begins at the asker's root, in half as many calls. EAGAIN: somebody renamed a directory meanwhile. */
static int look_up_from_root(int number, const char *path, int flags) {
  char link[64];
  snprintf(link, sizeof link, "%d/root", number);
  int root = openat(supervisor.proc, link, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  int fd = sys_openat2(root, path, O_PATH | flags, 0, RESOLVE_IN_ROOT_ | RESOLVE_NO_MAGICLINKS_), error = errno;
  close(root);
  errno = error;
  return fd;
}

/* What was found last, and the name by which this process has it. */
static int found = -1;
static char found_link[64];

int stat_there(const char *path, struct stat *info) { return path == found_link ? fstat(found, info) : stat(path, info); }

const char *go_to_descriptor(int fd) {
  static char link[64];
  int number = asker_number();
  if (number == 0 || fchdir(supervisor.proc) < 0) return NULL;
  if (fd == AT_FDCWD) snprintf(link, sizeof link, "%d/cwd", number);
  else snprintf(link, sizeof link, "%d/fd/%d", number, fd);
  return link;
}

const char *go_to(int dir, uint64_t address, int flags) {
  char path[PATH_MAX];
  bool empty = (flags & AT_EMPTY_PATH) != 0;
  errno = ENOENT;
  if (empty && address == 0) return go_to_descriptor(dir);
  if (!read_path(address, path)) return NULL;
  if (path[0] == 0) return empty ? go_to_descriptor(dir) : NULL;
  int number = asker_number(), follow = (flags & AT_SYMLINK_NOFOLLOW) != 0 ? O_NOFOLLOW : 0;
  if (number == 0) return NULL;
  /* Open until the next question, so that all of the answer is about one file. */
  if (found >= 0) close(found);
  errno = EAGAIN;
  found = path[0] == '/' ? look_up_from_root(number, path, follow) : -1;
  if (found < 0 && errno == EAGAIN && enter_asker(number, dir, path[0] == '/')) found = look_up(path, follow);
  if (found < 0 || fchdir(supervisor.proc) < 0) return NULL;
  snprintf(found_link, sizeof found_link, "self/fd/%d", found);
  return found_link;
}

/* ---- chown ---- */

static bool may_change(const struct ids *ids, const struct owner *owner, uid_t uid, gid_t gid) {
  if (is_privileged(ids)) return true;
  if (owner->uid != ids->euid || (uid != (uid_t)-1 && uid != owner->uid)) return false;
  return gid == (gid_t)-1 || gid == owner->gid || in_group(ids, gid);
}

static struct reply change_owner(const char *path, uid_t uid, gid_t gid) {
  struct stat info;
  if (stat_there(path, &info) < 0) return reply_error(errno);
  if ((uid != (uid_t)-1 && uid >= supervisor.id_count) || (gid != (gid_t)-1 && gid >= supervisor.id_count)) return reply_error(EINVAL);
  struct owner owner = read_owner(path, true, &info);
  if (!may_change(asker_ids(), &owner, uid, gid)) return reply_error(EPERM);
  /* To whom it belongs already, for what else comes of it: copying up, setuid bits and capabilities that go, the time of change. */
  if (chown(path, uid == (uid_t)-1 ? uid : 0, gid == (gid_t)-1 ? gid : 0) < 0) return reply_error(errno);
  if (uid != (uid_t)-1) owner.uid = uid;
  if (gid != (gid_t)-1) owner.gid = gid;
  int error = write_owner(path, true, &info, &owner);
  return error == 0 ? reply_value(0) : reply_error(error);
}

static struct reply chown_at(int dir, uint64_t address, int flags, uid_t uid, gid_t gid) {
  const char *path = go_to(dir, address, flags);
  if (path != NULL) return change_owner(path, uid, gid);
  /* A link of /proc: /dev/stdout and its like. For what is not there at all, the kernel says why. */
  return errno == ELOOP ? reply_value(0) : reply_proceed();
}

struct reply fake_chown(const struct call *call) {
  const uint64_t *arguments = call->arguments;
  if (call->number == SYS_fchown) {
    const char *path = go_to_descriptor((int)arguments[0]);
    return path == NULL ? reply_error(ESRCH) : change_owner(path, (uid_t)arguments[1], (gid_t)arguments[2]);
  }
  if (call->number == SYS_fchownat) {
    int flags = (int)arguments[4];
    if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return reply_error(EINVAL);
    return chown_at((int)arguments[0], arguments[1], flags, (uid_t)arguments[2], (gid_t)arguments[3]);
  }
#ifdef SYS_chown
  int flags = call->number == SYS_chown ? 0 : AT_SYMLINK_NOFOLLOW;
  return chown_at(AT_FDCWD, arguments[0], flags, (uid_t)arguments[1], (gid_t)arguments[2]);
#else
  return reply_proceed();
#endif
}

/* ---- new files ---- */

/* What is to be made: `flags` for open, `device` for a node, `target` for a link. */
struct wish {
  enum { WISH_FILE, WISH_DIRECTORY, WISH_NODE, WISH_LINK } kind;
  int dir;
  uint64_t path, target;
  int flags;
  mode_t mode;
  dev_t device;
};

static struct wish wish_of(const struct call *call) {
  const uint64_t *a = call->arguments;
  switch (call->number) {
  case SYS_openat: return (struct wish){WISH_FILE, (int)a[0], a[1], 0, (int)a[2], (mode_t)a[3], 0};
  case SYS_mkdirat: return (struct wish){WISH_DIRECTORY, (int)a[0], a[1], 0, 0, (mode_t)a[2], 0};
  case SYS_mknodat: return (struct wish){WISH_NODE, (int)a[0], a[1], 0, 0, (mode_t)a[2], (dev_t)(uint32_t)a[3]};
  case SYS_symlinkat: return (struct wish){WISH_LINK, (int)a[1], a[2], a[0], 0, 0, 0};
#ifdef SYS_open
  case SYS_open: return (struct wish){WISH_FILE, AT_FDCWD, a[0], 0, (int)a[1], (mode_t)a[2], 0};
  case SYS_creat: return (struct wish){WISH_FILE, AT_FDCWD, a[0], 0, O_CREAT | O_WRONLY | O_TRUNC, (mode_t)a[1], 0};
  case SYS_mkdir: return (struct wish){WISH_DIRECTORY, AT_FDCWD, a[0], 0, 0, (mode_t)a[1], 0};
  case SYS_mknod: return (struct wish){WISH_NODE, AT_FDCWD, a[0], 0, 0, (mode_t)a[1], (dev_t)(uint32_t)a[2]};
  case SYS_symlink: return (struct wish){WISH_LINK, AT_FDCWD, a[1], a[0], 0, 0, 0};
#endif
  default: {
    uint64_t how[3] = {0};
    size_t size = a[3] < sizeof how ? (size_t)a[3] : sizeof how;
    if (!read_memory(a[2], how, size) || how[2] != 0) return (struct wish){.kind = WISH_FILE};
    return (struct wish){WISH_FILE, (int)a[0], a[1], 0, (int)how[0], (mode_t)how[1], 0};
  }
  }
}

/* Goes to the directory that a path's last name is in, as the asker would. Gives that name, NULL where the kernel has to say what is wrong. */
static const char *go_to_parent(const struct wish *wish, char *path) {
  if (!read_path(wish->path, path) || path[0] == 0) return NULL;
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') path[--length] = 0;
  char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  int number = asker_number();
  if (*name == 0 || number == 0 || !enter_asker(number, wish->dir, path[0] == '/')) return NULL;
  if (slash != NULL) *slash = 0;
  int parent = look_up(slash == NULL ? "." : *path == 0 ? "/" : path, O_DIRECTORY);
  bool there = parent >= 0 && fchdir(parent) == 0;
  if (parent >= 0) close(parent);
  return there ? name : NULL;
}

/* Whose a new file is in the directory that this process is in: the asker's, but for the group where the directory hands on its own. */
static struct owner owner_here(const struct ids *ids) {
  struct owner owner = {.uid = ids->euid, .gid = ids->egid};
  struct stat info;
  if (stat(".", &info) == 0 && (info.st_mode & S_ISGID) != 0) owner.gid = read_owner(".", true, &info).gid;
  return owner;
}

static mode_t asker_umask(void) {
  const char *mask = process_field(asker_number(), "Umask");
  return mask == NULL ? 022 : (mode_t)strtoul(mask, NULL, 8) & 0777;
}

static int remember(const char *path, const struct owner *owner) {
  struct stat info;
  return lstat(path, &info) < 0 ? errno : write_owner(path, false, &info, owner);
}

/* Only what is made here and now is handed in; for what is there already the kernel decides. */
static struct reply make_file(const struct wish *wish, const char *path, const struct owner *owner) {
  int flags = (wish->flags & ~(O_TRUNC | O_CLOEXEC)) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
  int fd = open(path, flags, wish->mode & 07777 & ~asker_umask());
  if (fd < 0) return reply_proceed();
  int error = remember(path, owner);
  struct reply reply = error == 0 ? send_descriptor(fd, (wish->flags & O_CLOEXEC) != 0) : reply_error(error);
  close(fd);
  return reply;
}

static int make_device(const struct wish *wish, const char *path, struct owner owner) {
  int fd = open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, wish->mode & 07777 & ~asker_umask());
  if (fd < 0) return errno;
  close(fd);
  owner.device = wish->mode & S_IFMT;
  owner.major = major(wish->device);
  owner.minor = minor(wish->device);
  return remember(path, &owner);
}

static int make_other(const struct wish *wish, const char *path, const struct owner *owner) {
  char target[PATH_MAX];
  int made = -1;
  if (wish->kind == WISH_DIRECTORY) made = mkdir(path, wish->mode & 01777 & ~asker_umask());
  else if (wish->kind == WISH_NODE) made = mknod(path, (wish->mode & S_IFMT) | (wish->mode & 07777 & ~asker_umask()), 0);
  else if (!read_path(wish->target, target)) return EFAULT;
  else made = symlink(target, path);
  return made < 0 ? errno : remember(path, owner);
}

struct reply fake_create(const struct call *call) {
  struct wish wish = wish_of(call);
  if (wish.kind == WISH_FILE && (wish.flags & O_CREAT) == 0) return reply_proceed();
  mode_t type = wish.mode & S_IFMT;
  bool device = wish.kind == WISH_NODE && (type == S_IFCHR || type == S_IFBLK) && wish.device != 0;
  const struct ids *ids = asker_ids();
  char path[PATH_MAX];
  const char *name = go_to_parent(&wish, path);
  if (name == NULL) return reply_proceed();
  struct owner owner = owner_here(ids);
  if (owner.uid == 0 && owner.gid == 0 && !device) return reply_proceed();
  if (wish.kind == WISH_FILE) return make_file(&wish, name, &owner);
  int error = !device ? make_other(&wish, name, &owner) : is_privileged(ids) ? make_device(&wish, name, owner) : EPERM;
  return error == 0 ? reply_value(0) : reply_error(error);
}

/* ---- times ---- */

/* The time of last access of a link, where that is where its owner is remembered, stays. */
struct reply fake_times(const struct call *call) {
  const char *path = call->arguments[1] == 0 ? NULL : go_to((int)call->arguments[0], call->arguments[1], AT_SYMLINK_NOFOLLOW);
  struct stat info;
  if (path == NULL || stat(path, &info) < 0 || !is_owner_time(&info)) return reply_proceed();
  struct timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (call->arguments[2] != 0 && !read_memory(call->arguments[2], times, sizeof times)) return reply_error(EFAULT);
  times[0] = info.st_atim;
  return utimensat(AT_FDCWD, path, times, 0) < 0 ? reply_error(errno) : reply_value(0);
}
