/*
 * Secrets are files where nothing can be mounted (places.c), and a file outlives whoever is killed. So a process waits beside the step for
 * the end of the one that put them there, and empties and removes them where that could not. It holds the files, not their names: a secret
 * that the step has moved or linked to elsewhere is emptied there.
 *
 * It has a process group of its own in the session of the helper, by which `here` knows it and lets it finish. No step can pass for one:
 * steps have sessions of their own, and no process ever comes to an older session.
 */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void empty_files(const struct guarded *files, size_t count) {
  for (size_t at = 0; at < count; at++) (void)!ftruncate(files[at].fd, 0);
}

/* Those that are still where they were put. */
static void remove_files(const struct guarded *files, size_t count) {
  for (size_t at = 0; at < count; at++) {
    struct stat open_file, named;
    const struct guarded *file = &files[at];
    if (fstat(file->fd, &open_file) == 0 && fstatat(file->dir, file->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino)
      unlinkat(file->dir, file->name, 0);
  }
}

static int compare_numbers(const void *one, const void *other) { return *(const int *)one - *(const int *)other; }

/* Nobody's pipes and locks stay open on its account. */
static void close_others(const struct guarded *files, size_t count, int parent) {
  size_t kept = 0;
  int *keep = allocate((count * 2 + 1) * sizeof *keep), next = 0;
  keep[kept++] = parent;
  for (size_t at = 0; at < count; at++) {
    keep[kept++] = files[at].fd;
    keep[kept++] = files[at].dir;
  }
  qsort(keep, kept, sizeof *keep, compare_numbers);
  for (size_t at = 0; at < kept; at++) {
    if (keep[at] > next) sys_close_range((unsigned)next, (unsigned)keep[at] - 1, 0);
    next = keep[at] + 1;
  }
  sys_close_range((unsigned)next, ~0u, 0);
}

pid_t start_guard(const struct guarded *files, size_t count) {
  int parent = sys_pidfd_open(getpid());
  pid_t guard = parent < 0 ? -1 : fork();
  if (guard < 0) fail("cannot start the guard of secrets");
  if (guard > 0) {
    close(parent);
    /* Here as well: it has its group before there is anything to guard. */
    if (setpgid(guard, guard) < 0) fail("cannot give the guard of secrets a group");
    return guard;
  }
  before_exit = NULL;
  status_fd = -1;
  (void)setpgid(0, 0);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  close_others(files, count, parent);
  struct pollfd dead = {parent, POLLIN, 0};
  while (poll(&dead, 1, -1) < 0 && errno == EINTR) continue;
  empty_files(files, count);
  remove_files(files, count);
  _exit(0);
}

void end_guard(pid_t guard) {
  kill(guard, SIGKILL);
  while (waitpid(guard, NULL, 0) < 0 && errno == EINTR) continue;
}
