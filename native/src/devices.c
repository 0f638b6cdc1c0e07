/* /proc, /dev and /sys as Docker's steps see them. Nothing here opens a path of the image through a symbolic link. */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { CGROUP2_MAGIC = 0x63677270, TTY_GROUP = 5 };

static const struct {
  const char *path;
  unsigned major, minor;
} nodes[] = {
    {"/dev/null", 1, 3}, {"/dev/zero", 1, 5}, {"/dev/full", 1, 7}, {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct {
  const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},         {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},      {"ptmx", "pts/ptmx"},
};

static const char *const masked_in_proc[] = {
    "acpi", "asound", "interrupts", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug", "scsi",
};
static const char *const readonly_in_proc[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
static const char *const masked_in_sys[] = {"firmware", "devices/virtual/powercap", "kernel/debug", "kernel/tracing", "kernel/security"};

/* A mount of a new file system; `options` are pairs of key and value, ended by NULL. */
static int new_mount(const char *type, unsigned attributes, const char *const *options) {
  int context = sys_fsopen(type);
  if (context < 0) return -1;
  for (; *options != NULL; options += 2)
    if (sys_fsconfig(context, options[0], options[1]) < 0) fail("cannot set option %s of %s", options[0], type);
  int fd = sys_fsmount(context, attributes);
  int error = errno;
  close(context);
  errno = error;
  return fd;
}

/*
 * /proc, /dev or /sys of the image: refused unless a real directory (CVE-2019-19921, CVE-2023-27561). One that is missing is made
 * and stays in the step's layer, as with BuildKit and buildah: whoever starts a container from an image without them needs them, and
 * a root that is mounted read-only cannot get them any more.
 */
static int system_directory(int root, const char *path) {
  struct stat info;
  if (fstatat(root, path + 1, &info, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(info.st_mode)) {
    stage = "mounts";
    fail_with(ENOTDIR, "%s in the image is not a directory", path);
  }
  return resolve_target(root, path, true, NULL, 0, 0).fd;
}

/* What hides things: an empty read-only directory, attached at its first use and copied from then on, and /dev/null. */
struct masks {
  int directory, null;
};

/* `dir` is the root of a file system of the kernel's own, where names can be trusted. */
static void mask(struct masks *masks, int dir, const char *name) {
  int target = sys_openat2(dir, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH_ | RESOLVE_NO_SYMLINKS_);
  if (target < 0) return;
  struct stat info;
  if (fstat(target, &info) < 0) fail("cannot stat %s", name);
  int cover;
  if (!S_ISDIR(info.st_mode)) cover = sys_open_tree(masks->null, false);
  else if (masks->directory >= 0) cover = sys_open_tree(masks->directory, false);
  else {
    const char *const options[] = {"size", "4096", "mode", "0555", NULL};
    cover = masks->directory = new_mount("tmpfs", MOUNT_RDONLY_ | MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_, options);
  }
  if (cover < 0 || sys_move_mount(cover, target) < 0) fail("cannot hide %s", name);
  if (cover != masks->directory) close(cover);
  close(target);
}

static void make_readonly(int dir, const char *name) {
  int target = sys_openat2(dir, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH_ | RESOLVE_NO_SYMLINKS_);
  if (target < 0) return;
  int copy = sys_open_tree(target, true);
  if (copy < 0 || sys_mount_setattr(copy, true, MOUNT_RDONLY_ | MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_) < 0 || sys_move_mount(copy, target) < 0)
    fail("cannot make /proc/%s read-only", name);
  close(copy);
  close(target);
}

/*
 * The /proc that is here already, with all that hides parts of it. Processes outside can be seen there, but not entered: a step has a
 * user namespace of its own, and none of what follows /proc/PID/root, cwd, fd, mem or environ is allowed across its border.
 */
static int surrounding_proc(bool tell) {
  int old = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int copy = old < 0 ? -1 : sys_open_tree(old, true);
  if (copy >= 0 && sys_mount_setattr(copy, true, MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_) < 0) fail("cannot restrict /proc");
  if (old >= 0) close(old);
  if (copy >= 0 && tell) status_line("proc bound");
  return copy;
}

/* A mount that is there by its name in the directory: only such a one can have others in it. */
static void attach_to(int dir, const char *name, int mount) {
  if (mkdirat(dir, name, 0755) < 0) fail("cannot make a directory for %s", name);
  int target = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (target < 0 || sys_move_mount(mount, target) < 0) fail("cannot mount %s", name);
  close(target);
}

static void make_proc(struct step_spec *spec, int staging, struct masks *masks) {
  stage = "proc";
  static const char *const no_options[] = {NULL};
  errno = EPERM;
  int proc = spec->proc == PROC_AROUND || spec->host_processes ? -1 : new_mount("proc", MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_, no_options);
  /* Where a container hides parts of its /proc, the kernel lets nobody inside mount one that would show them (mount_too_revealing). */
  if (proc < 0 && errno == EPERM && (spec->proc != PROC_OWN || spec->host_processes)) proc = surrounding_proc(!spec->host_processes);
  if (proc < 0) fail("cannot mount /proc");
  attach_to(staging, "proc", proc);
  if (!spec->unmasked) {
    for (size_t at = 0; at < sizeof readonly_in_proc / sizeof *readonly_in_proc; at++) make_readonly(proc, readonly_in_proc[at]);
    for (size_t at = 0; at < sizeof masked_in_proc / sizeof *masked_in_proc; at++) mask(masks, proc, masked_in_proc[at]);
  }
  close(proc);
}

static int open_device(size_t index) {
  struct stat info;
  int fd = open(nodes[index].path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &info) < 0) fail("cannot open %s", nodes[index].path);
  /* A machine that is itself a container may have been given something else (CVE-2025-31133). */
  if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(nodes[index].major, nodes[index].minor))
    fail_with(0, "%s of this machine is not the device of that name", nodes[index].path);
  return fd;
}

static void bind_device(int dev, const char *name, int source) {
  int target = openat(dev, name, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0666);
  int copy = sys_open_tree(source, false);
  if (target < 0 || copy < 0 || sys_move_mount(copy, target) < 0) fail("cannot make /dev/%s", name);
  close(copy);
  close(target);
}

static void mount_in_dev(int dev, const char *name, const char *type, unsigned attributes, const char *const *options, bool optional) {
  int fd = new_mount(type, MOUNT_NOSUID_ | MOUNT_NOEXEC_ | attributes, options);
  if (fd < 0 && optional && errno == ENODEV) return;
  if (fd < 0) fail("cannot make /dev/%s", name);
  attach_to(dev, name, fd);
  close(fd);
}

static void make_dev(struct step_spec *spec, int staging) {
  stage = "dev";
  const char *const options[] = {"source", "tmpfs", "mode", "0755", "size", "65536k", NULL};
  const char *const pts[] = {"ptmxmode", "0666", "mode", "0620", spec->id_count > TTY_GROUP && !spec->fakes ? "gid" : NULL, "5", NULL};
  const char *const shm[] = {"source", "shm", "mode", "1777", "size", spec->shm_size, NULL};
  const char *const none[] = {NULL};
  int dev = new_mount("tmpfs", MOUNT_NOSUID_, options);
  if (dev < 0) fail("cannot mount /dev");
  attach_to(staging, "dev", dev);
  for (size_t at = 0; at < sizeof nodes / sizeof *nodes; at++) {
    int source = open_device(at);
    bind_device(dev, nodes[at].path + strlen("/dev/"), source);
    close(source);
  }
  for (size_t at = 0; at < sizeof links / sizeof *links; at++)
    if (symlinkat(links[at].target, dev, links[at].name) < 0) fail("cannot make /dev/%s", links[at].name);
  mount_in_dev(dev, "pts", "devpts", 0, pts, false);
  bool shares_ipc = spec->host_ipc || spec->ipc_namespace != NULL;
  /* Those that are shared are mounted there as others are. */
  if (shares_ipc && (mkdirat(dev, "shm", 0755) < 0 || mkdirat(dev, "mqueue", 0755) < 0)) fail("cannot make directories in /dev");
  if (!shares_ipc && !spec->no_ipc) mount_in_dev(dev, "shm", "tmpfs", MOUNT_NODEV_, shm, false);
  if (!shares_ipc) mount_in_dev(dev, "mqueue", "mqueue", MOUNT_NODEV_, none, true);
  close(dev);
}

static bool machine_has_only_cgroup2(void) {
  struct statfs system;
  return statfs("/sys/fs/cgroup", &system) == 0 && system.f_type == CGROUP2_MAGIC;
}

static void mount_cgroup(struct step_spec *spec, int sys, bool cgroup2, struct masks *masks) {
  static const char *const none[] = {NULL};
  int target = sys_openat2(sys, "fs/cgroup", O_PATH | O_NOFOLLOW, 0, RESOLVE_BENEATH_ | RESOLVE_NO_SYMLINKS_);
  if (target < 0) return;
  unsigned readonly = spec->insecure ? 0 : MOUNT_RDONLY_;
  int group = cgroup2 ? new_mount("cgroup2", MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_ | readonly, none) : -1;
  /* The tree of version 1 would show the machine's groups: an empty directory tells programs that there are no limits. */
  if (group < 0) mask(masks, sys, "fs/cgroup");
  else if (sys_move_mount(group, target) < 0) fail("cannot mount /sys/fs/cgroup");
  close(target);
  if (group >= 0) close(group);
}

static unsigned sys_attributes(const struct step_spec *spec) {
  return MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_ | (spec->insecure ? 0 : MOUNT_RDONLY_);
}

int make_sys(const struct step_spec *spec) {
  static const char *const none[] = {NULL};
  return new_mount("sysfs", sys_attributes(spec), none);
}

static void make_sys_here(struct step_spec *spec, int staging, struct masks *masks) {
  stage = "sys";
  unsigned attributes = sys_attributes(spec);
  bool cgroup2 = machine_has_only_cgroup2();
  /* A sysfs of its own belongs to the network namespace, so only a private one can have it; that of a shared one was made outside. */
  int sys = spec->private_network ? make_sys(spec) : spec->network != NULL ? spec->shared_sys : -1;
  if (sys < 0) {
    int old = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0) return;
    sys = sys_open_tree(old, true);
    close(old);
    if (sys < 0 || sys_mount_setattr(sys, true, attributes) < 0) fail("cannot copy /sys");
  }
  attach_to(staging, "sys", sys);
  mount_cgroup(spec, sys, cgroup2, masks);
  for (size_t at = 0; !spec->unmasked && at < sizeof masked_in_sys / sizeof *masked_in_sys; at++) mask(masks, sys, masked_in_sys[at]);
  close(sys);
}

