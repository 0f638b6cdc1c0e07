/* What processes of networks say to each other: sockets in directories, and lines of text. */
#include "bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* By descriptor: a socket's path has room for 108 bytes, and stores lie anywhere. */
static int open_directory(const char *directory, const char *name, struct sockaddr_un *address) {
  int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", dir, name);
  return dir;
}

int connect_in(const char *directory, const char *name) {
  struct sockaddr_un address;
  int dir = open_directory(directory, name, &address);
  if (dir < 0) return -1;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int done = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address), error = errno;
  close(dir);
  if (done < 0 && fd >= 0) close(fd);
  errno = error;
  return done < 0 ? -1 : fd;
}

int listen_in(const char *directory, const char *name) {
  struct sockaddr_un address;
  char making[64];
  snprintf(making, sizeof making, "%.40s.new", name);
  int dir = open_directory(directory, making, &address);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (dir < 0 || fd < 0) fail("cannot open \"%s\"", directory);
  unlinkat(dir, making, 0);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 128) < 0) fail("cannot listen in \"%s\"", directory);
  if (renameat(dir, making, dir, name) < 0) fail("cannot listen in \"%s\"", directory);
  close(dir);
  return fd;
}

void each_value(const char *text, const char *key, void (*take)(void *context, const char *value), void *context) {
  size_t length = strlen(key);
  for (const char *line = text; *line != 0;) {
    size_t end = strcspn(line, "\n");
    if (end > length && strncmp(line, key, length) == 0 && line[length] == ' ') {
      char *value = format_text("%.*s", (int)(end - length - 1), line + length + 1);
      take(context, value);
      free(value);
    }
    line += end + (line[end] == '\n');
  }
}

static void keep_first(void *context, const char *value) {
  char **first = context;
  if (*first == NULL) *first = format_text("%s", value);
}

char *line_value(const char *text, const char *key) {
  char *value = NULL;
  each_value(text, key, keep_first, &value);
  return value;
}
