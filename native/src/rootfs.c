/* The new root: overlay, system mounts, the step's own mounts, pivot. */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MAX_LOWERS = 500 /* the kernel's OVL_MAX_STACK */ };

static int open_directory(const char *path) {
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("cannot open directory \"%s\"", path);
  return fd;
}

/* To be read, not only named: of such descriptors alone attributes can be had, other than by walking to each through /proc. */
static void open_layers(const struct list *paths, int *fds) {
  for (size_t at = 0; at < paths->count; at++) {
    fds[at] = openat(AT_FDCWD, paths->items[at], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fds[at] < 0) fail("cannot open directory \"%s\"", paths->items[at]);
  }
}

static int open_source(const struct mount_spec *mount) {
  if (mount->source == NULL) fail_with(0, "a bind mount without a source");
  int root = open(mount->source, O_PATH | O_CLOEXEC);
  if (root < 0) fail("cannot open mount source \"%s\"", mount->source);
  if (mount->subpath == NULL) return root;
  int fd = open_in_root(root, mount->subpath, O_PATH);
  if (fd < 0) fail("cannot open \"%s\" in the source of the mount at \"%s\"", mount->subpath, mount->target);
  close(root);
  return fd;
}

int open_place(const struct step_spec *spec) {
  stage = "staging";
  return open_directory(spec->place != NULL ? spec->place : spec->work);
}

void open_sources(struct step_spec *spec) {
  stage = "sources";
  open_layers(&spec->lowers, spec->lower_fds);
  *spec->upper_fd = open_directory(spec->upper);
  *spec->work_fd = open_directory(spec->work);
  if (spec->tree != NULL) *spec->tree_fd = open_directory(spec->tree);
  for (size_t at = 0; at < spec->mount_count; at++) {
    struct mount_spec *mount = &spec->mounts[at];
    if (mount->kind == MOUNT_BIND || mount->kind == MOUNT_DEVICE) *mount->source_fd = open_source(mount);
    if (mount->kind != MOUNT_LAYERS) continue;
    if (mount->tree != NULL) {
      *mount->source_fd = open_directory(mount->tree);
      continue;
    }
    open_layers(&mount->lowers, mount->lower_fds);
    if (mount->upper != NULL) *mount->upper_fd = open_directory(mount->upper);
    if (mount->work != NULL) *mount->work_fd = open_directory(mount->work);
  }
}

static int make_directory(int parent, const char *name) {
  if (mkdirat(parent, name, 0755) < 0) fail("cannot make staging directory \"%s\"", name);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("cannot open staging directory \"%s\"", name);
  return fd;
}

int mount_staging(int place) {
  stage = "staging";
  int context = sys_fsopen("tmpfs");
  if (context < 0 || sys_fsconfig(context, "mode", "0700") < 0) fail("cannot make a tmpfs");
  int fd = sys_fsmount(context, MOUNT_NOSUID_ | MOUNT_NODEV_);
  if (fd < 0) fail("cannot make a tmpfs");
  if (sys_move_mount(fd, place) < 0) fail("cannot attach the staging tmpfs");
  close(context);
  return fd;
}

/* The root of an overlay looks like its upper directory: gives it the attributes of the topmost layer's root. */
static void copy_root_attributes(int upper, int top) {
  struct stat info;
  int fd = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(top, &info) < 0) fail("cannot open the roots of layers");
  if (fchown(fd, info.st_uid, info.st_gid) < 0 || fchmod(fd, info.st_mode & 07777) < 0) fail("cannot prepare the upper directory");
  struct timespec times[2] = {info.st_atim, info.st_mtim};
  copy_owner(top, fd);
  if (futimens(fd, times) < 0) fail("cannot set the times of the upper directory");
  close(fd);
}

/* An upper directory in memory whose root looks like that of the topmost layer. */
static void make_scratch_upper(int dir, int *upper, int *work, int top) {
  struct stat info = {.st_mode = 0755};
  if (top >= 0 && fstat(top, &info) < 0) fail("cannot stat a layer");
  *upper = make_directory(dir, "upper");
  *work = make_directory(dir, "scratch");
  if (fchown(*upper, info.st_uid, info.st_gid) < 0 || fchmod(*upper, info.st_mode & 07777) < 0) fail("cannot prepare a scratch directory");
}

/* How many layers lie below one whose root hides them. The kernel merges the roots of all layers, and does not look for the mark there. */
static size_t hidden_below(const int *lowers, size_t count) {
  for (size_t at = count; at-- > 1;) {
    char value[2];
    if (fgetxattr(lowers[at], "user.overlay.opaque", value, sizeof value) == 1 && value[0] == 'y') return at;
  }
  return 0;
}

