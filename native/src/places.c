/*
 * What stands in for mounts where nothing can be mounted: things are moved to where the step wants them, what was there is kept aside, and
 * all is moved back when the step has ended. Nothing of it is a border: the step can remove what it sees there.
 */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MAX_PLACES = 4096 };

/* Something in its place. */
struct place {
  int parent;     /* of the target */
  char *name;     /* of the target in it */
  char *kept;     /* of what was there, aside */
  char *back;     /* where it came from and returns to; NULL for what is removed */
};

enum { MAX_FILES = 256 };

struct places {
  int root, aside;
  char root_path[PATH_MAX];
  struct stubs *stubs;
  unsigned names;
  size_t count;
  struct place items[MAX_PLACES];
  /* Files with what only the step may have, and who sees to it that they go when this process is killed. */
  size_t file_count;
  struct guarded files[MAX_FILES];
  pid_t guard;
};

static void path_of_fd(int fd, char path[PATH_MAX]) {
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length <= 0 || path[0] != '/') fail("cannot find a directory's path");
  path[length] = 0;
}

struct places *new_places(int root, int aside, struct stubs *stubs) {
  struct places *places = allocate(sizeof *places);
  *places = (struct places){.root = root, .aside = aside, .stubs = stubs};
  path_of_fd(root, places->root_path);
  return places;
}

const char *new_name(struct places *places) { return format_text("%u", places->names++); }

static void get_times(int dir, struct timespec times[2]) {
  struct stat info;
  if (fstat(dir, &info) < 0) fail("cannot read the times of a directory");
  times[0] = info.st_atim;
  times[1] = info.st_mtim;
}

/* Where a target is, which resolve_target has found or made: its directory and its name there. */
static struct place find_place(struct places *places, const char *target, bool directory, bool stays) {
  struct target found = resolve_target(places->root, target, directory, stays ? NULL : places->stubs, 0, 0);
  if (found.is_directory != directory)
    fail_with(directory ? ENOTDIR : EISDIR, "cannot put a %s on \"%s\"", directory ? "directory" : "file", target);
  char path[PATH_MAX];
  size_t length = strlen(places->root_path);
  path_of_fd(found.fd, path);
  close(found.fd);
  if (strncmp(path, places->root_path, length) != 0 || path[length] != '/') fail_with(0, "\"%s\" is not beneath the root", target);
  char *inside = path + length + 1, *slash = strrchr(inside, '/');
  const char *name = slash == NULL ? inside : slash + 1;
  struct place place = {.name = format_text("%s", name)};
  if (slash != NULL) *slash = 0;
  place.parent = sys_openat2(places->root, slash == NULL ? "." : inside, O_RDONLY | O_DIRECTORY, 0,
                             RESOLVE_IN_ROOT_ | RESOLVE_NO_SYMLINKS_ | RESOLVE_NO_MAGICLINKS_);
  if (place.parent < 0) fail("cannot open the directory of \"%s\"", target);
  return place;
}

/* Moves something over from `from_dir`, and what was there aside. */
static void put(struct places *places, struct place place, int from_dir, const char *from, const char *target) {
  struct timespec times[2];
  if (places->count == MAX_PLACES) fail_with(0, "a step with more than %d mounts", MAX_PLACES);
  place.kept = (char *)(uintptr_t)new_name(places);
  get_times(place.parent, times);
  if (renameat(place.parent, place.name, places->aside, place.kept) < 0 || renameat(from_dir, from, place.parent, place.name) < 0)
    fail("cannot put what is wanted at \"%s\" there", target);
  if (futimens(place.parent, times) < 0) fail("cannot restore the times of a directory");
  places->items[places->count++] = place;
}

static bool is_directory(int dir, const char *name) {
  struct stat info;
  if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) < 0) fail("cannot stat \"%s\"", name);
  return S_ISDIR(info.st_mode);
}

void place_moved(struct places *places, const char *target, const char *path) {
  struct place place = find_place(places, target, is_directory(AT_FDCWD, path), false);
  place.back = format_text("%s", path);
  put(places, place, AT_FDCWD, path, target);
}

void place_made(struct places *places, const char *target, const char *name) {
  put(places, find_place(places, target, is_directory(places->aside, name), false), places->aside, name, target);
}

