/*
 * Copying what layers have into a tree and back. The trees are hostile: everything is named by one name in a directory descriptor, and no
 * link is followed. Nobody else writes to them meanwhile.
 */
#include "copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OWN_PREFIX "user.overlay."
#define ESCAPED_PREFIX "user.overlay.overlay."

enum { COPY_PIECE = 1 << 20, NAMES_LIMIT = 65536 /* the kernel's XATTR_LIST_MAX */ };
/* FICLONE of linux/fs.h: the copy shares the blocks until one of the two is written. */
#define CLONE_FILE_ _IOW(0x94, 9, int)

struct rlimit raise_descriptor_limit(void) {
  struct rlimit before;
  if (getrlimit(RLIMIT_NOFILE, &before) < 0) fail("cannot read the limit of descriptors");
  struct rlimit limit = {before.rlim_max, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &limit);
  return before;
}

int open_subdirectory(int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail("cannot open directory \"%s\"", name);
  return fd;
}

void remove_entry(int dir, const char *name) {
  if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) fail("cannot remove \"%s\"", name);
  int child = open_subdirectory(dir, name);
  remove_contents(child);
  close(child);
  if (unlinkat(dir, name, AT_REMOVEDIR) < 0) fail("cannot remove \"%s\"", name);
}

/* ---- attributes ---- */

/* FNV-1a, 64 bits: against chance only. Who finds a collision keeps an attribute out of an image of his own. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
  for (const unsigned char *at = data, *end = at + size; at < end; at++) hash = (hash ^ *at) * 0x100000001b3ull;
  return hash;
}

/* The name that an attribute has on the other side; NULL for what stays behind. */
static char *name_there(const char *name, enum copy_direction direction) {
  bool own = strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0;
  if (own && direction == TREE_TO_LAYER) return format_text("%s%s", ESCAPED_PREFIX, name + strlen(OWN_PREFIX));
  if (own && direction == LAYER_TO_TREE) {
    if (strncmp(name, ESCAPED_PREFIX, strlen(ESCAPED_PREFIX)) != 0) return NULL;
    return format_text("%s%s", OWN_PREFIX, name + strlen(ESCAPED_PREFIX));
  }
  if (strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0 || strncmp(name, "system.posix_acl_", 17) == 0)
    return format_text("%s", name);
  /* What security modules write is theirs to write. */
  return NULL;
}

static ssize_t list_attributes(int fd, char *names) {
  ssize_t length = flistxattr(fd, names, NAMES_LIMIT);
  if (length < 0 && errno != ENOTSUP) fail("cannot list the attributes of a file");
  return length < 0 ? 0 : length;
}

static void copy_attributes(int from, int to, enum copy_direction direction) {
  static char names[NAMES_LIMIT], value[65536];
  ssize_t length = list_attributes(from, names);
  for (char *name = names; name < names + length; name += strlen(name) + 1) {
    char *there = name_there(name, direction);
    if (there == NULL) continue;
    ssize_t size = fgetxattr(from, name, value, sizeof value);
    if (size < 0) fail("cannot read the attribute \"%.100s\"", name);
    if (fsetxattr(to, there, value, (size_t)size, 0) < 0) fail("cannot set the attribute \"%.100s\"", there);
    free(there);
  }
}

