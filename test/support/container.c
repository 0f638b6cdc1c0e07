/*
 * Runs a command as a container's engine does by default: docker's capabilities and seccomp filter, parts of /proc and /sys hidden, a root
 * file system that is an overlay, and no user namespace. For tests of what works in there. As root of the machine only.
 *
 * container FILTER DIR UID COMMAND...: FILTER is "-" for none; DIR is a directory for the overlay's upper and work directories, which keep
 * what the next command finds; UID may be "privileged" for root with all capabilities.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t docker_capabilities = 0xa80425fb;

static void need(int result, const char *what) {
  if (result >= 0) return;
  fprintf(stderr, "container: %s: %s\n", what, strerror(errno));
  exit(99);
}

static void hide(const char *path) {
  struct stat info;
  if (stat(path, &info) < 0) return;
  if (S_ISDIR(info.st_mode)) need(mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=4k"), path);
  else need(mount("/dev/null", path, NULL, MS_BIND, NULL), path);
}

static void readonly(const char *path) {
  if (access(path, F_OK) < 0) return;
  need(mount(path, path, NULL, MS_BIND | MS_REC, NULL), path);
  need(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), path);
}

/* The machine's files beneath an overlay of the container's own. Devices are the machine's. */
static void change_root(const char *dir) {
  char options[4096];
  need(chdir(dir), dir);
  static const char *const directories[] = {"upper", "work", "root"};
  for (size_t at = 0; at < 3; at++)
    if (mkdir(directories[at], 0755) < 0 && errno != EEXIST) need(-1, directories[at]);
  need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
  snprintf(options, sizeof options, "lowerdir=/,upperdir=%s/upper,workdir=%s/work", dir, dir);
  need(mount("overlay", "root", "overlay", 0, options), "overlay");
  need(mount("/dev", "root/dev", NULL, MS_BIND | MS_REC, NULL), "/dev");
  need(mount("proc", "root/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "/proc");
  need(mount("/sys", "root/sys", NULL, MS_BIND | MS_REC, NULL), "/sys");
  need(chdir("root"), "root");
  need((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
  need(umount2(".", MNT_DETACH), "old root");
  need(chdir("/"), "/");
  static const char *const hidden[] = {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                                       "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"};
  for (size_t at = 0; at < sizeof hidden / sizeof *hidden; at++) hide(hidden[at]);
  static const char *const fixed[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys"};
  for (size_t at = 0; at < sizeof fixed / sizeof *fixed; at++) readonly(fixed[at]);
}

static void drop_capabilities(uint64_t keep) {
  for (int capability = 0; capability < 64; capability++)
    if (!(keep >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL) need(-1, "bounding set");
}

static void set_capabilities(uint64_t set) {
  struct {
    uint32_t version;
    int pid;
  } header = {0x20080522, 0};
  struct {
    uint32_t effective, permitted, inheritable;
  } data[2] = {{(uint32_t)set, (uint32_t)set, 0}, {0}};
  need((int)syscall(SYS_capset, &header, data), "capabilities");
}

static void load_filter(const char *path) {
  if (strcmp(path, "-") == 0) return;
  static char instructions[32768];
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  need(fd, path);
  ssize_t got = read(fd, instructions, sizeof instructions);
  need((int)got, path);
  struct {
    unsigned short length;
    void *instructions;
  } program = {(unsigned short)(got / 8), instructions};
  need(prctl(PR_SET_SECCOMP, 2, &program, 0, 0), "seccomp");
}

int main(int argc, char **argv) {
  if (argc < 5) return 98;
  bool privileged = strcmp(argv[3], "privileged") == 0;
  uid_t uid = privileged ? 0 : (uid_t)atoi(argv[3]);
  need(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS), "namespaces");
  pid_t child = fork();
  need(child, "fork");
  if (child > 0) {
    int status;
    need(waitpid(child, &status, 0), "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  change_root(argv[2]);
  if (!privileged) drop_capabilities(docker_capabilities);
  need(setgroups(0, NULL), "groups");
  load_filter(argv[1]);
  need(setresgid(uid, uid, uid), "gid");
  need(setresuid(uid, uid, uid), "uid");
  if (!privileged) set_capabilities(uid == 0 ? docker_capabilities : 0);
  execvp(argv[4], argv + 4);
  need(-1, argv[4]);
}
