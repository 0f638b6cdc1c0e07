/*
 * Abstract unix sockets belong to a network namespace and not to a file system. A step that shares the machine's network could
 * connect to one (X11, D-Bus, a session's agents) and, being the invoking user outside, would be taken for him by SO_PEERCRED. No
 * mount, mode or capability stands in between; Landlock's scopes do. They hold for the process that restricts itself, for what it
 * executes and for all that descends from it, and cannot be lifted.
 */
#include "step.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  NR_landlock_create_ruleset = 444,
  NR_landlock_restrict_self = 446,
  CREATE_RULESET_VERSION = 1,
  SCOPE_ABSTRACT_UNIX_SOCKET = 1,
  SCOPE_SIGNAL = 2,
  /* The first version that has scopes: Linux 6.12. */
  VERSION_WITH_SCOPES = 6,
};

int landlock_version(void) {
  long version = syscall(NR_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
  /* Not in the kernel, not turned on at boot, or forbidden by a surrounding container. */
  return version < 0 ? 0 : (int)version;
}

void restrict_scope(bool bare, bool signals) {
  if (landlock_version() < VERSION_WITH_SCOPES) return;
  /* No rights to files or ports are handled: those are what namespaces, mounts and the filter decide. */
  struct {
    uint64_t handled_access_fs, handled_access_net, scoped;
  } attributes = {0, 0, SCOPE_ABSTRACT_UNIX_SOCKET | (signals ? SCOPE_SIGNAL : 0)};
  int ruleset = (int)syscall(NR_landlock_create_ruleset, &attributes, sizeof attributes, 0);
  /* The kernel said that it can: going on without would be a weaker sandbox than doctor promised. */
  if (ruleset < 0) fail("cannot make a Landlock ruleset");
  if (syscall(NR_landlock_restrict_self, ruleset, 0) < 0 && !(bare && errno == EPERM)) fail("cannot enter a Landlock domain");
  close(ruleset);
}

int command_landlock(int argc, char **argv) {
  (void)argv;
  if (argc != 0) fail_with(0, "landlock takes no arguments");
  printf("%d\n", landlock_version());
  return fflush(stdout) == 0 ? 0 : 1;
}