void make_system(struct step_spec *spec, int staging) {
  struct masks masks = {-1, -1};
  stage = "dev";
  masks.null = open_device(0);
  make_proc(spec, staging, &masks);
  make_dev(spec, staging);
  make_sys_here(spec, staging, &masks);
  close(masks.null);
  if (masks.directory >= 0) close(masks.directory);
}

void attach_system(int staging, int root) {
  static const char *const paths[] = {"/proc", "/dev", "/sys"};
  for (size_t at = 0; at < sizeof paths / sizeof *paths; at++) {
    stage = paths[at] + 1;
    int target = system_directory(root, paths[at]), made = openat(staging, paths[at] + 1, O_PATH | O_DIRECTORY | O_CLOEXEC);
    /* A machine without /sys has none to give. */
    if (made >= 0 && sys_move_mount(made, target) < 0) fail("cannot mount %s", paths[at]);
    if (made >= 0) close(made);
    close(target);
  }
}

int open_terminal(int root, int *master) {
  stage = "terminal";
  int unlock = 0;
  *master = sys_openat2(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, 0, RESOLVE_BENEATH_ | RESOLVE_NO_SYMLINKS_);
  if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) < 0) fail("cannot make a terminal");
  int slave = ioctl(*master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) fail("cannot open the terminal");
  return slave;
}

void attach_console(int root, int terminal) {
  int dev = sys_openat2(root, "dev", O_PATH | O_DIRECTORY, 0, RESOLVE_BENEATH_ | RESOLVE_NO_SYMLINKS_);
  if (dev < 0) fail("cannot open /dev");
  bind_device(dev, "console", terminal);
  close(dev);
}