/*
 * Mounts a stack of directories. Layers are named by the numbers of their descriptors in /proc/self/fd, so that 500 of them fit the one page
 * that mount(2) takes, and no path of the store shows in /proc/mounts.
 */
static int mount_stack(int staging, const char *name, const int *lowers, size_t count, int upper, int work, bool writable) {
  stage = "layers";
  size_t hidden = hidden_below(lowers, count);
  lowers += hidden;
  count -= hidden;
  if (count > MAX_LOWERS) fail_with(0, "an overlay takes %d layers, these are %zu", MAX_LOWERS, count);
  stage = "overlay";
  int dir = make_directory(staging, name), place = make_directory(dir, "root");
  char data[8192], target[12];
  size_t length = (size_t)snprintf(data, sizeof data, "lowerdir=");
  if (writable && upper < 0) make_scratch_upper(dir, &upper, &work, count == 0 ? -1 : lowers[count - 1]);
  for (size_t at = count; at-- > 0;) length += (size_t)snprintf(data + length, sizeof data - length, "%d%s", lowers[at], at == 0 ? "" : ":");
  /* Overlay wants a lower directory in any case, and two without an upper one. */
  static const char *const names[] = {"empty", "void"};
  int empty[] = {-1, -1};
  for (size_t at = count; at < (upper < 0 ? 2u : 1u); at++) {
    empty[at] = make_directory(dir, names[at]);
    length += (size_t)snprintf(data + length, sizeof data - length, "%s%d", at == 0 ? "" : ":", empty[at]);
  }
  if (upper >= 0) length += (size_t)snprintf(data + length, sizeof data - length, ",upperdir=%d,workdir=%d,volatile", upper, work);
  snprintf(data + length, sizeof data - length, ",userxattr");
  snprintf(target, sizeof target, "%d", place);
  if (chdir("/proc/self/fd") < 0) fail("cannot enter /proc/self/fd");
  if (mount("overlay", target, "overlay", 0, data) < 0) fail("cannot mount the layers");
  int root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail("cannot open the mounted layers");
  for (size_t at = 0; at < 2; at++)
    if (empty[at] >= 0) close(empty[at]);
  close(place);
  close(dir);
  return root;
}

/* A tree as a mount of its own: only such a one can become the root. */
static int mount_tree(int staging, int tree) {
  stage = "tree";
  int place = make_directory(staging, "tree"), copy = sys_open_tree(tree, true);
  if (copy < 0 || sys_move_mount(copy, place) < 0) fail("cannot mount the tree");
  close(place);
  return copy;
}

static void attach(int mount, int root, const char *path, bool directory, struct stubs *stubs) {
  struct target target = resolve_target(root, path, directory, stubs, 0, 0);
  if (target.is_directory != directory)
    fail_with(directory ? ENOTDIR : EISDIR, "cannot mount a %s on \"%s\"", directory ? "directory" : "file", path);
  if (sys_move_mount(mount, target.fd) < 0) fail("cannot mount on \"%s\"", path);
  close(target.fd);
}

static bool is_directory(int fd) {
  struct stat info;
  if (fstat(fd, &info) < 0) fail("cannot stat a mount source");
  return S_ISDIR(info.st_mode);
}

static void attach_copy(const struct mount_spec *mount, int source, unsigned attributes, int root, struct stubs *stubs) {
  bool directory = is_directory(source);
  /* Recursive: the kernel refuses to show what lies under mounts that a less privileged namespace inherited. */
  int copy = sys_open_tree(source, directory);
  if (copy < 0) fail("cannot copy the mount for \"%s\"", mount->target);
  if (mount->readonly) attributes |= MOUNT_RDONLY_;
  if (attributes != 0 && sys_mount_setattr(copy, directory, attributes) < 0) fail("cannot set the options of \"%s\"", mount->target);
  attach(copy, root, mount->target, directory, stubs);
  close(copy);
}

/* A node of the machine: one cannot be made in a user namespace. Unlike other binds it keeps its meaning. */
static void mount_device(const struct mount_spec *mount, int root, struct stubs *stubs) {
  struct stat info;
  if (fstat(*mount->source_fd, &info) < 0) fail("cannot stat \"%s\"", mount->source);
  if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) fail_with(ENODEV, "\"%s\" is not a device", mount->source);
  attach_copy(mount, *mount->source_fd, MOUNT_NOSUID_ | MOUNT_NOEXEC_, root, stubs);
}

