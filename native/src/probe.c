/* namespaces: whether a process may make what namespace A is made of. Prints the errno of the refusal, 0 for none. */
#include "fakes.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

int command_namespaces(int argc, char **argv) {
  (void)argv;
  if (argc != 0) fail_with(0, "namespaces takes no arguments");
  pid_t child = sys_fork_into(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID, NULL);
  int refused = child < 0 ? errno : 0;
  /* Security modules let some make a namespace and do nothing in it (AppArmor's docker-default). */
  if (child == 0) _exit(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? errno : 0);
  int status = 0;
  if (child > 0 && waitpid(child, &status, 0) < 0) fail("cannot wait");
  if (child > 0) refused = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
  printf("%d\n", refused);
  return fflush(stdout) == 0 ? 0 : 1;
}

int command_listening(int argc, char **argv) {
  (void)argv;
  if (argc != 0) fail_with(0, "listening takes no arguments");
  pid_t child = sys_fork_into(CLONE_NEWUSER, NULL);
  if (child == 0) _exit(install_fakes(true) < 0 ? 1 : 0);
  int status = 1;
  if (child > 0 && waitpid(child, &status, 0) < 0) fail("cannot wait");
  printf("%d\n", status == 0 ? 1 : 0);
  return fflush(stdout) == 0 ? 0 : 1;
}
