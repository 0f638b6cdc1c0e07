/*
 * Groups of control (cgroups), which limit a step as a whole. Somebody outside makes them, with their limits, and takes them away again
 * (src/sandbox/limits); the helper puts the step's first process in, before that has made anything which would count. Of version 1 a step
 * has a group for each controller, of version 2 one for all.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_STATISTICS = 1 << 16 };

void join_cgroups(const struct step_spec *spec, pid_t child) {
  stage = "cgroup";
  char number[16];
  int length = snprintf(number, sizeof number, "%d", child);
  for (size_t at = 0; at < spec->cgroups.count; at++) {
    char *path = format_text("%s/cgroup.procs", spec->cgroups.items[at]);
    /* By its number in the namespace of whoever writes it. */
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, number, (size_t)length) != length) fail("cannot put the step into \"%s\"", spec->cgroups.items[at]);
    close(fd);
    free(path);
  }
}

/* Where a step looks for its groups, it finds that it is in the root of them all. */
void hide_cgroups(const struct step_spec *spec) {
  if (spec->cgroups.count > 0 && unshare(CLONE_NEWCGROUP) < 0) fail("cannot make a cgroup namespace");
}

int hold_mounts(int number) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/mnt", number);
  return open(path, O_RDONLY | O_CLOEXEC);
}

/* The number behind a name at the start of a line; -1 when there is none. */
static long long statistic(const char *text, const char *name) {
  size_t length = strlen(name);
  for (const char *line = text; line != NULL && *line != 0; line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1)
    if (strncmp(line, name, length) == 0 && line[length] == ' ') return strtoll(line + length, NULL, 10);
  return -1;
}

long long oom_kills(const struct step_spec *spec) {
  static const char *const files[] = {"memory.events", "memory.oom_control"}; /* of version 2, of version 1 */
  for (size_t at = 0; at < spec->cgroups.count; at++)
    for (size_t file = 0; file < 2; file++) {
      char *path = format_text("%s/%s", spec->cgroups.items[at], files[file]), text[1024];
      int fd = open(path, O_RDONLY | O_CLOEXEC);
      free(path);
      if (fd < 0) continue;
      ssize_t got = read(fd, text, sizeof text - 1);
      close(fd);
      text[got < 0 ? 0 : got] = 0;
      long long kills = statistic(text, "oom_kill");
      if (kills >= 0) return kills;
    }
  return 0;
}

void report_shared_memory(const struct step_spec *spec) {
  for (size_t at = 0; at < spec->cgroups.count; at++) {
    char *path = format_text("%s/memory.stat", spec->cgroups.items[at]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0) continue;
    size_t length;
    char *text = read_fd(fd, MOST_STATISTICS, &length);
    close(fd);
    long long shared = statistic(text, "shmem");
    free(text);
    if (shared >= 0) status_line("shmem %lld", shared);
    return;
  }
}
