/*
 * steps: stays, and runs one step after another, so that the worker need not start a program for each: its memory is large, and copying
 * the tables of it takes longer than all that this program does. Descriptor 3 is a socket: descriptions come as four bytes of length
 * (little-endian) and as many bytes; what the steps say goes back as frames, FRAME_END last.
 *
 * Each step is a process of its own, a copy of this one from before the first step: what one leaves behind, the next does not find.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTION = 3 };

/* The next description; NULL when there will be none. */
static char *read_description(size_t *length) {
  unsigned char size[4];
  stage = "spec";
  if (!read_exactly(CONNECTION, size, sizeof size)) return NULL;
  *length = (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
  if (*length > SPEC_LIMIT) fail_with(EFBIG, "more than %d bytes", SPEC_LIMIT);
  char *data = allocate(*length + 1);
  if (*length > 0 && !read_exactly(CONNECTION, data, *length)) fail_with(0, "the description is cut off");
  return data;
}

static _Noreturn void run_one(int parent, char *data, size_t length) {
  static struct step_spec spec;
  stage = "start";
  die_with_parent(parent);
  parse_description(&spec, data, length);
  _exit(run_step(&spec, CONNECTION));
}

/* A step tells its own end. One that could not, because it failed early or somebody killed it, has it told here. */
static void tell_early_end(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  char text[12] = "killed";
  if (WIFEXITED(status)) snprintf(text, sizeof text, "%d", WEXITSTATUS(status));
  (void)write_frame(CONNECTION, FRAME_END, text, strlen(text));
}

int command_steps(int argc, char **argv) {
  stage = "start";
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  if (argc != 2 || strcmp(argv[0], "--parent") != 0) fail_with(0, "incomplete arguments");
  if (getppid() != (pid_t)parse_number(argv[1], 1 << 30)) return EXIT_SETUP;
  if (sys_close_range(CONNECTION + 1, ~0u, 0) < 0) fail("cannot close inherited descriptors");
  if (fcntl(CONNECTION, F_SETFD, FD_CLOEXEC) < 0) fail("descriptor 3 must be open");
  int self = sys_pidfd_open(getpid());
  if (self < 0) fail("cannot make descriptors");
  status_fd = CONNECTION;
  status_framed = true;
  size_t length;
  for (char *data; (data = read_description(&length)) != NULL;) {
    stage = "start";
    pid_t child = fork();
    if (child < 0) fail("cannot fork");
    if (child == 0) run_one(self, data, length);
    /* There may be secrets in it. */
    explicit_bzero(data, length);
    free(data);
    int status;
    while (waitpid(child, &status, 0) < 0)
      if (errno != EINTR) fail("cannot wait for the step");
    tell_early_end(status);
  }
  return 0;
}
