/*
 * Programs of another processor. Since Linux 6.7 a user namespace may have its own list of formats that the kernel hands to an
 * interpreter (binfmt_misc), which holds for the namespaces within it: namespace A's holds for steps, and the machine's stays as it is.
 * It lives as long as the mount, which is in namespace A's mount namespace and out of the sight of steps.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The interpreter runs as the step, which can open it by /proc/PID/exe. Where root of a container runs steps, it is the step's file, and
 * would run again outside. So the kernel is given it through a mount that cannot be written through.
 */
static bool protect(const char *interpreter) {
  int file = open(interpreter, O_PATH | O_CLOEXEC);
  if (file < 0) return false;
  bool done = sys_protect_file(file) == 0;
  int error = errno;
  close(file);
  errno = error;
  return done;
}

static bool write_rule(int formats, const char *rule) {
  int file = openat(formats, "register", O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t length = (ssize_t)strlen(rule);
  /* Of two steps at the same time one comes second. */
  bool done = write(file, rule, (size_t)length) == length || errno == EEXIST;
  int error = errno;
  close(file);
  errno = error;
  return done;
}

static bool register_emulator(const struct emulator *emulator) {
  /* Busy: an earlier step has mounted it. */
  if (mount("binfmt_misc", emulator->directory, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 && errno != EBUSY) return false;
  int formats = open(emulator->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (formats < 0) return false;
  struct stat found;
  bool done = fstatat(formats, emulator->name, &found, AT_SYMLINK_NOFOLLOW) == 0 ||
              (protect(emulator->interpreter) && write_rule(formats, emulator->rule));
  int error = errno;
  close(formats);
  errno = error;
  return done;
}

void offer_emulator(const struct emulator *emulator) {
  if (emulator->directory == NULL || emulator->interpreter == NULL || emulator->rule == NULL) fail_with(0, "incomplete emulator");
  if (!register_emulator(emulator)) status_line("emulator %d %s", errno, emulator->interpreter);
}
