/*
 * A step where the kernel gives no namespace to anybody: root of a container with Docker's seccomp profile. It runs in a tree of its own
 * (chroot), which is what keeps it from the files around it by mistake; nothing keeps it from them on purpose. The capabilities are those of
 * every step, and the container's own limits, seccomp filter and devices stay.
 */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What has to be undone if this process fails on the way. */
static struct places *placed;

static void undo(void) {
  struct places *places = placed;
  placed = NULL;
  before_exit = NULL;
  if (places != NULL) take_out(places);
}

/* A pipe that has a name, so that the step can open /dev/stdout without a /proc. */
static void named_pipe(int root, const char *path, int fds[2]) {
  int dev = sys_openat2(root, "dev", O_RDONLY | O_DIRECTORY, 0, RESOLVE_IN_ROOT_ | RESOLVE_NO_SYMLINKS_);
  if (dev < 0 || mkfifoat(dev, path, 0600) < 0) fail("cannot make /dev/%s", path);
  fds[0] = openat(dev, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fds[1] = fds[0] < 0 ? -1 : openat(dev, path, O_WRONLY | O_CLOEXEC);
  if (fds[1] < 0) fail("cannot open /dev/%s", path);
  close(dev);
}

int open_outer_terminal(int *master) {
  stage = "terminal";
  int unlock = 0;
  *master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) < 0) fail("cannot make a terminal");
  int terminal = ioctl(*master, 0x5441 /* TIOCGPTPEER */, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) fail("cannot open the terminal");
  return terminal;
}

void enter_tree(const struct step_spec *spec, int root) {
  stage = "pivot";
  if (fchdir(root) < 0 || chroot(".") < 0) fail("cannot change the root");
  if (spec->private_network) deny_network();
}

static _Noreturn void run_inside(struct step_spec *spec, const struct plumbing *plumbing, const struct identity *identity, int root, int cwd, int terminal) {
  stage = "pivot";
  before_exit = NULL;
  if (status_framed) {
    status_fd = plumbing->status[1];
    status_framed = false;
  }
  die_with_parent(plumbing->outer);
  join_cgroups(spec, getpid());
  enter_tree(spec, root);
  take_streams(spec, plumbing, identity, terminal);
  umask(022);
  drop_and_execute(spec, identity, cwd, plumbing->outer, status_fd);
  _exit(EXIT_SETUP);
}

static int open_aside(const char *path) {
  if (mkdir(path, 0700) < 0 && errno != EEXIST) fail("cannot make directory \"%s\"", path);
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("cannot open directory \"%s\"", path);
  remove_contents(fd);
  return fd;
}

int run_bare_step(struct step_spec *spec, int connection) {
  static struct pump pumps[MAX_PUMPS];
  struct plumbing plumbing = {.in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .status = {-1, -1}};
  struct stubs *stubs = allocate(sizeof *stubs);
  int signals = catch_signals();
  umask(0);
  /* What the step leaves behind comes to this process, which ends it. */
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("cannot become a subreaper");
  stage = "tree";
  int root = open(spec->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC), aside = open_aside(spec->aside);
  if (root < 0) fail("cannot open directory \"%s\"", spec->tree);
  struct identity identity = find_identity(root, spec->user, spec->id_count);
  add_groups(&identity, root, &spec->groups, spec->id_count);
  placed = new_places(root, aside, stubs);
  before_exit = undo;
  place_system(placed);
  place_mounts(placed, spec);
  stage = "cwd";
  struct target cwd = resolve_target(root, spec->cwd, true, NULL, identity.uid, identity.gid);
  if (!cwd.is_directory) fail_with(ENOTDIR, "cannot enter \"%s\"", spec->cwd);
  stage = "streams";
  int terminal = -1, master = -1;
  if (spec->tty) terminal = open_outer_terminal(&master);
  else {
    if (spec->stdin_open) make_pipe(plumbing.in, 1, 0);
    named_pipe(root, "stdout", plumbing.out);
    named_pipe(root, "stderr", plumbing.err);
  }
  if (connection >= 0) make_pipe(plumbing.status, 0, 0);
  plumbing.outer = sys_pidfd_open(getpid());
  if (plumbing.outer < 0) fail("cannot make descriptors");
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) run_inside(spec, &plumbing, &identity, root, cwd.fd, terminal);
  status_line("pid %d", child);
  if (plumbing.in[0] >= 0) close(plumbing.in[0]);
  if (plumbing.status[1] >= 0) close(plumbing.status[1]);
  if (terminal >= 0) close(terminal);
  size_t count = start_pumps(spec, &plumbing, master, connection, pumps);
  struct rusage usage;
  int status = supervise_step(child, signals, pumps, count, master, &usage);
  report_usage(&usage);
  stage = "cleanup";
  end_descendants(false);
  undo();
  /* Who was killed leaves nothing that anybody wants. */
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) finish_trees(spec, stubs);
  status_kept = connection >= 0;
  report_end(status);
  status_kept = false;
  if (connection < 0) return exit_code_of(status);
  tell_end(connection, exit_code_of(status));
  return 0;
}
