/*
 * Namespaces that a container shares with another one, or with the machine.
 *
 * `share` makes those of another container files in this mount namespace, as network.c does with a network: they are opened by name at each
 * start, when the supervisor may not look at processes of others any more. What shares processes has no pid namespace of its own whose end would
 * be the end of all in it, so that its processes are looked for: by their mount namespace, which is the container's alone, and below its user
 * namespace where that is its own.
 */
#include "step.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STATUS_FD = 4, NS_GET_PARENT_ = 0xb702 /* as in linux/nsfs.h */, NR_pidfd_send_signal = 424, ROUNDS = 100, END_MS = 2000 };

/* ---- share: before the supervisor ---- */

static int open_of(const char *number, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%llu/ns/%s", parse_number(number, 1 << 30), name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open the %s namespace of the other container", name);
  return fd;
}

static void make_file(const char *path, bool directory) {
  if (directory && mkdir(path, 0700) == 0) return;
  int file = directory ? -1 : open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0 && !(directory && errno == EEXIST)) fail("cannot make \"%s\"", path);
  if (file >= 0) close(file);
}

static void bind_namespace(const char *directory, const char *number, const char *name) {
  char *at = format_text("%s/%s", directory, name), from[64];
  int fd = open_of(number, name);
  make_file(at, false);
  snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
  if (mount(from, at, NULL, MS_BIND, NULL) < 0) fail("cannot bind the %s namespace of the other container to \"%s\"", name, at);
  close(fd);
  free(at);
}

/* A detached copy of what is mounted at a place in the root that this process is in; -1 where nothing is. What is in between is not followed. */
static int copy_mount(const char *path) {
  int place = sys_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS_);
  int copy = place < 0 ? -1 : sys_open_tree(place, false);
  if (place >= 0) close(place);
  return copy;
}

/* Memory that the other container shares is named in file systems of its own: they are mounted in the same places. */
static void copy_shared_memory(const char *directory, const char *number) {
  static const struct {
    const char *path, *name;
  } places[] = {{"/dev/shm", "shm"}, {"/dev/mqueue", "mqueue"}};
  int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), other = open_of(number, "mnt"), copies[2];
  if (own < 0 || setns(other, CLONE_NEWNS) < 0) fail("cannot look into the other container");
  for (size_t at = 0; at < 2; at++) copies[at] = copy_mount(places[at].path);
  if (setns(own, CLONE_NEWNS) < 0) fail("cannot leave the other container");
  close(own);
  close(other);
  for (size_t at = 0; at < 2; at++) {
    char *path = format_text("%s/%s", directory, places[at].name);
    make_file(path, true);
    int target = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0 || (copies[at] >= 0 && sys_move_mount(copies[at], target) < 0)) fail("cannot mount \"%s\" of the other container", places[at].path);
    close(target);
    if (copies[at] >= 0) close(copies[at]);
    free(path);
  }
}

/* In memory, and so that all of it can be taken away at once: what is mounted here must not be there when the container's directory is deleted. */
static void mount_place(const char *directory) {
  make_file(directory, true);
  if (mount("tsbuild", directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0) fail("cannot mount a tmpfs on \"%s\"", directory);
}

bool unmount_shared(const char *directory) {
  char *place = format_text("%s/shared", directory);
  bool gone = umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT;
  free(place);
  return gone;
}

/* share --at DIRECTORY [--processes PID] [--ipc PID] -- COMMAND... */
int command_share(int argc, char **argv) {
  const char *directory = NULL;
  int at = 0;
  status_fd = STATUS_FD;
  stage = "join";
  for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
    if (strcmp(argv[at], "--at") == 0) mount_place(directory = argv[at + 1]);
    else if (directory == NULL) fail_with(0, "incomplete arguments");
    else if (strcmp(argv[at], "--processes") == 0) bind_namespace(directory, argv[at + 1], "pid"), bind_namespace(directory, argv[at + 1], "user");
    else if (strcmp(argv[at], "--ipc") == 0) bind_namespace(directory, argv[at + 1], "ipc"), copy_shared_memory(directory, argv[at + 1]);
    else fail_with(0, "unknown option \"%s\"", argv[at]);
  }
  if (at + 1 >= argc) fail_with(0, "incomplete arguments");
  execv(argv[at + 1], argv + at + 1);
  fail("cannot execute \"%s\"", argv[at + 1]);
}

/* ---- at a start ---- */

bool shares_processes(const struct step_spec *spec) { return spec->host_processes || spec->pid_namespace != NULL; }

static int open_namespace(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open \"%s\"", path);
  return fd;
}