/* A directory that is in two layers looks like the upper one, and has none of the lower one's attributes. The overlay's own stay. */
static void remove_attributes(int fd) {
  static char names[NAMES_LIMIT];
  ssize_t length = list_attributes(fd, names);
  for (char *name = names; name < names + length; name += strlen(name) + 1) {
    char *known = strncmp(name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0 ? NULL : name_there(name, COPY_AS_IS);
    if (known != NULL && fremovexattr(fd, known) < 0) fail("cannot remove the attribute \"%.100s\"", known);
    free(known);
  }
}

uint64_t hash_attributes(int fd) {
  static char names[NAMES_LIMIT], value[65536];
  ssize_t length = list_attributes(fd, names);
  uint64_t sum = 0;
  /* In whatever order the file system lists them. */
  for (char *name = names; name < names + length; name += strlen(name) + 1) {
    ssize_t size = fgetxattr(fd, name, value, sizeof value);
    uint64_t hash = hash_bytes(0xcbf29ce484222325ull, name, strlen(name) + 1);
    sum += size < 0 ? hash : hash_bytes(hash, value, (size_t)size);
  }
  return sum;
}

/* All but the content. The owner first: setuid bits and capabilities go when that is set, also to whom it was. */
static void copy_metadata(int from, int to, const struct stat *info, enum copy_direction direction) {
  struct timespec times[2] = {info->st_atim, info->st_mtim};
  if (fchown(to, info->st_uid, info->st_gid) < 0) fail("cannot set the owner %u:%u", info->st_uid, info->st_gid);
  copy_attributes(from, to, direction);
  if (fchmod(to, info->st_mode & 07777) < 0 || futimens(to, times) < 0) fail("cannot set mode and times");
}

void copy_directory_attributes(int from, int to, enum copy_direction direction) {
  struct stat info;
  if (fstat(from, &info) < 0) fail("cannot stat a directory");
  remove_attributes(to);
  copy_metadata(from, to, &info, direction);
}

/* ---- files ---- */

static void copy_by_hand(int from, int to, off_t at, off_t end) {
  static char buffer[COPY_PIECE];
  while (at < end) {
    size_t want = end - at < COPY_PIECE ? (size_t)(end - at) : COPY_PIECE;
    ssize_t got = pread(from, buffer, want, at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read a file");
    if (got == 0) return;
    for (ssize_t done = 0; done < got;) {
      ssize_t written = pwrite(to, buffer + done, (size_t)(got - done), at + done);
      if (written < 0 && errno != EINTR) fail("cannot write a file");
      if (written > 0) done += written;
    }
    at += got;
  }
}

static void copy_range(int from, int to, off_t at, off_t end) {
  while (at < end) {
    int64_t in = at, out = at;
    ssize_t copied = syscall(SYS_copy_file_range, from, &in, to, &out, (size_t)(end - at), 0u);
    if (copied < 0 && errno == EINTR) continue;
    if (copied < 0 && errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP && errno != EPERM) fail("cannot copy a file");
    if (copied <= 0) {
      copy_by_hand(from, to, at, end);
      return;
    }
    at += copied;
  }
}

/* Holes stay holes. */
static void copy_content(int from, int to, off_t size) {
  if (size == 0 || ioctl(to, CLONE_FILE_, from) == 0) return;
  for (off_t at = 0; at < size;) {
    off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0) data = at;
    off_t end = lseek(from, data, SEEK_HOLE);
    if (end < 0 || end > size) end = size;
    if (end <= data) break;
    copy_range(from, to, data, end);
    at = end;
  }
  if (ftruncate(to, size) < 0) fail("cannot set the size of a file");
}

static void copy_file(int from_dir, const char *from, int to_dir, const char *to, const struct stat *info, enum copy_direction direction) {
  int in = openat(from_dir, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (in < 0) fail("cannot open \"%s\"", from);
  int out = openat(to_dir, to, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (out < 0) fail("cannot make \"%s\"", to);
  copy_content(in, out, info->st_size);
  copy_metadata(in, out, info, direction);
  close(in);
  close(out);
}

static void copy_link(int from_dir, const char *from, int to_dir, const char *to) {
  char target[PATH_MAX];
  ssize_t length = readlinkat(from_dir, from, target, sizeof target - 1);
  if (length < 0) fail("cannot read the link \"%s\"", from);
  target[length] = 0;
  if (symlinkat(target, to_dir, to) < 0) fail("cannot make the link \"%s\"", to);
}

void copy_entry(int from_dir, const char *from, int to_dir, const char *to, const struct stat *info, enum copy_direction direction) {
  if (S_ISREG(info->st_mode)) {
    copy_file(from_dir, from, to_dir, to, info, direction);
    return;
  }
  if (S_ISLNK(info->st_mode)) copy_link(from_dir, from, to_dir, to);
  else if (mknodat(to_dir, to, info->st_mode & (S_IFMT | 07777), info->st_rdev) < 0) fail("cannot make \"%s\"", to);
  struct timespec times[2] = {info->st_atim, info->st_mtim};
  if (fchownat(to_dir, to, info->st_uid, info->st_gid, AT_SYMLINK_NOFOLLOW) < 0) fail("cannot set the owner of \"%s\"", to);
  if (!S_ISLNK(info->st_mode) && fchmodat(to_dir, to, info->st_mode & 07777, 0) < 0) fail("cannot set the mode of \"%s\"", to);
  if (utimensat(to_dir, to, times, AT_SYMLINK_NOFOLLOW) < 0) fail("cannot set the times of \"%s\"", to);
}

/* ---- layers ---- */

/* The directory of a tree that one of a layer goes into: what is there, unless that is no directory or hidden. */
static int directory_for(int tree, const char *name, int layer) {
  struct stat there;
  bool exists = fstatat(tree, name, &there, AT_SYMLINK_NOFOLLOW) == 0;
  if (exists && S_ISDIR(there.st_mode)) {
    int fd = open_subdirectory(tree, name);
    if (is_opaque(layer)) remove_contents(fd);
    return fd;
  }
  if (exists) remove_entry(tree, name);
  if (mkdirat(tree, name, 0700) < 0) fail("cannot make directory \"%s\"", name);
  return open_subdirectory(tree, name);
}

/* What has several names in a layer, by the first of them in the tree. */
struct linked {
  dev_t device;
  ino_t inode;
  char *path;
};

struct links {
  int tree;
  /* tsearch(3)'s. */
  void *known;
  /* Of the directory that is copied, with a slash at the end. */
  char path[PATH_MAX];
  size_t length;
};

static int compare_linked(const void *left, const void *right) {
  const struct linked *a = left, *b = right;
  if (a->device != b->device) return a->device < b->device ? -1 : 1;
  return a->inode == b->inode ? 0 : a->inode < b->inode ? -1 : 1;
}

static void free_linked(void *entry) {
  free(((struct linked *)entry)->path);
  free(entry);
}

/* Gives something its further name. False for the first one, and where it cannot have so many: it is copied. */
static bool link_again(struct links *links, int to_dir, const char *to, const struct stat *info) {
  if (links == NULL || info->st_nlink < 2 || links->length + strlen(to) >= sizeof links->path) return false;
  struct linked *wanted = malloc(sizeof *wanted);
  if (wanted == NULL) fail("cannot allocate memory");
  *wanted = (struct linked){info->st_dev, info->st_ino, NULL};
  struct linked **found = tsearch(wanted, &links->known, compare_linked);
  if (found == NULL) fail("cannot allocate memory");
  if (*found == wanted) {
    wanted->path = format_text("%.*s%s", (int)links->length, links->path, to);
    return false;
  }
  free(wanted);
  return linkat(links->tree, (*found)->path, to_dir, to, 0) == 0;
}

/* Whether the path has room for one more directory: what is deeper is copied once for each name. `before` is what the path's length was */
static bool enter_path(struct links *links, const char *name, size_t *before) {
  if (links == NULL) return false;
  *before = links->length;
  int length = snprintf(links->path + links->length, sizeof links->path - links->length, "%s/", name);
  if ((size_t)length >= sizeof links->path - links->length) return false;
  links->length += (size_t)length;
  return true;
}

static void apply_directory(int layer, int tree, struct links *links) {
  int copy = openat(layer, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy < 0 ? NULL : fdopendir(copy);
  if (stream == NULL) fail("cannot read a directory of a layer");
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    const char *name = entry->d_name;
    struct stat info;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (fstatat(layer, name, &info, AT_SYMLINK_NOFOLLOW) < 0) fail("cannot stat \"%s\"", name);
    if (S_ISDIR(info.st_mode)) {
      int from = open_subdirectory(layer, name);
      int to = directory_for(tree, name, from);
      size_t before = 0;
      bool entered = enter_path(links, name, &before);
      apply_directory(from, to, entered ? links : NULL);
      if (entered) links->length = before;
      close(from);
      close(to);
      continue;
    }
    remove_entry(tree, name);
    if (is_whiteout(layer, name, &info)) continue;
    if (!link_again(links, tree, name, &info)) copy_entry(layer, name, tree, name, &info, LAYER_TO_TREE);
  }
  closedir(stream);
  /* Last: what was made in it has changed its times. */
  copy_directory_attributes(layer, tree, LAYER_TO_TREE);
}

void apply_layer(int layer, int tree) {
  if (is_opaque(layer)) remove_contents(tree);
  apply_directory(layer, tree, NULL);
}

void copy_tree(int from, int to) {
  struct links links = {.tree = to};
  apply_directory(from, to, &links);
  tdestroy(links.known, free_linked);
}
