/* Deleting and measuring trees that hostile images made: by descriptors, of any depth, with any modes. */
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 200 };

/* Opens a directory for reading; modes are no obstacle to the root of the namespace, but are to others. */
static int open_child(int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 || errno != EACCES) return fd;
  int path = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  char self[40];
  snprintf(self, sizeof self, "/proc/self/fd/%d", path);
  if (path >= 0 && chmod(self, 0700) == 0) fd = open(self, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (path >= 0) close(path);
  return fd;
}

static bool is_dot(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

/* Directories that lie too deep move up to the top, where they are found by the next pass: descriptors stay few. */
static void remove_below(int top, int dir, int depth, unsigned *moved) {
  DIR *stream = fdopendir(dir);
  if (stream == NULL) fail("cannot read a directory");
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    if (is_dot(entry->d_name)) continue;
    if (entry->d_type != DT_DIR && unlinkat(dirfd(stream), entry->d_name, 0) == 0) continue;
    if (entry->d_type != DT_DIR && errno != EISDIR && errno != EPERM && errno != EACCES) {
      if (errno == ENOENT) continue;
      fail("cannot remove \"%s\"", entry->d_name);
    }
    if (unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR) == 0) continue;
    if (depth >= MAX_DEPTH) {
      char name[40];
      for (;;) {
        snprintf(name, sizeof name, ".tsbuild-deep-%u", (*moved)++);
        if (renameat(dirfd(stream), entry->d_name, top, name) == 0) break;
        if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) fail("cannot move \"%s\"", entry->d_name);
      }
      continue;
    }
    int child = open_child(dirfd(stream), entry->d_name);
    if (child < 0) fail("cannot open \"%s\"", entry->d_name);
    remove_below(top, child, depth + 1, moved);
    if (unlinkat(dirfd(stream), entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT) fail("cannot remove \"%s\"", entry->d_name);
  }
  closedir(stream);
}

void remove_contents(int dir) {
  unsigned moved = 0, before;
  do {
    before = moved;
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) fail("cannot open a directory");
    remove_below(dir, copy, 0, &moved);
  } while (moved != before);
}

/* Paths come NUL-terminated on standard input. */
static char *next_path(char **rest, const char *end) {
  if (*rest >= end) return NULL;
  char *path = *rest;
  *rest += strlen(path) + 1;
  return path;
}

int command_remove(int argc, char **argv) {
  (void)argv;
  if (argc != 0) fail_with(0, "remove takes its paths on standard input");
  size_t length;
  char *rest = read_fd(STDIN_FILENO, 64 << 20, &length);
  const char *end = rest + length;
  for (char *path; (path = next_path(&rest, end)) != NULL;) {
    stage = path;
    if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR) continue;
    int dir = open_child(AT_FDCWD, path);
    if (dir < 0 && errno == ENOENT) continue;
    if (dir < 0) fail("cannot open");
    remove_contents(dir);
    close(dir);
    if (rmdir(path) < 0 && errno != ENOENT) fail("cannot remove");
  }
  return 0;
}

/* ---- usage ---- */

struct inode {
  dev_t device;
  ino_t number;
};

/* Hard-linked files that were counted: an open hash table. */
struct seen {
  struct inode *slots;
  size_t capacity, count;
};

static size_t slot_of(const struct seen *seen, struct inode inode) {
  size_t at = (size_t)(inode.number * 0x9e3779b97f4a7c15ull ^ inode.device) & (seen->capacity - 1);
  while (seen->slots[at].number != 0 && (seen->slots[at].number != inode.number || seen->slots[at].device != inode.device))
    at = (at + 1) & (seen->capacity - 1);
  return at;
}

/* True the first time. */
static bool note(struct seen *seen, struct inode inode) {
  if (seen->count * 2 >= seen->capacity) {
    struct seen larger = {NULL, seen->capacity == 0 ? 1024 : seen->capacity * 2, seen->count};
    larger.slots = allocate(larger.capacity * sizeof *larger.slots);
    for (size_t at = 0; at < seen->capacity; at++)
      if (seen->slots[at].number != 0) larger.slots[slot_of(&larger, seen->slots[at])] = seen->slots[at];
    free(seen->slots);
    *seen = larger;
  }
  size_t at = slot_of(seen, inode);
  if (seen->slots[at].number != 0) return false;
  seen->slots[at] = inode;
  seen->count++;
  return true;
}

struct usage {
  unsigned long long bytes, inodes;
  struct seen seen;
};

static void add(struct usage *usage, const struct stat *info) {
  if (!S_ISDIR(info->st_mode) && info->st_nlink > 1 && !note(&usage->seen, (struct inode){info->st_dev, info->st_ino})) return;
  usage->bytes += (unsigned long long)info->st_blocks * 512;
  usage->inodes++;
}

/* What lies deeper than the limit is not counted: only a tree made on purpose is so deep. */
static void measure(struct usage *usage, int dir, int depth) {
  DIR *stream = fdopendir(dir);
  if (stream == NULL) fail("cannot read a directory");
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    struct stat info;
    if (is_dot(entry->d_name) || fstatat(dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0) continue;
    add(usage, &info);
    if (!S_ISDIR(info.st_mode) || depth >= MAX_DEPTH) continue;
    int child = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child >= 0) measure(usage, child, depth + 1);
  }
  closedir(stream);
}

int command_usage(int argc, char **argv) {
  (void)argv;
  if (argc != 0) fail_with(0, "usage takes its paths on standard input");
  size_t length;
  char *rest = read_fd(STDIN_FILENO, 64 << 20, &length);
  const char *end = rest + length;
  for (char *path; (path = next_path(&rest, end)) != NULL;) {
    struct usage usage = {0};
    struct stat info;
    stage = path;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir >= 0 && fstat(dir, &info) == 0) {
      add(&usage, &info);
      measure(&usage, dir, 0);
    }
    printf("%llu %llu\n", usage.bytes, usage.inodes);
    free(usage.seen.slots);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