void share_namespaces(struct step_spec *spec) {
  stage = "join";
  if (spec->ipc_namespace != NULL) {
    int ipc = open_namespace(spec->ipc_namespace);
    if (setns(ipc, CLONE_NEWIPC) < 0) fail("cannot enter the IPC namespace of the other container");
    close(ipc);
  }
  if (spec->pid_namespace == NULL) return;
  struct stat own, other;
  int pid = open_namespace(spec->pid_namespace);
  spec->user_fd = open_namespace(spec->user_namespace);
  if (setns(pid, CLONE_NEWPID) < 0) fail("cannot enter the pid namespace of the other container");
  close(pid);
  /* Nobody may enter the namespace that he is in. */
  if (stat("/proc/self/ns/user", &own) < 0 || fstat(spec->user_fd, &other) < 0) fail("cannot look at the other container");
  if (own.st_ino == other.st_ino) close(spec->user_fd), spec->user_fd = -1;
}

void enter_shared_user(const struct step_spec *spec, int flags, int sync) {
  stage = "join";
  if (spec->user_fd >= 0 && setns(spec->user_fd, CLONE_NEWUSER) < 0) fail("cannot enter the user namespace of the other container");
  if (unshare(flags) < 0) fail("cannot make the container's namespaces");
  if (!send_number(sync, 0)) _exit(EXIT_SETUP);
}

/* ---- the processes of a container that shares its pid namespace ---- */

static bool same_file(int fd, int other) {
  struct stat one, two;
  return fd >= 0 && other >= 0 && fstat(fd, &one) == 0 && fstat(other, &two) == 0 && one.st_ino == two.st_ino && one.st_dev == two.st_dev;
}

void close_members(struct members *members) {
  if (members->mounts >= 0) close(members->mounts);
  if (members->user >= 0) close(members->user);
  members->mounts = members->user = -1;
}

struct members members_of(const struct step_spec *spec, int number) {
  char path[64];
  struct members members = {-1, -1};
  if (number <= 0) return members;
  int own_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), own_user = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%d/ns/mnt", number);
  members.mounts = open(path, O_RDONLY | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%d/ns/user", number);
  /* Another container's, and its processes are not to be touched. */
  if (spec->pid_namespace == NULL && spec->nest) members.user = open(path, O_RDONLY | O_CLOEXEC);
  /* One that failed early has none of its own: this process is not to be taken for a member. */
  bool all = own_mounts < 0 || own_user < 0 || same_file(members.mounts, own_mounts);
  if (all || same_file(members.user, own_user)) close_members(&members);
  if (own_mounts >= 0) close(own_mounts);
  if (own_user >= 0) close(own_user);
  return members;
}

/* Whether a user namespace is another one, or lies below it. Closes the first. */
static bool is_below(int fd, int other) {
  while (fd >= 0 && !same_file(fd, other)) {
    int parent = ioctl(fd, NS_GET_PARENT_);
    close(fd);
    fd = parent;
  }
  if (fd < 0) return false;
  close(fd);
  return true;
}

static bool is_member(const struct members *members, const char *number) {
  char path[300];
  snprintf(path, sizeof path, "/proc/%s/ns/mnt", number);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool same = same_file(fd, members->mounts);
  if (fd >= 0) close(fd);
  if (same || members->user < 0) return same;
  snprintf(path, sizeof path, "/proc/%s/ns/user", number);
  return is_below(open(path, O_RDONLY | O_CLOEXEC), members->user);
}

/* One that has ended and was not waited for has no namespaces any more: it is none of them. */
static size_t signal_once(const struct members *members, int signal) {
  size_t found = 0;
  DIR *proc = opendir("/proc");
  if (proc == NULL) return 0;
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_member(members, entry->d_name)) continue;
    int number = atoi(entry->d_name), pidfd = number == getpid() ? -1 : sys_pidfd_open(number);
    /* Again: by now that number cannot have become another's. */
    if (pidfd >= 0 && is_member(members, entry->d_name) && syscall(NR_pidfd_send_signal, pidfd, signal, NULL, 0) == 0) {
      found++;
      if (signal == SIGKILL) poll(&(struct pollfd){pidfd, POLLIN, 0}, 1, END_MS);
    }
    if (pidfd >= 0) close(pidfd);
  }
  closedir(proc);
  return found;
}

void signal_members(const struct members *members, int signal) {
  if (members->mounts < 0 && members->user < 0) return;
  /* What is killed may have started others meanwhile. */
  for (int round = 0; signal_once(members, signal) > 0 && signal == SIGKILL && round < ROUNDS; round++) continue;
}

void end_all_below(void) {
  struct members members = {-1, open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC)};
  signal_members(&members, SIGKILL);
  close_members(&members);
}