static void mount_layers(const struct mount_spec *mount, size_t index, int staging, int root, struct stubs *stubs) {
  char name[32];
  snprintf(name, sizeof name, "mount%zu", index);
  int stack = mount->tree != NULL ? *mount->source_fd
                                  : mount_stack(staging, name, mount->lower_fds, mount->lowers.count, *mount->upper_fd, *mount->work_fd, !mount->readonly);
  stage = "mounts";
  int source = mount->subpath == NULL ? stack : open_in_root(stack, mount->subpath, O_PATH);
  if (source < 0) fail("cannot open \"%s\" in the source of the mount at \"%s\"", mount->subpath, mount->target);
  attach_copy(mount, source, 0, root, stubs);
}

/* Of a tmpfs: the owner of its root directory, an id of the step's. */
static void set_owner(int context, const char *key, unsigned id) {
  char text[16];
  snprintf(text, sizeof text, "%u", id);
  if (id != 0 && sys_fsconfig(context, key, text) < 0) fail("cannot make a tmpfs that belongs to %s %u", key, id);
}

static void mount_tmpfs(const struct mount_spec *mount, int root, struct stubs *stubs) {
  char mode[16];
  snprintf(mode, sizeof mode, "%o", mount->mode);
  int context = sys_fsopen("tmpfs");
  if (context < 0 || sys_fsconfig(context, "source", "tmpfs") < 0 || sys_fsconfig(context, "mode", mode) < 0) fail("cannot make a tmpfs");
  set_owner(context, "uid", mount->uid);
  set_owner(context, "gid", mount->gid);
  if (mount->size != NULL && sys_fsconfig(context, "size", mount->size) < 0) fail("cannot make a tmpfs of size %s", mount->size);
  int fd = sys_fsmount(context, MOUNT_NOSUID_ | MOUNT_NODEV_ | (mount->readonly ? MOUNT_RDONLY_ : 0) | (mount->noexec ? MOUNT_NOEXEC_ : 0));
  if (fd < 0) fail("cannot make a tmpfs for \"%s\"", mount->target);
  attach(fd, root, mount->target, true, stubs);
  close(fd);
  close(context);
}

static void mount_file(const struct mount_spec *mount, size_t index, int staging, int root, struct stubs *stubs, bool fakes) {
  char name[32];
  snprintf(name, sizeof name, "file%zu", index);
  int fd = openat(staging, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) fail("cannot make the file for \"%s\"", mount->target);
  write_fd(fd, mount->data, mount->data_length);
  if ((!fakes && fchown(fd, mount->uid, mount->gid) < 0) || fchmod(fd, mount->mode) < 0) fail("cannot set the owner of \"%s\"", mount->target);
  /* A tmpfs has attributes of users since 6.6; before, it is root's. */
  if (fakes) give_entry(staging, name, mount->uid, mount->gid);
  attach_copy(mount, fd, MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_, root, stubs);
  close(fd);
}

struct built_root build_root(struct step_spec *spec, int staging, struct stubs *stubs) {
  if (spec->prepare_upper && spec->lowers.count > 0) copy_root_attributes(*spec->upper_fd, spec->lower_fds[spec->lowers.count - 1]);
  int root = spec->tree != NULL ? mount_tree(staging, *spec->tree_fd)
                                : mount_stack(staging, "root", spec->lower_fds, spec->lowers.count, *spec->upper_fd, *spec->work_fd, true);
  /* Before anything is mounted in it: the image's own files decide. */
  struct built_root built = {root, find_identity(root, spec->user, spec->id_count)};
  add_groups(&built.identity, root, &spec->groups, spec->id_count);
  attach_system(staging, root);
  for (size_t at = 0; at < spec->mount_count; at++) {
    const struct mount_spec *mount = &spec->mounts[at];
    stage = "mounts";
    switch (mount->kind) {
    case MOUNT_BIND: attach_copy(mount, mount->fill ? fill_volume(mount, root) : *mount->source_fd, MOUNT_NOSUID_ | MOUNT_NODEV_, root, stubs); break;
    case MOUNT_DEVICE: mount_device(mount, root, stubs); break;
    case MOUNT_LAYERS: mount_layers(mount, at, staging, root, stubs); break;
    case MOUNT_TMPFS: mount_tmpfs(mount, root, stubs); break;
    case MOUNT_FILE: mount_file(mount, at, staging, root, stubs, spec->fakes); break;
    }
  }
  if (stubs->overflow) fail_with(0, "too many mount targets are missing in the image");
  return built;
}

void enter_root(int root) {
  stage = "pivot";
  /* Stacks the old root on the new one and takes it away, so that no directory for it is needed. */
  if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0) fail("cannot change the root");
  if (umount2(".", MNT_DETACH) < 0) fail("cannot take the old root away");
  if (chdir("/") < 0) fail("cannot enter the new root");
}
