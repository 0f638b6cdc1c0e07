/*
 * What a step has changed in a tree, found by looking at all of it before and after: what an overlay would have in its upper directory.
 * Times of the last change of an inode and of its birth are compared too, which no program can set: a file whose content was replaced under
 * its old size and times is found, and so is a directory that was removed and made again.
 */
#include "copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* As in linux/stat.h, which C libraries lack. */
struct statx_time {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t reserved;
};
struct statx_result {
  uint32_t mask, block_size;
  uint64_t attributes;
  uint32_t links, uid, gid;
  uint16_t mode, pad1;
  uint64_t inode, size, blocks, attributes_mask;
  struct statx_time accessed, born, changed, modified;
  uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
  uint64_t more[14];
};
enum { STATX_WANTED = 0x7ff /* STATX_BASIC_STATS */ | 0x800 /* STATX_BTIME */ };
_Static_assert(sizeof(struct statx_result) == 256, "struct statx");

/* What is compared of a name. */
struct look {
  uint64_t inode, size;
  struct statx_time born, changed, modified;
  uint32_t uid, gid, mode, rdev_major, rdev_minor;
  uint64_t attributes; /* of a directory, for which this stands in for the time of the last change: mounts come and go there */
};

struct remembered {
  char *name;
  struct look look;
  struct remembered *children; /* sorted by name */
  size_t count;
  bool seen;
};

/* False when there is nothing under the name. */
static bool look_at(int dir, const char *name, struct look *look) {
  struct statx_result result;
  memset(look, 0, sizeof *look);
  int flags = AT_SYMLINK_NOFOLLOW | (name[0] == 0 ? 0x1000 /* AT_EMPTY_PATH */ : 0);
  if (syscall(SYS_statx, dir, name, flags, STATX_WANTED, &result) < 0) {
    if (errno != ENOENT) fail("cannot stat \"%s\"", name);
    return false;
  }
  *look = (struct look){.inode = result.inode, .size = result.size, .uid = result.uid, .gid = result.gid, .mode = result.mode};
  look->changed = result.changed;
  look->modified = result.modified;
  /* Zero where the file system does not keep it. */
  look->born = result.born;
  look->rdev_major = result.rdev_major;
  look->rdev_minor = result.rdev_minor;
  return true;
}

static bool same_time(struct statx_time a, struct statx_time b) { return a.seconds == b.seconds && a.nanoseconds == b.nanoseconds; }

static bool same_inode(const struct look *a, const struct look *b) { return a->inode == b->inode && same_time(a->born, b->born); }

static bool same_status(const struct look *a, const struct look *b) {
  return same_inode(a, b) && a->uid == b->uid && a->gid == b->gid && a->mode == b->mode && same_time(a->modified, b->modified);
}

static bool same_file(const struct look *a, const struct look *b) {
  return same_status(a, b) && a->size == b->size && a->rdev_major == b->rdev_major && a->rdev_minor == b->rdev_minor && same_time(a->changed, b->changed);
}

/* ---- before ---- */

static DIR *open_stream(int dir) {
  int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = copy < 0 ? NULL : fdopendir(copy);
  if (stream == NULL) fail("cannot read a directory");
  return stream;
}

static const char *next_entry(DIR *stream) {
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return entry->d_name;
  return NULL;
}

static struct remembered *add_child(struct remembered *parent) {
  if ((parent->count & (parent->count - 1)) == 0) {
    size_t capacity = parent->count == 0 ? 1 : parent->count * 2;
    parent->children = realloc(parent->children, capacity * sizeof *parent->children);
    if (parent->children == NULL) fail_with(ENOMEM, "cannot remember a tree");
  }
  struct remembered *child = &parent->children[parent->count++];
  memset(child, 0, sizeof *child);
  return child;
}

static int by_name(const void *left, const void *right) {
  return strcmp(((const struct remembered *)left)->name, ((const struct remembered *)right)->name);
}

static void sort_children(struct remembered *node) {
  if (node->count > 1) qsort(node->children, node->count, sizeof *node->children, by_name);
}