/* The same for /proc, /dev and /sys: one that is missing stays in the layer. */
static void place_for_system(struct places *places, const char *target, const char *name) {
  struct stat info;
  if (fstatat(places->root, target + 1, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(info.st_mode)) {
    stage = "mounts";
    fail_with(ENOTDIR, "%s in the image is not a directory", target);
  }
  put(places, find_place(places, target, true, true), places->aside, name, target);
}

/* The step may have taken anything away, and put something else there. */
static void take_one_out(struct places *places, struct place *place) {
  const char *out = new_name(places);
  struct timespec times[2];
  get_times(place->parent, times);
  bool there = renameat(place->parent, place->name, places->aside, out) == 0;
  if (!there && errno != ENOENT) fail("cannot take \"%s\" out", place->name);
  if (renameat(places->aside, place->kept, place->parent, place->name) == 0) futimens(place->parent, times);
  else if (errno != ENOENT) fail("cannot put \"%s\" back", place->name);
  close(place->parent);
  if (there && place->back != NULL && renameat(places->aside, out, AT_FDCWD, place->back) == 0) return;
  if (place->back != NULL && mkdir(place->back, 0755) < 0 && errno != EEXIST && errno != ENOENT) fail("cannot make \"%s\" again", place->back);
  if (there) remove_entry(places->aside, out);
}

void take_out(struct places *places) {
  /* What the step has moved elsewhere, too: a mounted file would not be there either. */
  empty_files(places->files, places->file_count);
  while (places->count > 0) take_one_out(places, &places->items[--places->count]);
  if (places->guard > 0) end_guard(places->guard);
  places->guard = 0;
}

/* ---- mounts ---- */

static const char *made_directory(struct places *places, unsigned mode) {
  const char *name = new_name(places);
  if (mkdirat(places->aside, name, 0700) < 0 || fchmodat(places->aside, name, mode, 0) < 0) fail("cannot make a directory");
  return name;
}

/* Without what will be in it. */
static void place_file(struct places *places, const struct mount_spec *mount) {
  const char *name = new_name(places);
  if (places->file_count == MAX_FILES) fail_with(0, "a step with more than %d files of its own", MAX_FILES);
  int fd = openat(places->aside, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) fail("cannot make a file");
  if (fchown(fd, mount->uid, mount->gid) < 0 || fchmod(fd, mount->mode) < 0) fail("cannot set the owner of a file");
  place_made(places, mount->target, name);
  const struct place *place = &places->items[places->count - 1];
  places->files[places->file_count++] = (struct guarded){fd, place->parent, place->name};
}

static void fill_files(struct places *places, const struct step_spec *spec) {
  if (places->file_count == 0) return;
  places->guard = start_guard(places->files, places->file_count);
  size_t next = 0;
  for (size_t at = 0; at < spec->mount_count; at++)
    if (spec->mounts[at].kind == MOUNT_FILE) write_fd(places->files[next++].fd, spec->mounts[at].data, spec->mounts[at].data_length);
}

/* A source, or what lies at a path in it, by the name that it can be moved by. */
static void source_path(const struct mount_spec *mount, const char *source, char path[PATH_MAX]) {
  int root = open(source, O_PATH | O_CLOEXEC);
  if (root < 0) fail("cannot open mount source \"%s\"", source);
  int fd = mount->subpath == NULL ? root : open_in_root(root, mount->subpath, O_PATH);
  if (fd < 0) fail("cannot open \"%s\" in the source of the mount at \"%s\"", mount->subpath, mount->target);
  path_of_fd(fd, path);
  close(fd);
  if (fd != root) close(root);
}

static void place_device(struct places *places, const struct mount_spec *mount) {
  struct stat info;
  const char *name = new_name(places);
  if (stat(mount->source, &info) < 0) fail("cannot stat \"%s\"", mount->source);
  if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) fail_with(ENODEV, "\"%s\" is not a device", mount->source);
  if (mknodat(places->aside, name, info.st_mode, info.st_rdev) < 0 || fchownat(places->aside, name, info.st_uid, info.st_gid, 0) < 0)
    fail("cannot make the device \"%s\"", mount->target);
  place_made(places, mount->target, name);
}

static void place_bind(struct places *places, const struct mount_spec *mount) {
  struct stat info;
  char path[PATH_MAX];
  source_path(mount, mount->source, path);
  if (lstat(path, &info) < 0) fail("cannot stat \"%s\"", path);
  if (S_ISSOCK(info.st_mode)) {
    const char *name = new_name(places);
    /* Another name of the same socket: whoever listens at it listens here. */
    if (linkat(AT_FDCWD, path, places->aside, name, 0) < 0) fail("cannot bring the socket to \"%s\"", mount->target);
    place_made(places, mount->target, name);
    return;
  }
  if (!mount->movable) fail_with(0, "nothing of the machine can be mounted at \"%s\" without mounts (rung 5)", mount->target);
  place_moved(places, mount->target, path);
}

