#include "helper.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int status_fd = -1;
const char *stage = "start";

/* One write per line, so that lines of two processes never mix. */
static void emit(int fd, char *line, size_t length) {
  for (size_t at = 0; at + 1 < length; at++)
    if (line[at] == '\n' || line[at] == '\r') line[at] = ' ';
  ssize_t written = write(fd, line, length);
  (void)written;
}

void status_line(const char *format, ...) {
  if (status_fd < 0) return;
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if ((size_t)length > sizeof line - 2) length = sizeof line - 2;
  line[length] = '\n';
  emit(status_fd, line, (size_t)length + 1);
}

/* Set while the caller's terminal is in raw mode. */
void (*before_exit)(void) = NULL;

static _Noreturn void report(int error, const char *format, va_list arguments) {
  char text[900];
  vsnprintf(text, sizeof text, format, arguments);
  if (status_fd >= 0) {
    status_line("error %d %s %s", error, stage, text);
  } else {
    char line[1024];
    int length = error == 0 ? snprintf(line, sizeof line, "tsbuild-helper: %s: %s\n", stage, text)
                            : snprintf(line, sizeof line, "tsbuild-helper: %s: %s: %s\n", stage, text, strerror(error));
    if (length > 0) emit(STDERR_FILENO, line, (size_t)length);
  }
  if (before_exit != NULL) before_exit();
  _exit(EXIT_SETUP);
}

void fail(const char *format, ...) {
  int error = errno;
  va_list arguments;
  va_start(arguments, format);
  report(error, format, arguments);
}

void fail_with(int error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  report(error, format, arguments);
}