static void remember_directory(struct remembered *node, int dir) {
  DIR *stream = open_stream(dir);
  for (const char *name; (name = next_entry(stream)) != NULL;) {
    struct remembered *child = add_child(node);
    child->name = format_text("%s", name);
    if (!look_at(dir, name, &child->look)) fail_with(ENOENT, "\"%s\" went away", name);
    if (!S_ISDIR(child->look.mode)) continue;
    int below = open_subdirectory(dir, name);
    child->look.attributes = hash_attributes(below);
    remember_directory(child, below);
    close(below);
  }
  closedir(stream);
  sort_children(node);
}

struct remembered *remember_tree(int tree) {
  struct remembered *root = allocate(sizeof *root);
  root->name = format_text("%s", "");
  look_at(tree, "", &root->look);
  remember_directory(root, tree);
  return root;
}

static struct remembered *find_child(struct remembered *parent, const char *name) {
  if (parent == NULL || parent->count == 0) return NULL;
  struct remembered wanted = {.name = (char *)(uintptr_t)name};
  return bsearch(&wanted, parent->children, parent->count, sizeof wanted, by_name);
}

/* ---- after ---- */

/* A directory that is looked at, and its counterpart in the upper directory, which is made when something goes into it. */
struct level {
  const struct level *parent;
  const char *name;
  int tree, *upper;
};

static int upper_of(const struct level *level) {
  if (*level->upper >= 0) return *level->upper;
  int parent = upper_of(level->parent);
  if (mkdirat(parent, level->name, 0700) < 0) fail("cannot make directory \"%s\" of a layer", level->name);
  *level->upper = open_subdirectory(parent, level->name);
  return *level->upper;
}

/* Files with several names, by inode: where the first one is in the upper directory. */
struct first_name {
  uint64_t inode;
  char *path;
};
struct capture {
  int upper_root;
  struct first_name *firsts;
  size_t count;
};

static void path_of(const struct level *level, const char *name, char path[PATH_MAX]) {
  if (level == NULL || level->parent == NULL) path[0] = 0;
  else {
    path_of(level->parent, level->name, path);
    strcat(path, "/");
  }
  if (strlen(path) + strlen(name) + 2 > PATH_MAX) fail_with(ENAMETOOLONG, "the path of \"%s\" is too long", name);
  strcat(path, name);
}

/* In the tree each name becomes a file of its own, as the next overlay on top would make it at the first write. */
static void part_from_others(const struct level *level, const char *name, const struct stat *info) {
  static const char temporary[] = ".tsbuild-parted";
  struct stat dir;
  if (fstat(level->tree, &dir) < 0) fail("cannot stat a directory");
  copy_entry(level->tree, name, level->tree, temporary, info, COPY_AS_IS);
  if (renameat(level->tree, temporary, level->tree, name) < 0) fail("cannot replace \"%s\"", name);
  struct timespec times[2] = {dir.st_atim, dir.st_mtim};
  if (futimens(level->tree, times) < 0) fail("cannot restore the times of a directory");
}

/* True when the file has a name already, which this one then joins. */
static bool joins_earlier(struct capture *capture, const struct level *level, const char *name, const struct stat *info) {
  char path[PATH_MAX];
  for (size_t at = 0; at < capture->count; at++) {
    if (capture->firsts[at].inode != info->st_ino) continue;
    if (linkat(capture->upper_root, capture->firsts[at].path, upper_of(level), name, 0) < 0) fail("cannot link \"%s\"", name);
    part_from_others(level, name, info);
    return true;
  }
  path_of(level, name, path);
  if ((capture->count & (capture->count - 1)) == 0) {
    capture->firsts = realloc(capture->firsts, (capture->count == 0 ? 1 : capture->count * 2) * sizeof *capture->firsts);
    if (capture->firsts == NULL) fail_with(ENOMEM, "cannot remember links");
  }
  capture->firsts[capture->count++] = (struct first_name){info->st_ino, format_text("%s", path)};
  return false;
}

static void capture_file(struct capture *capture, const struct level *level, const char *name) {
  struct stat info;
  if (fstatat(level->tree, name, &info, AT_SYMLINK_NOFOLLOW) < 0) fail("cannot stat \"%s\"", name);
  if (info.st_nlink > 1 && joins_earlier(capture, level, name, &info)) return;
  copy_entry(level->tree, name, upper_of(level), name, &info, TREE_TO_LAYER);
}

static void capture_directory(struct capture *capture, struct remembered *before, struct remembered *now, const struct level *level);

