#include "helper.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int status_fd = -1;
bool status_framed = false;
bool status_kept = false;
const char *stage = "start";

/* One write per line, so that lines of two processes never mix. */
static void emit(int fd, char *line, size_t length) {
  for (size_t at = 0; at + 1 < length; at++)
    if (line[at] == '\n' || line[at] == '\r') line[at] = ' ';
  if (fd == status_fd && status_framed) {
    /* Nobody there to read it: nobody there to tell either. */
    (void)(status_kept ? keep_frame : write_frame)(fd, FRAME_STATUS, line, length);
    return;
  }
  ssize_t written = write(fd, line, length);
  (void)written;
}

/*
 * Ends what snprintf wrote into `line` and writes it. `wanted` is what snprintf returned: how long the text would have been, which
 * says nothing about how much of it is there. Writing so many bytes would print what lies behind the buffer on the stack.
 */
static void emit_clamped(int fd, char *line, int wanted, size_t size) {
  size_t length = (size_t)wanted > size - 2 ? size - 2 : (size_t)wanted;
  line[length] = '\n';
  emit(fd, line, length + 1);
}

void status_line(const char *format, ...) {
  if (status_fd < 0) return;
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line - 1, format, arguments);
  va_end(arguments);
  if (length >= 0) emit_clamped(status_fd, line, length, sizeof line);
}

/* Set while the caller's terminal is in raw mode. */
void (*before_exit)(void) = NULL;

static _Noreturn void report(int error, const char *format, va_list arguments) {
  char text[900];
  vsnprintf(text, sizeof text, format, arguments);
  if (status_fd >= 0) {
    status_line("error %d %s %s", error, stage, text);
  } else {
    /* A stage may be a path of the store's; what went wrong with it must still fit behind it. */
    char line[1024];
    int length = error == 0 ? snprintf(line, sizeof line - 1, "tsbuild-helper: %.400s: %s", stage, text)
                            : snprintf(line, sizeof line - 1, "tsbuild-helper: %.400s: %.400s: %s", stage, text, strerror(error));
    if (length >= 0) emit_clamped(STDERR_FILENO, line, length, sizeof line);
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
