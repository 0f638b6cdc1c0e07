/* The ids of a step's user namespace. */
#include "step.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Ranges of ids as lines of a map; `kept` is taken out of them, as 0 is, unless it is 0 itself. */
static int put_range(char *text, size_t left, unsigned first, unsigned count, unsigned kept) {
  int used = 0;
  unsigned end = first + count;
  while (first < end) {
    bool apart = kept != 0 && (first == 0 || first == kept);
    unsigned stop = apart ? first + 1 : kept > first && kept < end ? kept : end;
    int more = apart ? 0 : snprintf(text + used, left - (size_t)used, "%u %u %u\n", first, first, stop - first);
    if (more < 0 || (size_t)(used += more) >= left) fail_with(0, "there are too many ranges of ids");
    first = stop;
  }
  return used;
}

/*
 * The map of this process's own namespace with every id as it is: a range must not reach over two of the namespace above. With a kept id,
 * that and root change places, so that who started this, who is root of the namespace above, is known by his own id in the step.
 */
static int same_ids(const char *name, char *text, size_t size, unsigned kept) {
  char path[64], *own;
  size_t length;
  int used = 0;
  snprintf(path, sizeof path, "/proc/self/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot read %s", path);
  own = read_fd(fd, 1 << 16, &length);
  close(fd);
  bool mapped = kept == 0;
  for (char *line; (line = strsep(&own, "\n")) != NULL && *line != 0;) {
    unsigned first, outside, count;
    if (sscanf(line, "%u %u %u", &first, &outside, &count) != 3) fail_with(0, "cannot understand %s", path);
    if (kept >= first && kept - first < count) mapped = true;
    used += put_range(text + used, size - (size_t)used, first, count, kept);
  }
  if (!mapped) fail_with(0, "your id %u is not among the ids that are mapped", kept);
  if (kept != 0) used += snprintf(text + used, size - (size_t)used, "%u 0 1\n0 %u 1\n", kept, kept);
  return used;
}

static void map(int number, const char *name, const struct step_spec *spec, const char *kept) {
  char path[64], text[4096];
  snprintf(path, sizeof path, "/proc/%d/%s", number, name);
  unsigned id = kept == NULL ? 0 : (unsigned)parse_number(kept, 4294967294);
  int length = spec->shift == 0 ? same_ids(name, text, sizeof text, id) : snprintf(text, sizeof text, "0 %u %u\n", spec->shift, spec->id_count);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, (size_t)length) != length) fail("cannot write the step's %s", name);
  close(fd);
}

void map_step_ids(int number, const struct step_spec *spec) {
  map(number, "uid_map", spec, spec->keep_uid);
  map(number, "gid_map", spec, spec->keep_gid);
}
