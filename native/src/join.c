/*
 * join: a command with the rights that root of a container has over its files, and with this machine's own view of everything else: in the
 * container's user namespace and in no other of its namespaces. What it opens through /proc/N/root is the container's root, with all that
 * is mounted there.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights that stay over the execution of a program, whatever the id is that this process has in the namespace. */
static void keep_capabilities(void) {
  enum { VERSION_3 = 0x20080522, LAST = 63 };
  struct {
    uint32_t version;
    int pid;
  } header = {VERSION_3, 0};
  struct {
    uint32_t effective, permitted, inheritable;
  } data[2] = {0};
  if (syscall(SYS_capget, &header, data) < 0) fail("cannot read capabilities");
  for (int half = 0; half < 2; half++) data[half].inheritable = data[half].permitted;
  if (syscall(SYS_capset, &header, data) < 0) fail("cannot set capabilities");
  for (int capability = 0; capability <= LAST; capability++)
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0 && errno != EINVAL) fail("cannot keep capability %d", capability);
}

/* join --parent PID --of PID -- COMMAND... */
int command_join(int argc, char **argv) {
  stage = "join";
  if (argc < 6 || strcmp(argv[0], "--parent") != 0 || strcmp(argv[2], "--of") != 0 || strcmp(argv[4], "--") != 0)
    fail_with(0, "incomplete arguments");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  pid_t parent = (pid_t)parse_number(argv[1], 1 << 30);
  char path[64];
  struct stat own, other;
  snprintf(path, sizeof path, "/proc/%llu/ns/user", parse_number(argv[3], 1 << 30));
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &other) < 0 || stat("/proc/self/ns/user", &own) < 0) fail("cannot look at the container");
  /* Nobody may enter the namespace that he is in. */
  if (own.st_ino != other.st_ino) {
    if (setns(fd, CLONE_NEWUSER) < 0) fail("cannot enter the container's user namespace");
    keep_capabilities();
  }
  /* The ids stay: they are root's there, or the user's own (keep-uid); and so do groups, which files of this machine may need. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  if (getppid() != parent) return EXIT_SETUP;
  execv(argv[5], argv + 5);
  fail("cannot execute \"%s\"", argv[5]);
}
