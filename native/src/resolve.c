/*
 * Finding and making mount targets in a tree that somebody hostile has filled, and in which, where a directory is shared by
 * two steps, somebody hostile is still at work. No path is ever handed to the kernel without RESOLVE_IN_ROOT; what is made is
 * made by name in a directory descriptor (CVE-2021-30465, CVE-2024-45310, CVE-2026-41579).
 */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { MAX_LINKS = 40, PROC_MAGIC = 0x9fa0 };

int open_in_root(int root, const char *path, int flags) {
  return sys_openat2(root, path, flags, 0, RESOLVE_IN_ROOT_ | RESOLVE_NO_MAGICLINKS_);
}

/* Opens a clean path (no links, no "..") that was resolved before; a link that appears in it now is an error. */
static int open_clean(int root, const char *path, int flags) {
  return sys_openat2(root, path[0] == 0 ? "." : path, flags, 0, RESOLVE_IN_ROOT_ | RESOLVE_NO_MAGICLINKS_ | RESOLVE_NO_SYMLINKS_);
}

static void get_times(int dir, struct timespec times[2]) {
  struct stat info;
  if (fstat(dir, &info) < 0) fail("cannot read the times of a directory");
  times[0] = info.st_atim;
  times[1] = info.st_mtim;
}

/* Makes one directory or empty file in `parent`, leaving the times of `parent` as they were. */
static void make_entry(int parent, const char *name, bool directory, bool keep_times, uid_t uid, gid_t gid) {
  struct timespec times[2];
  get_times(parent, times);
  if (directory) {
    if (mkdirat(parent, name, 0755) < 0) fail("cannot make directory \"%s\"", name);
  } else {
    int fd = openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) fail("cannot make file \"%s\"", name);
    close(fd);
  }
  if ((uid != 0 || gid != 0) && fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno != EINVAL) fail("cannot change the owner of \"%s\"", name);
    /* No such id here: there is one only. */
    give_entry(parent, name, uid, gid);
  }
  if (keep_times && futimens(parent, times) < 0) fail("cannot restore the times of a directory");
}

static void record_stub(struct stubs *stubs, const char *path) {
  size_t length = strlen(path) + 1;
  if (stubs->used + length > sizeof stubs->text) {
    stubs->overflow = true;
    return;
  }
  memcpy(stubs->text + stubs->used, path, length);
  stubs->used += length;
}

static bool same_file_system(int left, int right) {
  struct stat a, b;
  return fstat(left, &a) == 0 && fstat(right, &b) == 0 && a.st_dev == b.st_dev;
}

static void push_front(char *rest, const char *first) {
  char joined[2 * PATH_MAX];
  if (strlen(first) + strlen(rest) + 2 > PATH_MAX) fail_with(ENAMETOOLONG, "a path grows too long");
  strcpy(joined, first);
  strcat(joined, "/");
  strcat(joined, rest);
  strcpy(rest, joined);
}

/* The next name of `rest`, cut off from it; NULL at the end. */
static const char *next_name(char *rest, char name[NAME_MAX + 1]) {
  size_t skip = strspn(rest, "/"), length = strcspn(rest + skip, "/");
  if (length == 0) return NULL;
  if (length > NAME_MAX) fail_with(ENAMETOOLONG, "a name is too long");
  memcpy(name, rest + skip, length);
  name[length] = 0;
  memmove(rest, rest + skip + length, strlen(rest + skip + length) + 1);
  return name;
}

/* Links of /proc lead to things, not to names: what they read as has no meaning in the new root (CVE-2024-21626). */
static void refuse_proc_link(int link, const char *path) {
  struct statfs system;
  if (fstatfs(link, &system) < 0) fail("cannot examine \"%s\"", path);
  if (system.f_type == PROC_MAGIC) fail_with(ELOOP, "the path \"%s\" goes through a link of /proc", path);
}