static void capture_subdirectory(struct capture *capture, struct remembered *before, struct remembered *now, const struct level *parent) {
  int upper = -1;
  const char *name = now->name;
  struct level level = {parent, name, open_subdirectory(parent->tree, name), &upper};
  bool existed = before != NULL && S_ISDIR(before->look.mode);
  bool same = existed && same_inode(&before->look, &now->look);
  now->look.attributes = hash_attributes(level.tree);
  if (!same || !same_status(&before->look, &now->look) || before->look.attributes != now->look.attributes) upper_of(&level);
  capture_directory(capture, same ? before : NULL, now, &level);
  if (upper >= 0) {
    copy_directory_attributes(level.tree, upper, TREE_TO_LAYER);
    /* Another directory of the same name: nothing of the lower one is seen in it. */
    if (existed && !same && fsetxattr(upper, "user.overlay.opaque", "y", 1, 0) < 0) fail("cannot mark \"%s\" as opaque", name);
    close(upper);
  }
  close(level.tree);
}

static void capture_name(struct capture *capture, struct remembered *before, struct remembered *now, const struct level *level) {
  if (!look_at(level->tree, now->name, &now->look)) fail_with(ENOENT, "\"%s\" went away", now->name);
  if (before != NULL) before->seen = true;
  if (S_ISDIR(now->look.mode)) capture_subdirectory(capture, before, now, level);
  else if (before == NULL || !same_file(&before->look, &now->look)) capture_file(capture, level, now->name);
}

/* Gives `now` what is in the directory. */
static void capture_directory(struct capture *capture, struct remembered *before, struct remembered *now, const struct level *level) {
  /* Listed first: what part_from_others renames would be met again. */
  DIR *stream = open_stream(level->tree);
  for (const char *name; (name = next_entry(stream)) != NULL;) add_child(now)->name = format_text("%s", name);
  closedir(stream);
  for (size_t at = 0; at < now->count; at++) capture_name(capture, find_child(before, now->children[at].name), &now->children[at], level);
  sort_children(now);
  for (size_t at = 0; before != NULL && at < before->count; at++)
    if (!before->children[at].seen) make_whiteout(upper_of(level), before->children[at].name);
}

struct remembered *capture_changes(struct remembered *before, int tree, int upper) {
  struct capture capture = {.upper_root = upper};
  struct level root = {NULL, "", tree, &upper};
  struct remembered *now = allocate(sizeof *now);
  now->name = format_text("%s", "");
  look_at(tree, "", &now->look);
  capture_directory(&capture, before, now, &root);
  copy_directory_attributes(tree, upper, TREE_TO_LAYER);
  /* A link that was undone has changed the time of the others. */
  return capture.count == 0 ? now : NULL;
}

/* ---- between two processes ---- */

static void write_node(const struct remembered *node, FILE *file) {
  fputs(node->name, file);
  fputc(0, file);
  fwrite(&node->look, sizeof node->look, 1, file);
  fwrite(&node->count, sizeof node->count, 1, file);
  for (size_t at = 0; at < node->count; at++) write_node(&node->children[at], file);
}

void write_remembered(const struct remembered *before, int fd) {
  FILE *file = fdopen(fd, "w");
  if (file == NULL) fail("cannot write what a tree looked like");
  write_node(before, file);
  if (fclose(file) != 0) fail("cannot write what a tree looked like");
}

static void read_bytes(FILE *file, void *data, size_t size) {
  if (fread(data, size, 1, file) != 1) fail_with(0, "what a tree looked like is cut off");
}

static void read_node(struct remembered *node, FILE *file) {
  char *name = NULL;
  size_t size = 0;
  if (getdelim(&name, &size, 0, file) <= 0) fail_with(0, "what a tree looked like is cut off");
  node->name = name;
  read_bytes(file, &node->look, sizeof node->look);
  size_t count;
  read_bytes(file, &count, sizeof count);
  if (count > SIZE_MAX / sizeof *node->children) fail_with(0, "what a tree looked like is damaged");
  node->children = allocate(count * sizeof *node->children);
  node->count = count;
  for (size_t at = 0; at < count; at++) read_node(&node->children[at], file);
}

struct remembered *read_remembered(int fd) {
  FILE *file = fdopen(fd, "r");
  if (file == NULL) fail("cannot read what a tree looked like");
  struct remembered *root = allocate(sizeof *root);
  read_node(root, file);
  fclose(file);
  return root;
}
