/*
 * A further process in a container. Two processes: one that goes into the container's namespaces, and its child, which is in the pid
 * namespace too and becomes the program. The first one is seen by nobody in the container, since its own number is of namespace A; it waits,
 * and says how the program ended.
 */
#include "contain.h"
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NR_pidfd_send_signal = 424 };

bool signal_pidfd(int pidfd, int number) { return pidfd >= 0 && syscall(NR_pidfd_send_signal, pidfd, number, NULL, 0) == 0; }

/*
 * Only those that differ: the kernel lets nobody "enter" the machine's own network without rights over the machine, even who is in it. Which
 * the container has of its own depends on the machine and on options.
 */
static void enter_namespaces(int container) {
  static const struct {
    const char *name;
    int flag;
  } kinds[] = {{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},   {"pid", CLONE_NEWPID},      {"net", CLONE_NEWNET},
               {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}};
  stage = "namespaces";
  int number = proc_number(-1, container), flags = 0;
  for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++) {
    char path[64];
    struct stat own, other;
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[at].name);
    if (stat(path, &own) < 0) continue;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", number, kinds[at].name);
    if (stat(path, &other) < 0) fail("cannot look at the container");
    if (own.st_ino != other.st_ino) flags |= kinds[at].flag;
  }
  if (setns(container, flags) < 0) fail("cannot enter the container");
}

/* Without namespaces: only while the container is there does anybody look for programs to end. */
static void stay_with(int container) {
  stage = "start";
  if (poll(&(struct pollfd){container, POLLIN, 0}, 1, 0) != 0) fail_with(0, "the container has ended");
}

static void give_terminal(const struct step_spec *spec, const struct exec_streams *streams, int root, int *slave) {
  int master;
  *slave = spec->bare ? open_outer_terminal(&master) : open_terminal(root, &master);
  send_fd(streams->terminal, master);
  close(master);
  char byte;
  /* The program may ask for the terminal's size at once: it has one before it starts. An end instead of an answer ends this process, too. */
  while (recv(streams->terminal, &byte, 1, 0) < 0 && errno == EINTR) continue;
}

static void give(int fd, const struct identity *identity) {
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode) && fchown(fd, identity->uid, identity->gid) < 0) fail("cannot give a stream away");
}

static _Noreturn void become_program(struct step_spec *spec, int container, const struct exec_streams *streams, int parent) {
  stage = "start";
  die_with_parent(parent);
  if (spec->shift > 0 && spec->nest && (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
    fail("cannot become root of the container");
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  die_with_parent(parent);
  umask(022);
  int root = open(spec->bare ? spec->tree : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail("cannot open the container's root");
  struct identity identity = find_identity(root, spec->user, spec->id_count);
  add_groups(&identity, root, &spec->groups, spec->id_count);
  stage = "cwd";
  int cwd = open_in_root(root, spec->cwd, O_PATH | O_DIRECTORY);
  if (cwd < 0) fail("cannot enter \"%s\"", spec->cwd);
  stage = "streams";
  int in = streams->in, out = streams->out, err = streams->err;
  if (setsid() < 0) fail("cannot start a session");
  if (spec->bare) stay_with(container);
  if (spec->tty) {
    int terminal;
    give_terminal(spec, streams, root, &terminal);
    if (ioctl(terminal, TIOCSCTTY, 0) < 0) fail("cannot take the terminal");
    if (!spec->fakes && fchown(terminal, identity.uid, (gid_t)-1) < 0) fail("cannot give the terminal away");
    in = out = err = terminal;
  } else {
    if (in < 0) in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    /* With one id there is nobody else to give them to. */
    for (size_t at = 0; !spec->fakes && at < 3; at++) give((int[]){in, out, err}[at], &identity);
  }
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) fail("cannot set the standard streams");
  if (spec->bare) enter_tree(spec, root);
  spec->init = false;
  drop_and_execute(spec, &identity, cwd, parent, streams->status);
  _exit(EXIT_SETUP);
}

pid_t start_in_container(struct step_spec *spec, int container, const struct exec_streams *streams, int parent) {
  pid_t outer = fork();
  if (outer != 0) return outer;
  status_fd = streams->status;
  status_framed = false;
  stage = "start";
  die_with_parent(parent);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  int self = sys_pidfd_open(getpid());
  if (self < 0) fail("cannot make descriptors");
  /* What is executed in a container counts as the container's. */
  join_cgroups(spec, 0);
  stage = "start";
  if (!spec->bare) enter_namespaces(container);
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) become_program(spec, container, streams, self);
  status_line("pid %d", child);
  /* A copy of the status descriptor would hide that the program was executed. */
  sys_close_range(3, ~0u, 0);
  close(0), close(1), close(2);
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) _exit(EXIT_SETUP);
  _exit(exit_code_of(status));
}

void signal_all(int container, int number) {
  pid_t outer = fork();
  if (outer < 0) return;
  if (outer == 0) {
    if (setns(container, CLONE_NEWPID) < 0) _exit(1);
    pid_t child = fork();
    if (child == 0) _exit(kill(-1, number) == 0 ? 0 : 1);
    int status;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    _exit(0);
  }
  int status;
  while (waitpid(outer, &status, 0) < 0 && errno == EINTR) continue;
}
