/* What happens to the container, for `tsbuild events`: a line of JSON each, in one file for all containers (src/containers/events.ts). */
#include "contain.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(struct queue *out, const char *text) { queue_put(out, text, strlen(text)); }

void write_event(const struct options *options, int dir, const char *action, const char *attribute, const char *value) {
  char name[256] = "", time[TIME_TEXT];
  const char *id = strrchr(options->directory, '/');
  struct queue out = {0};
  if (options->events == NULL) return;
  /* It may have been given another since it was started. */
  int file = openat(dir, "name", O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    ssize_t got = read(file, name, sizeof name - 1);
    close(file);
    if (got > 0) name[strcspn(name, "\n")] = 0;
  }
  time_text(time);
  put(&out, "{\"time\":\""), put(&out, time);
  put(&out, "\",\"action\":"), put_json_text(&out, action, strlen(action));
  put(&out, ",\"id\":\""), put(&out, id == NULL ? "" : id + 1);
  put(&out, "\",\"name\":"), put_json_text(&out, name, strlen(name));
  put(&out, ","), put(&out, options->event_facts);
  if (attribute != NULL) {
    put(&out, ",\"attributes\":{"), put_json_text(&out, attribute, strlen(attribute));
    put(&out, ":"), put_json_text(&out, value, strlen(value)), put(&out, "}");
  }
  put(&out, "}\n");
  int fd = open(options->events, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  /* One write, so that lines never mix. What cannot be written is not: the container goes on. */
  if (fd >= 0) (void)!write(fd, out.data + out.start, queue_length(&out));
  if (fd >= 0) close(fd);
  free(out.data);
}