struct target resolve_target(int root, const char *path, bool directory, struct stubs *stubs, uid_t uid, gid_t gid) {
  char done[PATH_MAX] = "", rest[PATH_MAX], name[NAME_MAX + 1];
  int links = 0;
  if (path[0] != '/') fail_with(0, "the path \"%s\" is not absolute", path);
  if (strlen(path) >= PATH_MAX) fail_with(ENAMETOOLONG, "the path \"%.100s...\" is too long", path);
  strcpy(rest, path);
  while (next_name(rest, name) != NULL) {
    char *slash = strrchr(done, '/');
    size_t length = strlen(done);
    if (strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) {
      if (slash != NULL) *slash = 0;
      else done[0] = 0;
      continue;
    }
    if (length + strlen(name) + 2 > PATH_MAX) fail_with(ENAMETOOLONG, "the path \"%.100s...\" is too long", path);
    if (length > 0) strcat(done, "/");
    strcat(done, name);
    int fd = open_clean(root, done, O_PATH | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) {
      done[length] = 0;
      int parent = open_clean(root, done, O_RDONLY | O_DIRECTORY);
      if (parent < 0) fail("cannot open the parent of \"%s\"", path);
      bool last = rest[strspn(rest, "/")] == 0;
      bool as_stub = stubs != NULL && same_file_system(root, parent);
      make_entry(parent, name, directory || !last, as_stub, stubs == NULL ? uid : 0, stubs == NULL ? gid : 0);
      close(parent);
      if (length > 0) strcat(done, "/");
      strcat(done, name);
      if (as_stub) record_stub(stubs, done);
      continue;
    }
    if (fd < 0) fail("cannot resolve \"%s\"", path);
    struct stat info;
    if (fstat(fd, &info) < 0) fail("cannot stat \"%s\"", path);
    if (S_ISLNK(info.st_mode)) {
      char link[PATH_MAX];
      refuse_proc_link(fd, path);
      ssize_t got = readlinkat(fd, "", link, sizeof link - 1);
      if (got < 0) fail("cannot read a symbolic link in \"%s\"", path);
      link[got] = 0;
      if (++links > MAX_LINKS) fail_with(ELOOP, "cannot resolve \"%s\"", path);
      done[link[0] == '/' ? 0 : length] = 0;
      push_front(rest, link);
    }
    close(fd);
  }
  struct target target = {open_clean(root, done, O_PATH | O_NOFOLLOW), false};
  struct stat info;
  struct statfs system;
  if (target.fd < 0 || fstat(target.fd, &info) < 0 || fstatfs(target.fd, &system) < 0) fail("cannot open \"%s\"", path);
  if (S_ISLNK(info.st_mode)) fail_with(ELOOP, "\"%s\" changed while it was resolved", path);
  if (done[0] == 0 && stubs != NULL) fail_with(0, "the root directory cannot be a mount target (\"%s\")", path);
  if (system.f_type == PROC_MAGIC && stubs != NULL) fail_with(0, "\"%s\" lies in /proc, where nothing can be mounted", path);
  target.is_directory = S_ISDIR(info.st_mode);
  return target;
}

static void remove_stub(int upper, char *path) {
  char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  if (slash != NULL) *slash = 0;
  /* The step may have moved parents away or put links in their place: then the stub is no longer there to be found. */
  int parent = sys_openat2(upper, slash == NULL ? "." : path, O_RDONLY | O_DIRECTORY, 0,
                           RESOLVE_BENEATH_ | RESOLVE_NO_SYMLINKS_ | RESOLVE_NO_MAGICLINKS_ | RESOLVE_NO_XDEV_);
  struct stat info;
  if (parent < 0) return;
  if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    struct timespec times[2];
    get_times(parent, times);
    bool removed = S_ISDIR(info.st_mode)                      ? unlinkat(parent, name, AT_REMOVEDIR) == 0
                   : S_ISREG(info.st_mode) && info.st_size == 0 ? unlinkat(parent, name, 0) == 0
                                                              : false;
    if (removed) futimens(parent, times);
  }
  close(parent);
}

void remove_stubs(int upper, struct stubs *stubs) {
  size_t end = stubs->used;
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && stubs->text[start - 1] != 0) start--;
    remove_stub(upper, stubs->text + start);
    end = start;
  }
}
