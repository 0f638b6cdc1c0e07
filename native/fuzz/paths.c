/*
 * The walker that finds and makes mount targets (resolve.c) in trees full of traps: it never leaves the root, changes nothing outside,
 * and what it made is gone afterwards, with the times of the directories as they were.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Few names, so that paths meet. */
static const char *const NAMES[] = {"a", "b", "c", "..", ".", "", "a/b", "etc"};

/* A path of up to seven names; absolute or not. */
static char *next_path(struct input *input, bool absolute) {
  uint8_t shape = next_byte(input);
  char *path = allocate(PATH_MAX * 2), *at = path;
  if (absolute || (shape & 0x80)) *at++ = '/';
  for (int count = shape & 7; count > 0; count--) {
    uint8_t byte = next_byte(input);
    if (byte >= 0xf0) {
      /* About as long as a name may be. */
      size_t length = (size_t)(byte - 0xf0) + 248;
      memset(at, 'n', length);
      at += length;
    } else at += sprintf(at, "%s", NAMES[byte % (sizeof NAMES / sizeof *NAMES)]);
    *at++ = '/';
  }
  if (at > path + 1 && !(shape & 0x40)) at--;
  *at = 0;
  return path;
}

/* Something at `path`, whose parent must be there. */
static void make(int root, struct input *input) {
  uint8_t kind = next_byte(input) % 4;
  char *path = next_path(input, false), *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  if (slash != NULL) *slash = 0;
  int parent = open_in_root(root, slash == NULL || path[0] == 0 ? "." : path, O_RDONLY | O_DIRECTORY);
  if (kind == 3) {
    char *target = next_path(input, false);
    if (parent >= 0) (void)!symlinkat(target, parent, name);
  } else if (parent >= 0 && kind == 0) (void)!mkdirat(parent, name, 0755);
  else if (parent >= 0 && kind == 1) (void)!mknodat(parent, name, S_IFREG | 0644, 0);
  else if (parent >= 0) (void)!mkfifoat(parent, name, 0644);
  if (parent >= 0) close(parent);
}

/* All names with kinds, links and times, as text. */
static void list(int dir, FILE *out, int depth) {
  struct dirent **entries;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
  int count = scandir(path, &entries, NULL, alphasort);
  for (int at = 0; at < count; at++) {
    const char *name = entries[at]->d_name;
    struct stat info;
    char link[PATH_MAX] = "";
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISLNK(info.st_mode)) (void)!readlinkat(dir, name, link, sizeof link - 1);
      fprintf(out, "%*s%s %o %s %ld.%09ld %d\n", depth, "", name, info.st_mode, link, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, (int)info.st_uid);
      int child = S_ISDIR(info.st_mode) ? openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
      if (child >= 0) list(child, out, depth + 1), close(child);
    }
    free(entries[at]);
  }
  if (count >= 0) free(entries);
}

static char *snapshot(int dir) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  struct stat info;
  if (fstat(dir, &info) == 0) fprintf(out, "%ld.%09ld\n", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  list(dir, out, 0);
  fclose(out);
  return text;
}

struct question {
  int root;
  const char *path;
  bool directory;
  struct stubs *stubs;
  struct target target;
};

static void resolve(void *argument) {
  struct question *question = argument;
  question->target = resolve_target(question->root, question->path, question->directory, question->stubs, 0, 0);
}

static void remove_them(void *argument) {
  struct question *question = argument;
  remove_stubs(question->root, question->stubs);
}

static void check_inside(int fd, const char *base) {
  char link[64], where[2 * PATH_MAX], root[128];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  snprintf(root, sizeof root, "%s/root", base);
  ssize_t got = readlink(link, where, sizeof where - 1);
  if (got < 0 && errno == ENAMETOOLONG) return;
  must(got >= 0, "a target is somewhere");
  where[got] = 0;
  must(strncmp(where, root, strlen(root)) == 0 && (where[strlen(root)] == 0 || where[strlen(root)] == '/'), "targets are beneath the root");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct stubs stubs;
  struct input input = {data, size};
  const char *base = fresh_directory();
  int outside = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int root = openat(outside, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(mkdirat(outside, "etc", 0755) == 0 && mkdirat(outside, "a", 0755) == 0, "neighbours can be made");
  for (int count = next_byte(&input) % 12; count > 0; count--) make(root, &input);
  uint8_t how = next_byte(&input);
  stubs.used = 0;
  stubs.overflow = false;
  struct question question = {root, next_path(&input, true), how & 1, how & 2 ? &stubs : NULL, {-1, false}};
  char *before = snapshot(outside);
  /* What is there the kernel finds in the same way. */
  struct stat kernel, walker;
  int known = open_in_root(root, question.path, O_PATH);
  bool found = survives(resolve, &question);
  if (found) check_inside(question.target.fd, base);
  if (found && known >= 0)
    must(fstat(known, &kernel) == 0 && fstat(question.target.fd, &walker) == 0 && kernel.st_ino == walker.st_ino, "the walker goes where the kernel goes");
  if (question.stubs != NULL) {
    must(survives(remove_them, &question), "stubs can be removed");
    char *after = snapshot(outside);
    must(strcmp(before, after) == 0, "nothing stays of what was made for a mount");
    free(after);
  } else {
    /* Only the root may have changed. */
    remove_contents(root);
    must(faccessat(outside, "etc", F_OK, AT_SYMLINK_NOFOLLOW) == 0 && unlinkat(outside, "etc", AT_REMOVEDIR) == 0 &&
             unlinkat(outside, "a", AT_REMOVEDIR) == 0 && unlinkat(outside, "root", AT_REMOVEDIR) == 0 && rmdir(base) == 0 && mkdir(base, 0700) == 0,
         "nothing outside the root has changed");
  }
  free(before);
  clean_slate();
  return 0;
}
