/*
 * join: a command with the rights that root of a container has over its files, and with this machine's own view of everything else: in the
 * container's user namespace and in no other of its namespaces. What it opens through /proc/N/root is the container's root, with all that
 * is mounted there.
 */
#include "helper.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

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
    /* Supplementary groups stay: files of this machine may need them. */
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) fail("cannot become root of the container");
  }
  /* Again: a change of ids clears it. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  if (getppid() != parent) return EXIT_SETUP;
  execv(argv[5], argv + 5);
  fail("cannot execute \"%s\"", argv[5]);
}
