/*
 * steps: stays, and runs one step after another, so that the worker need not start a program for each: its memory is large, and copying
 * the tables of it takes longer than all that this program does. Descriptor 3 is a socket: descriptions come as four bytes of length
 * (little-endian) and as many bytes; what the steps say goes back as frames, FRAME_END last.
 *
 * Each step is a process of its own, a copy of this one from before the first step: what one leaves behind, the next does not find. When a
 * step has ended, and while others find out what comes next, the process for that is made, with namespaces, /proc, /dev and /sys like those of
 * the step before, and waits. One that turns out to be of no use (the next step is to have others, something was mounted in namespace A since, it
 * could not be made) is ended.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONNECTION = 3, USUAL_ROOM = 1 << 20 };

/* A process for one step; none when `pid` is 0. `starter`: a socket to one that waits for its description, else -1. */
struct process {
  pid_t pid;
  int starter;
  struct shared_description *description;
};

struct server {
  int self, mounts; /* pidfd of this process; namespace A's list of mounts, which tells when that changes, -1 where there is none */
  struct process spare;
};

static size_t size_of(size_t room) { return sizeof(struct shared_description) + 2 * room + 64; }

static struct shared_description *share_description(const char *data, size_t length, size_t room) {
  struct shared_description *shared = mmap(NULL, size_of(room), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) fail("cannot allocate shared memory");
  shared->numbers = (int *)(shared + 1);
  shared->data = (char *)(shared->numbers + room / sizeof(int) + 4);
  shared->room = room;
  shared->surroundings = surroundings_length(data, length);
  memcpy(shared->data, data, shared->surroundings);
  return shared;
}

static void fill(struct shared_description *shared, const char *data, size_t length) {
  memset(shared->numbers, -1, length + 12);
  memcpy(shared->data, data, length);
  shared->total = length;
}

/* There may be secrets in it. */
static void wipe(struct shared_description *shared) {
  explicit_bzero(shared->data, shared->total);
  munmap(shared, size_of(shared->room));
}

/* The next description; NULL when there will be none. */
static char *read_description(size_t *length) {
  char size[4];
  stage = "spec";
  if (!read_exactly(CONNECTION, size, sizeof size)) return NULL;
  *length = field_length(size);
  if (*length > SPEC_LIMIT) fail_with(EFBIG, "more than %d bytes", SPEC_LIMIT);
  char *data = allocate(*length + 1);
  if (*length > 0 && !read_exactly(CONNECTION, data, *length)) fail_with(0, "the description is cut off");
  return data;
}

static _Noreturn void run_one(const struct server *server, int starter, struct shared_description *description) {
  static struct step_spec spec;
  stage = "start";
  bool coming = starter >= 0;
  die_with_parent(server->self);
  if (server->mounts >= 0) close(server->mounts);
  /* Of one that cannot be made nobody is told: another one is made when the step has come. */
  status_kept = coming;
  size_t at = parse_surroundings(&spec, description->data, coming ? description->surroundings : description->total);
  if (!coming) parse_rest(&spec, description->data, description->total, at, description->numbers);
  _exit(run_step(&spec, CONNECTION, starter, coming ? description : NULL));
}

/* For the step that is described, or for one that will be. */
static struct process start(const struct server *server, struct shared_description *description, bool coming) {
  int ends[2] = {-1, -1};
  stage = "start";
  if (coming && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) fail("cannot make descriptors");
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    if (coming) close(ends[0]);
    run_one(server, ends[1], description);
  }
  if (coming) close(ends[1]);
  return (struct process){child, ends[0], description};
}

static int wait_for(pid_t child) {
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("cannot wait for the step");
  return status;
}

static void end_spare(struct server *server) {
  struct process *spare = &server->spare;
  if (spare->pid == 0) return;
  kill(spare->pid, SIGKILL);
  (void)wait_for(spare->pid);
  close(spare->starter);
  wipe(spare->description);
  spare->pid = 0;
}

