/*
 * remove: deletes trees whose paths come on standard input, each ended by a NUL, while more come. For each that is gone its number goes to
 * standard output, counted from 0, as four bytes (little-endian), some together while there is more to do: each that is told wakes a
 * process which then is in the way. Several processes share the work: a file system deletes in different directories at the same time, and
 * mostly waits for its journal.
 */
#include "helper.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  /* However few processors there are: they wait for the disk. 2,000 trees: 4 take 455 ms, 8 340, 16 290, 32 as long. */
  MOST_WORKERS = 16,
  /* Fewer trees than this are deleted before another process has begun. */
  TREES_FOR_ANOTHER = 32,
  LONGEST_PATH = 32768,
  /* Trees that are gone and not told yet. */
  MOST_UNTOLD = 16,
};

/* What one process is given: the number of the tree, and its path without the NUL. */
struct job {
  uint32_t number;
  char path[LONGEST_PATH];
};

struct workers {
  int jobs[2]; /* given, taken; each job is a packet */
  int self;
  pid_t pids[MOST_WORKERS];
  size_t count;
};

static _Noreturn void work(const struct workers *workers) {
  static struct job job;
  unsigned char gone[MOST_UNTOLD * 4];
  size_t untold = 0;
  die_with_parent(workers->self);
  close(workers->jobs[0]);
  for (;;) {
    ssize_t got = recv(workers->jobs[1], &job, sizeof job - 1, untold > 0 ? MSG_DONTWAIT : 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || untold == sizeof gone) {
      int reason = errno;
      write_fd(STDOUT_FILENO, gone, untold);
      untold = 0;
      if (got < 0 && reason == EAGAIN) continue;
      errno = reason;
    }
    if (got < 0) fail("cannot take a job");
    if (got == 0) _exit(0);
    job.path[(size_t)got - sizeof job.number] = 0;
    remove_tree(job.path);
    stage = "remove";
    for (int shift = 0; shift < 32; shift += 8) gone[untold++] = (unsigned char)(job.number >> shift);
  }
}

static void add_worker(struct workers *workers) {
  pid_t pid = fork();
  if (pid < 0 && workers->count > 0) return;
  if (pid < 0) fail("cannot fork");
  if (pid == 0) work(workers);
  workers->pids[workers->count++] = pid;
}

/* Waits for those that have ended, or for all. Ends with the status of the first that failed, which has said why. */
static void check(struct workers *workers, bool all) {
  for (size_t at = 0; at < workers->count;) {
    int status;
    pid_t ended = waitpid(workers->pids[at], &status, all ? 0 : WNOHANG);
    if (ended < 0 && errno == EINTR) continue;
    if (ended == workers->pids[at]) {
      if (status != 0) _exit(exit_code_of(status));
      workers->pids[at] = workers->pids[--workers->count];
    } else at++;
  }
}

static void give(struct workers *workers, const struct job *job, size_t length) {
  if (workers->count < MOST_WORKERS && job->number >= workers->count * TREES_FOR_ANOTHER) add_worker(workers);
  while (send(workers->jobs[0], job, sizeof job->number + length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno != EAGAIN && errno != EINTR) fail("cannot give a job");
    /* This process has an end of its own of what they take from, which does not tell when they are gone. */
    check(workers, false);
    poll(&(struct pollfd){workers->jobs[0], POLLOUT, 0}, 1, 50);
  }
}

int command_remove(int argc, char **argv) {
  static struct job job;
  struct workers workers = {.count = 0};
  (void)argv;
  stage = "remove";
  if (argc != 0) fail_with(0, "remove takes its paths on standard input");
  workers.self = sys_pidfd_open(getpid());
  if (workers.self < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, workers.jobs) < 0) fail("cannot make descriptors");
  char buffer[65536];
  size_t length = 0;
  for (ssize_t got; (got = read(STDIN_FILENO, buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read");
    for (ssize_t at = 0; at < got; at++) {
      if (length == sizeof job.path - 1) fail_with(ENAMETOOLONG, "%.400s", job.path);
      job.path[length++] = buffer[at];
      if (buffer[at] != 0) continue;
      give(&workers, &job, length - 1);
      job.number++;
      length = 0;
    }
  }
  close(workers.jobs[0]);
  check(&workers, true);
  return 0;
}