void place_mounts(struct places *places, struct step_spec *spec) {
  for (size_t at = 0; at < spec->mount_count; at++) {
    const struct mount_spec *mount = &spec->mounts[at];
    char path[PATH_MAX];
    stage = "mounts";
    switch (mount->kind) {
    case MOUNT_BIND: place_bind(places, mount); break;
    case MOUNT_DEVICE: place_device(places, mount); break;
    case MOUNT_LAYERS:
      source_path(mount, mount->tree, path);
      place_moved(places, mount->target, path);
      break;
    case MOUNT_TMPFS: place_made(places, mount->target, made_directory(places, mount->mode)); break;
    case MOUNT_FILE: place_file(places, mount); break;
    }
  }
  if (places->stubs->overflow) fail_with(0, "too many mount targets are missing in the image");
  fill_files(places, spec);
}

/* ---- /dev, /proc and /sys ---- */

static const struct {
  const char *name;
  unsigned major, minor;
} nodes[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static void place_dev(struct places *places) {
  stage = "dev";
  const char *name = made_directory(places, 0755);
  int dev = open_subdirectory(places->aside, name);
  for (size_t at = 0; at < sizeof nodes / sizeof *nodes; at++)
    if (mknodat(dev, nodes[at].name, S_IFCHR | 0666, makedev(nodes[at].major, nodes[at].minor)) < 0) fail("cannot make /dev/%s", nodes[at].name);
  int null = openat(dev, "null", O_RDWR | O_CLOEXEC);
  if (null < 0) fail("cannot open devices on the store's file system");
  close(null);
  if (mkdirat(dev, "shm", 01777) < 0 || mkdirat(dev, "pts", 0755) < 0) fail("cannot make /dev/shm");
  close(dev);
  place_for_system(places, "/dev", name);
}

/* What programs read there that is true of every process. */
static const char *const copied_from_proc[] = {
    "cpuinfo",          "filesystems",           "loadavg",           "meminfo",
    "stat",             "uptime",                "version",           "sys/kernel/cap_last_cap",
    "sys/kernel/ngroups_max", "sys/kernel/osrelease", "sys/kernel/ostype", "sys/kernel/pid_max",
    "sys/vm/overcommit_memory",
};
static const char mounts_text[] = "tsbuild / overlay rw,relatime 0 0\n";
static const char mountinfo_text[] = "1 1 0:1 / / rw,relatime - overlay tsbuild rw\n";

static void write_in(int dir, const char *name, const void *data, size_t length) {
  int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
  if (fd < 0) fail("cannot make /proc/%s", name);
  write_fd(fd, data, length);
  close(fd);
}

static void copy_from_proc(int proc, const char *name) {
  char *path = format_text("/proc/%s", name);
  int from = open(path, O_RDONLY | O_CLOEXEC);
  if (from < 0) return;
  size_t length;
  char *text = read_fd(from, 8 << 20, &length);
  close(from);
  write_in(proc, name, text, length);
}

/*
 * No process can be found here by its number, and so no descriptor either: what needs /proc/self fails. What is there is what was true when
 * the step began.
 */
static void place_proc(struct places *places) {
  stage = "proc";
  const char *name = made_directory(places, 0755);
  int proc = open_subdirectory(places->aside, name);
  static const char *const directories[] = {"sys", "sys/kernel", "sys/vm", "self"};
  for (size_t at = 0; at < sizeof directories / sizeof *directories; at++)
    if (mkdirat(proc, directories[at], 0555) < 0) fail("cannot make /proc/%s", directories[at]);
  for (size_t at = 0; at < sizeof copied_from_proc / sizeof *copied_from_proc; at++) copy_from_proc(proc, copied_from_proc[at]);
  write_in(proc, "mounts", mounts_text, strlen(mounts_text));
  write_in(proc, "self/mounts", mounts_text, strlen(mounts_text));
  write_in(proc, "self/mountinfo", mountinfo_text, strlen(mountinfo_text));
  close(proc);
  place_for_system(places, "/proc", name);
}

void place_system(struct places *places) {
  place_proc(places);
  place_dev(places);
  stage = "sys";
  place_for_system(places, "/sys", made_directory(places, 0555));
}