/* Whether something was mounted or unmounted in namespace A since it was last asked: a spare process has the mounts of when it was made. */
static bool mounts_changed(const struct server *server) {
  struct pollfd change = {server->mounts, POLLPRI, 0};
  return poll(&change, 1, 0) != 0;
}

/* Until a description comes. What was unmounted here must not stay mounted on a spare process's account. */
static void wait_for_description(struct server *server) {
  struct pollfd waits[] = {{CONNECTION, POLLIN, 0}, {server->mounts, POLLPRI, 0}};
  while (server->spare.pid != 0) {
    int ready = poll(waits, 2, -1);
    if (ready < 0 && errno != EINTR) fail("cannot wait for a step");
    if (ready <= 0) continue;
    if (waits[1].revents != 0) end_spare(server);
    if (waits[0].revents != 0) return;
  }
}

/* Gives the description to the spare process. False where that cannot be the step's. */
static bool use_spare(const struct server *server, const char *data, size_t length) {
  const struct process *spare = &server->spare;
  if (spare->pid == 0 || mounts_changed(server)) return false;
  struct shared_description *shared = spare->description;
  bool same = length <= shared->room && surroundings_length(data, length) == shared->surroundings && memcmp(data, shared->data, shared->surroundings) == 0;
  int number;
  /* One that could not be made has ended without a word. */
  if (!same || recv(spare->starter, &number, sizeof number, 0) != sizeof number) return false;
  fill(shared, data, length);
  return send_number(spare->starter, 0);
}

static struct process start_step(struct server *server, const char *data, size_t length) {
  struct process process = server->spare;
  if (use_spare(server, data, length)) {
    close(process.starter);
    server->spare.pid = 0;
    return process;
  }
  end_spare(server);
  struct shared_description *shared = share_description(data, length, length > USUAL_ROOM ? length : USUAL_ROOM);
  fill(shared, data, length);
  return start(server, shared, false);
}

/* Not while the step runs: the kernel takes its namespaces apart under the same locks. */
static void prepare_next(struct server *server, const char *surroundings, size_t length) {
  if (length == 0 || length > USUAL_ROOM || server->mounts < 0) return;
  (void)mounts_changed(server);
  server->spare = start(server, share_description(surroundings, length, USUAL_ROOM), true);
}

/* A step tells its own end. One that could not, because it failed early or somebody killed it, has it told here. */
static void tell_early_end(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  char text[12] = "killed";
  if (WIFEXITED(status)) snprintf(text, sizeof text, "%d", WEXITSTATUS(status));
  (void)write_frame(CONNECTION, FRAME_END, text, strlen(text));
}

static void run_next(struct server *server, char *data, size_t length) {
  struct process process = start_step(server, data, length);
  size_t surroundings = process.description->surroundings;
  /* Nothing of the rest comes to be in a process that waits. */
  explicit_bzero(data + surroundings, length - surroundings);
  tell_early_end(wait_for(process.pid));
  wipe(process.description);
  prepare_next(server, data, surroundings);
  free(data);
}

int command_steps(int argc, char **argv) {
  stage = "start";
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  if (argc != 2 || strcmp(argv[0], "--parent") != 0) fail_with(0, "incomplete arguments");
  if (getppid() != (pid_t)parse_number(argv[1], 1 << 30)) return EXIT_SETUP;
  if (sys_close_range(CONNECTION + 1, ~0u, 0) < 0) fail("cannot close inherited descriptors");
  if (fcntl(CONNECTION, F_SETFD, FD_CLOEXEC) < 0) fail("descriptor 3 must be open");
  struct server server = {.self = sys_pidfd_open(getpid()), .mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)};
  if (server.self < 0) fail("cannot make descriptors");
  status_fd = CONNECTION;
  status_framed = true;
  size_t length;
  for (;;) {
    wait_for_description(&server);
    char *data = read_description(&length);
    if (data == NULL) return 0;
    run_next(&server, data, length);
  }
}
