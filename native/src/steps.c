/*
 * steps: stays, and runs one step after another, so that the worker need not start a program for each: its memory is large, and copying
 * the tables of it takes longer than all that this program does. Descriptor 3 is a socket: descriptions come as four bytes of length
 * (little-endian) and as many bytes; what the steps say goes back as frames, FRAME_END last.
 *
 * Each step is a process of its own, a copy of this one from before the first step: what one leaves behind, the next does not find. A
 * description may begin with a setting, which holds nothing but what steps of a build have in common. When such a step has ended, the process
 * of the next is begun at once with the same setting, unless it was the last: by the time that the worker has one, half of its sandbox is there.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTION = 3, SETTING_LIMIT = 1 << 16 };

struct bytes {
  char *data;
  size_t length;
};

/* A description in its two parts; one without a setting has all in the second. */
struct description {
  struct bytes setting, rest;
  bool last; /* no step is known that comes after it */
};

/* A process that has begun a step. */
struct begun {
  pid_t pid;
  int socket; /* takes the rest: its length, and as many bytes */
  struct bytes setting;
};

static size_t read_length(const char *at) {
  const unsigned char *size = (const unsigned char *)at;
  return (size_t)size[0] | (size_t)size[1] << 8 | (size_t)size[2] << 16 | (size_t)size[3] << 24;
}

static void read_part(void *data, size_t length) {
  if (length > 0 && !read_exactly(CONNECTION, data, length)) fail_with(0, "the description is cut off");
}

/* The next description; false when there will be none. */
static bool read_description(struct description *description) {
  enum { KEY = sizeof SETTING - 1, HEAD = 4 + KEY + 4 };
  char size[4], head[HEAD];
  _Static_assert(sizeof LAST_SETTING == sizeof SETTING, "both keys are read as one");
  stage = "spec";
  if (!read_exactly(CONNECTION, size, sizeof size)) return false;
  size_t length = read_length(size), first = length < HEAD ? length : HEAD;
  if (length > SPEC_LIMIT) fail_with(EFBIG, "more than %d bytes", SPEC_LIMIT);
  *description = (struct description){0};
  read_part(head, first);
  length -= first;
  description->last = first == HEAD && memcmp(head + 4, LAST_SETTING, KEY) == 0;
  if (first == HEAD && read_length(head) == KEY && (description->last || memcmp(head + 4, SETTING, KEY) == 0)) {
    struct bytes *setting = &description->setting;
    setting->length = read_length(head + 4 + KEY);
    if (setting->length > length || setting->length > SETTING_LIMIT) fail_with(0, "the setting is cut off");
    setting->data = allocate(setting->length + 1);
    read_part(setting->data, setting->length);
    length -= setting->length;
    first = 0;
  }
  struct bytes *rest = &description->rest;
  rest->data = allocate(first + length + 1);
  rest->length = first + length;
  memcpy(rest->data, head, first);
  read_part(rest->data + first, length);
  return true;
}

static _Noreturn void run_whole(int parent, const struct bytes *whole) {
  static struct step_spec spec;
  stage = "start";
  die_with_parent(parent);
  parse_description(&spec, whole->data, whole->length);
  _exit(run_step(&spec, CONNECTION));
}

static _Noreturn void run_begun(int parent, const struct bytes *setting, int socket, bool ahead) {
  static struct step_spec spec;
  size_t length;
  stage = "start";
  /* Nobody listens yet. What fails is tried again when there is a step. */
  if (ahead) status_fd = -1;
  die_with_parent(parent);
  parse_setting(&spec, setting->data, setting->length);
  struct sandbox *sandbox = begin_step(&spec);
  stage = "spec";
  if (ahead && !wait_for_rest(sandbox, socket)) _exit(EXIT_SETUP);
  if (!read_exactly(socket, &length, sizeof length)) _exit(EXIT_SETUP);
  status_fd = CONNECTION;
  char *rest = allocate(length + 1);
  if (!read_exactly(socket, rest, length)) fail_with(0, "the description is cut off");
  close(socket);
  _exit(finish_step(sandbox, rest, length, CONNECTION));
}

static pid_t start(void) {
  stage = "start";
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  return child;
}

/* Waits for the end, which is not long after the step's. */
static int wait_for(pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) fail("cannot wait for the step");
  return status;
}

/* `ahead`: there is no step yet. */
static struct begun begin(int self, const struct bytes *setting, bool ahead) {
  struct bytes own = {allocate(setting->length + 1), setting->length};
  int sockets[2];
  stage = "start";
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) fail("cannot make descriptors");
  pid_t child = start();
  if (child == 0) {
    close(sockets[0]);
    run_begun(self, setting, sockets[1], ahead);
  }
  close(sockets[1]);
  memcpy(own.data, setting->data, setting->length);
  return (struct begun){child, sockets[0], own};
}

static bool fits(const struct begun *begun, const struct bytes *setting) {
  return begun->pid > 0 && begun->setting.length == setting->length && memcmp(begun->setting.data, setting->data, setting->length) == 0;
}

static int wait_for_begun(struct begun *begun) {
  int status = wait_for(begun->pid);
  close(begun->socket);
  free(begun->setting.data);
  begun->pid = 0;
  return status;
}

/* Ends one that waits for a step that does not come. */
static void give_up(struct begun *begun) {
  if (begun->pid <= 0) return;
  kill(begun->pid, SIGKILL);
  (void)wait_for_begun(begun);
}

/* Gives a begun process its step; false when it has ended before it had all of it. */
static bool hand_over(const struct begun *begun, const struct bytes *rest) {
  const struct bytes parts[] = {{(char *)&rest->length, sizeof rest->length}, *rest};
  for (size_t part = 0; part < 2; part++)
    for (size_t at = 0; at < parts[part].length;) {
      ssize_t sent = send(begun->socket, parts[part].data + at, parts[part].length - at, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return false;
      at += (size_t)sent;
    }
  return true;
}

/* A step tells its own end. One that could not, because it failed early or somebody killed it, has it told here. */
static void tell_early_end(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  char text[12] = "killed";
  if (WIFEXITED(status)) snprintf(text, sizeof text, "%d", WEXITSTATUS(status));
  (void)write_frame(CONNECTION, FRAME_END, text, strlen(text));
}

/* Runs a step with a setting by the process that is there for it, else by one that is made now. That has ended afterwards. */
static int run_with_setting(int self, struct begun *begun, const struct description *description) {
  if (!fits(begun, &description->setting)) give_up(begun);
  if (begun->pid <= 0 || !hand_over(begun, &description->rest)) {
    give_up(begun);
    *begun = begin(self, &description->setting, false);
    (void)hand_over(begun, &description->rest);
  }
  return wait_for_begun(begun);
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
  struct description description;
  struct begun begun = {.pid = 0, .socket = -1};
  while (read_description(&description)) {
    bool set = description.setting.data != NULL;
    int status;
    if (set) {
      status = run_with_setting(self, &begun, &description);
    } else {
      pid_t child = start();
      if (child == 0) run_whole(self, &description.rest);
      status = wait_for(child);
    }
    /* There may be secrets in it. */
    explicit_bzero(description.rest.data, description.rest.length);
    free(description.rest.data);
    tell_early_end(status);
    if (!set) continue;
    if (!description.last) begun = begin(self, &description.setting, true);
    free(description.setting.data);
  }
  return 0;
}
