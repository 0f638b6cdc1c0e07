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
    /* Somebody else deletes here, too. */
    if (child < 0 && errno == ENOENT) continue;
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

void remove_tree(const char *path) {
  stage = path;
  if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR) return;
  int dir = open_child(AT_FDCWD, path);
  if (dir < 0 && errno == ENOENT) return;
  if (dir < 0) fail("cannot open");
  remove_contents(dir);
  int removed = rmdir(path);
  if (removed < 0 && errno != ENOENT) fail("cannot remove");
  /* Only now: an open directory is freed when it is closed, else by rmdir, while nobody else can delete beside it. */
  close(dir);
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

/*
 * What a tree looks like without reading its files, to see later whether it changed: sums over all entries, so that the order in
 * which a file system lists them is of no matter. `status` has everything that lstat tells and no copy keeps (the time of the last
 * change of the inode, which every write, chmod and setxattr sets); `looks` only what a faithful copy has too.
 */
struct usage {
  unsigned long long bytes, inodes;
  uint64_t status, looks;
  struct seen seen;
};

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
  for (const unsigned char *at = data, *end = at + size; at < end; at++) hash = (hash ^ *at) * 0x100000001b3ull;
  return hash;
}

/* The finalizer of splitmix64: sums of FNV's own results would cancel out too easily. */
static uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

static void look(struct usage *usage, const struct stat *info, uint64_t path) {
  uint64_t fields[] = {info->st_mode, info->st_uid, info->st_gid, info->st_rdev, (uint64_t)info->st_mtim.tv_sec,
                       (uint64_t)info->st_mtim.tv_nsec, S_ISDIR(info->st_mode) ? 0 : (uint64_t)info->st_size};
  uint64_t looks = hash_bytes(path, fields, sizeof fields);
  uint64_t change[] = {(uint64_t)info->st_ctim.tv_sec, (uint64_t)info->st_ctim.tv_nsec, info->st_ino};
  usage->looks += mix(looks);
  usage->status += mix(hash_bytes(looks, change, sizeof change));
}

static void add(struct usage *usage, const struct stat *info, uint64_t path) {
  look(usage, info, path);
  if (!S_ISDIR(info->st_mode) && info->st_nlink > 1 && !note(&usage->seen, (struct inode){info->st_dev, info->st_ino})) return;
  usage->bytes += (unsigned long long)info->st_blocks * 512;
  usage->inodes++;
}

/* What lies deeper than the limit is not counted: only a tree made on purpose is so deep. */
static void measure(struct usage *usage, int dir, int depth, uint64_t path) {
  DIR *stream = fdopendir(dir);
  if (stream == NULL) fail("cannot read a directory");
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    struct stat info;
    if (is_dot(entry->d_name) || fstatat(dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0) continue;
    uint64_t child_path = hash_bytes(path, entry->d_name, strlen(entry->d_name) + 1);
    add(usage, &info, child_path);
    if (!S_ISDIR(info.st_mode) || depth >= MAX_DEPTH) continue;
    int child = openat(dirfd(stream), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child >= 0) measure(usage, child, depth + 1, child_path);
  }
  closedir(stream);
}

static void measure_path(const char *path) {
  struct usage usage = {0};
  struct stat info;
  stage = path;
  int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  uint64_t root = 0xcbf29ce484222325ull, number = 0;
  if (dir >= 0 && fstat(dir, &info) == 0) {
    number = info.st_ino;
    add(&usage, &info, root);
    measure(&usage, dir, 0, root);
  }
  printf("%llu %llu %llx.%016llx.%016llx\n", usage.bytes, usage.inodes, (unsigned long long)number,
         (unsigned long long)usage.status, (unsigned long long)usage.looks);
  free(usage.seen.slots);
  stage = "usage";
}

/* Paths come on standard input, each ended by a NUL, while more come: who has more to measure later need not start this program again. */
int command_usage(int argc, char **argv) {
  static char paths[65536];
  size_t length = 0;
  (void)argv;
  stage = "usage";
  if (argc != 0) fail_with(0, "usage takes its paths on standard input");
  for (ssize_t got; (got = read(STDIN_FILENO, paths + length, sizeof paths - length)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read");
    const char *path = paths, *end = paths + length + got;
    for (const char *stop; (stop = memchr(path, 0, (size_t)(end - path))) != NULL; path = stop + 1) measure_path(path);
    length = (size_t)(end - path);
    if (length == sizeof paths) fail_with(ENAMETOOLONG, "%.400s", path);
    memmove(paths, path, length);
    if (fflush(stdout) != 0) fail("cannot write");
  }
  return 0;
}
