/*
 * Parameters of the kernel (sysctl) that belong to the step's own namespaces. /proc/sys shows those of the namespaces that a process is in, and
 * takes them from who has rights over these: of a network that was made outside, that is whoever joins it, and of all others the step itself.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `text`: a path beneath /proc/sys, `=`, and the value. */
static void set(const char *text) {
  size_t length = strcspn(text, "=");
  const char *value = text + length + (text[length] == '=');
  if (strncmp(text, "kernel/domainname=", length + 1) == 0) {
    if (setdomainname(value, strlen(value)) < 0) fail("cannot set the domain name \"%.64s\"", value);
    return;
  }
  char *path = format_text("/proc/sys/%.*s", (int)length, text);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open %.200s", path);
  if (write(fd, value, strlen(value)) < 0) fail("cannot write \"%.100s\" to %.200s", value, path);
  close(fd);
  free(path);
}

void set_sysctls(const struct step_spec *spec, bool of_network) {
  stage = "sysctl";
  for (size_t at = 0; at < spec->sysctls.count; at++)
    if ((strncmp(spec->sysctls.items[at], "net/", 4) == 0) == of_network) set(spec->sysctls.items[at]);
}
