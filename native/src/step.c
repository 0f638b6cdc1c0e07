/*
 * step: one process in namespaces of its own. This process stays outside them; its child becomes PID 1 inside, builds the root
 * and executes the program.
 *
 * The namespaces belong to a user namespace B of their own, so that a step has rights over nothing but them; where the machine has no
 * more user namespaces they belong to namespace A. With an id shift the root of B may not walk to the store: this process then goes into
 * the child's mount namespace with the rights it has in namespace A, opens everything there, and the child mounts through the shared
 * descriptors. Without one, B has the ids of A as they are.
 */
#include "copies.h"
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPEC_FD = 3, STATUS_FD = 4 };

void report_end(int wait_status) {
  if (WIFSIGNALED(wait_status)) status_line("signal %d", WTERMSIG(wait_status));
  else status_line("exit %d", WEXITSTATUS(wait_status));
}

/* ---- inside ---- */

bool send_number(int sync, int number) { return send(sync, &number, sizeof number, MSG_NOSIGNAL) == sizeof number; }

/* Until the outer half has done what only it can. Gives the number that it sends. */
static int wait_for_outer(const struct plumbing *plumbing) {
  int number;
  if (recv(plumbing->sync[1], &number, sizeof number, 0) != sizeof number) _exit(EXIT_SETUP);
  return number;
}

/* What the outer half has opened is there. */
static void separate_descriptors(const struct step_spec *spec, const struct plumbing *plumbing) {
  if (spec->shift == 0) return;
  if (unshare(CLONE_FILES) < 0) fail("cannot separate the descriptors");
  if (!send_number(plumbing->sync[1], 0)) _exit(EXIT_SETUP);
}

static void become_root(const struct step_spec *spec, const struct plumbing *plumbing) {
  /* Root of namespace A is root here, too, as soon as it is mapped. */
  if (spec->shift == 0) return;
  if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) fail("cannot become root of the namespace");
  /* Owner of what is made in /proc for this process. */
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  die_with_parent(plumbing->outer);
}

void take_streams(struct step_spec *spec, const struct plumbing *plumbing, const struct identity *identity, int terminal) {
  stage = "streams";
  int in = terminal, out = terminal, err = terminal;
  if (setsid() < 0) fail("cannot start a session");
  if (terminal >= 0) {
    if (ioctl(terminal, TIOCSCTTY, 0) < 0) fail("cannot take the terminal");
    /* The group stays: writing to other people's terminals goes by it. */
    if (!spec->fakes && fchown(terminal, identity->uid, (gid_t)-1) < 0) fail("cannot give the terminal away");
  } else {
    in = spec->stdin_open ? plumbing->in[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
    out = plumbing->out[1];
    err = plumbing->err[1];
    if (in < 0) fail("cannot open /dev/null");
    /* So that a program which is not root can open /dev/stdout. */
    if (spec->stdin_open && !spec->fakes && fchown(in, identity->uid, identity->gid) < 0) fail("cannot give standard input away");
    if (!spec->fakes && (fchown(out, identity->uid, identity->gid) < 0 || fchown(err, identity->uid, identity->gid) < 0)) fail("cannot give standard output away");
  }
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) fail("cannot set the standard streams");
}

/* For who looks into a root that nothing runs in, or writes to it: until the first signal, which ends it in order. */
static _Noreturn void hold_root(void) {
  sigset_t all;
  int number;
  /* Who has the rights of this namespace may open /proc/N/root. */
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  status_line("ready");
  sigfillset(&all);
  while (sigwait(&all, &number) != 0) continue;
  _exit(0);
}

/* The rest of a step whose surroundings are made. */
static void wait_for_rest(struct step_spec *spec, const struct plumbing *plumbing, const struct shared_description *coming) {
  if (!send_number(plumbing->sync[1], 0)) _exit(EXIT_SETUP);
  (void)wait_for_outer(plumbing);
  parse_rest(spec, coming->data, coming->total, coming->surroundings, coming->numbers);
  separate_descriptors(spec, plumbing);
}

static _Noreturn void run_inside(struct step_spec *spec, const struct plumbing *plumbing, int later, const struct shared_description *coming) {
  stage = "namespaces";
  if (status_framed) {
    status_fd = plumbing->status[1];
    status_framed = false;
  }
  die_with_parent(plumbing->outer);
  if (spec->pid_namespace != NULL) {
    enter_shared_user(spec, later, plumbing->sync[1]);
    die_with_parent(plumbing->outer);
    stage = "namespaces";
  }
  int place = -1;
  if (spec->nest || spec->cgroups.count > 0) place = wait_for_outer(plumbing);
  if (spec->nest && coming == NULL) separate_descriptors(spec, plumbing);
  if (spec->nest) become_root(spec, plumbing);
  hide_cgroups(spec);
  umask(0);
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("cannot make mounts private");
  /* Filters of containers forbid it to all who lack CAP_SYS_ADMIN outside (podman's does): the name then stays the container's. */
  if (!spec->host_uts && sethostname(spec->hostname, strlen(spec->hostname)) < 0 && errno != EPERM) fail("cannot set the hostname \"%.64s\"", spec->hostname);
  if (spec->private_network) {
    bring_loopback_up();
    set_sysctls(spec, true);
  }
  set_sysctls(spec, false);
  /* Where the place is the step's work directory, that is opened before something is mounted on it. */
  if (spec->shift == 0 && coming == NULL) open_sources(spec);
  int staging = mount_staging(spec->shift == 0 ? open_place(spec) : place);
  make_system(spec, staging);
  if (coming != NULL) wait_for_rest(spec, plumbing, coming);
  if (spec->shift == 0 && coming != NULL) open_sources(spec);
  struct built_root built = build_root(spec, staging, plumbing->stubs);
  int terminal = -1;
  if (spec->tty) {
    int master;
    terminal = open_terminal(built.root, &master);
    attach_console(built.root, terminal);
    send_fd(plumbing->sync[1], master);
    close(master);
  }
  stage = "cwd";
  struct target cwd = resolve_target(built.root, spec->cwd, true, NULL, built.identity.uid, built.identity.gid);
  if (!cwd.is_directory) fail_with(ENOTDIR, "cannot enter \"%s\"", spec->cwd);
  stage = "pivot";
  if (spec->readonly_root && sys_mount_setattr(built.root, false, MOUNT_RDONLY_) < 0) fail("cannot make the root read-only");
  enter_root(built.root);
  if (spec->hold) hold_root();
  take_streams(spec, plumbing, &built.identity, terminal);
  umask(022);
  spec->fakes_socket = plumbing->sync[1];
  drop_and_execute(spec, &built.identity, cwd.fd, plumbing->outer, status_fd);
  _exit(EXIT_SETUP);
}

/* ---- outside ---- */

int number_in_proc(int pidfd) {
  int number = proc_number(-1, pidfd);
  if (number <= 0) fail_with(0, "/proc does not show the step");
  return number;
}

/* Until a number comes there. False when the process has ended instead. */
static bool wait_for_number(int from, int process) {
  int number;
  struct pollfd waits[] = {{from, POLLIN, 0}, {process, POLLIN, 0}};
  while (poll(waits, 2, -1) < 0 && errno == EINTR) continue;
  return recv(from, &number, sizeof number, MSG_DONTWAIT) == sizeof number;
}

static bool wait_for_inner(const struct plumbing *plumbing) { return wait_for_number(plumbing->sync[0], plumbing->inner); }

/* Opens, with the rights of this process, what only they open, in the mount namespace of the step, where alone it can be mounted. Gives the place. */
static int open_inside(struct step_spec *spec, const struct plumbing *plumbing, bool place, bool sources) {
  int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), opened = -1;
  stage = "namespaces";
  if (own < 0 || setns(plumbing->inner, CLONE_NEWNS) < 0) fail("cannot enter the step's mount namespace");
  if (place) opened = open_place(spec);
  if (sources) open_sources(spec);
  stage = "namespaces";
  if (setns(own, CLONE_NEWNS) < 0) fail("cannot leave the step's mount namespace");
  close(own);
  return opened;
}

/* What the inner half cannot do itself before it makes its surroundings. */
static void begin_inner(struct step_spec *spec, const struct plumbing *plumbing, bool coming) {
  int place = -1;
  if (spec->nest) {
    stage = "id-map";
    int number = number_in_proc(plumbing->inner);
    /* It has those of the other container, once it is there. */
    if (spec->pid_namespace == NULL) map_step_ids(number, spec);
    else if (!wait_for_inner(plumbing)) return;
    if (spec->shift > 0) place = open_inside(spec, plumbing, true, !coming);
  }
  /* Nobody there: the child is gone. Until it has its own table, descriptors must not be closed here. */
  if ((spec->nest || spec->cgroups.count > 0) && send_number(plumbing->sync[0], place) && spec->shift > 0 && !coming) (void)wait_for_inner(plumbing);
}

/* Until it is known which step it is, and its surroundings are there. Without either, nobody is told: another process will try. */
static void await_rest(struct step_spec *spec, const struct plumbing *plumbing, int starter, const struct shared_description *coming) {
  if (!wait_for_inner(plumbing) || !send_number(starter, 0) || !wait_for_number(starter, plumbing->inner)) _exit(EXIT_SETUP);
  status_kept = false;
  parse_rest(spec, coming->data, coming->total, coming->surroundings, coming->numbers);
}

static void give_rest(struct step_spec *spec, const struct plumbing *plumbing) {
  if (spec->shift > 0) (void)open_inside(spec, plumbing, false, true);
  if (send_number(plumbing->sync[0], 0) && spec->shift > 0) (void)wait_for_inner(plumbing);
}

/* The step's namespaces are made in the network that it shares with others. Its /sys is made here: no step has a right to one of it. */
static void join_network(struct step_spec *spec) {
  stage = "network";
  int network = open(spec->network, O_RDONLY | O_CLOEXEC);
  if (network < 0 || setns(network, CLONE_NEWNET) < 0) fail("cannot enter the network of the build");
  close(network);
  set_sysctls(spec, true);
  spec->shared_sys = make_sys(spec);
}

/* Owned by root of the step's user namespace, which will give it to the step's user. */
void make_pipe(int fds[2], int outer, unsigned shift) {
  if (pipe2(fds, O_CLOEXEC) < 0 || fcntl(fds[outer], F_SETFL, O_NONBLOCK) < 0) fail("cannot make a pipe");
  if (shift > 0 && fchown(fds[0], shift, shift) < 0) fail("cannot give a pipe away");
}

/*
 * Makes the table of descriptors as large as the layers of most steps will want it. Growing one that is shared, as it is with the child by then,
 * waits each time until all processors have let go of the old one.
 */
static void make_room(void) {
  enum { MOST_OPEN = 1000 };
  /* Where the limit is lower, the layers' own descriptors say so. */
  int last = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, MOST_OPEN);
  if (last >= 0) close(last);
}

/* Where a stream of the step goes: as frames to the connection, or as it is to the descriptor that the caller gave for it. */
static void pump_out(struct pump *pump, int from, int connection, enum frame_kind kind, int otherwise) {
  pump->from = from;
  pump->to = connection >= 0 ? connection : otherwise;
  pump->kind = connection >= 0 ? kind : 0;
}

size_t start_pumps(struct step_spec *spec, const struct plumbing *plumbing, int terminal, int connection, struct pump *pumps) {
  size_t count = 0;
  if (connection >= 0) pump_out(&pumps[count++], plumbing->status[0], connection, FRAME_STATUS, -1);
  if (spec->tty && terminal < 0) return count;
  if (spec->stdin_open) pumps[count].from = STDIN_FILENO, pumps[count++].to = spec->tty ? terminal : plumbing->in[1];
  pump_out(&pumps[count++], spec->tty ? terminal : plumbing->out[0], connection, FRAME_OUTPUT, STDOUT_FILENO);
  if (!spec->tty) pump_out(&pumps[count++], plumbing->err[0], connection, FRAME_ERRORS, STDERR_FILENO);
  return count;
}

static void clean_work(const struct step_spec *spec) {
  stage = "cleanup";
  /* Left by `volatile`, and would make a second mount of the directory fail. */
  int work = open(spec->work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (work >= 0) remove_contents(work);
}

/* What fails after the end was told is no fault of the step's, and nobody waits for it. */
static void leave(void) { _exit(0); }

/* In namespace A, where all of it may be deleted: who does it later has to make that once more. What is left is deleted then. */
static void discard(const struct step_spec *spec) {
  status_fd = -1;
  before_exit = leave;
  remove_tree(spec->upper);
  remove_tree(spec->work);
}

void tell_end(int connection, int code) {
  char text[12];
  int length = snprintf(text, sizeof text, "%d", code);
  (void)write_frame(connection, FRAME_END, text, (size_t)length);
  status_fd = -1;
  before_exit = leave;
}

int command_step(int argc, char **argv) {
  static struct step_spec spec;
  status_fd = STATUS_FD;
  stage = "start";
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  if (argc == 2 && strcmp(argv[0], "--parent") == 0 && getppid() != (pid_t)parse_number(argv[1], 1 << 30)) return EXIT_SETUP;
  /* Whatever the caller left open ends here. */
  if (sys_close_range(STATUS_FD + 1, ~0u, 0) < 0) fail("cannot close inherited descriptors");
  if (fcntl(SPEC_FD, F_SETFD, FD_CLOEXEC) < 0 || fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC) < 0) {
    status_fd = -1;
    fail("descriptors 3 and 4 must be open");
  }
  parse_spec(&spec, SPEC_FD);
  close(SPEC_FD);
  return run_step(&spec, -1, -1, NULL);
}

int run_step(struct step_spec *spec, int connection, int starter, const struct shared_description *coming) {
  static struct pump pumps[MAX_PUMPS];
  struct plumbing plumbing = {.inner = -1, .in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .status = {-1, -1}};
  if (coming == NULL && spec->tree != NULL) prepare_trees(spec);
  if (spec->bare) return run_bare_step(spec, connection);
  stage = "start";
  int signals = catch_signals();
  plumbing.outer = sys_pidfd_open(getpid());
  plumbing.stubs = mmap(NULL, sizeof *plumbing.stubs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (plumbing.outer < 0 || plumbing.stubs == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, plumbing.sync) < 0)
    fail("cannot make descriptors");
  if (!spec->tty) {
    if (spec->stdin_open) make_pipe(plumbing.in, 1, spec->shift);
    make_pipe(plumbing.out, 0, spec->shift);
    make_pipe(plumbing.err, 0, spec->shift);
  }
  if (connection >= 0) make_pipe(plumbing.status, 0, 0);
  /* Before the formats, which may be mounted upon the directory of the file. */
  if (spec->network != NULL) join_network(spec);
  if (spec->emulator.name != NULL) offer_emulator(&spec->emulator);
  int to_supervisor = -1;
  /* Before that: in the pid namespace of another container its processes could end the supervisor, whose id is theirs, too. */
  pid_t supervisor_pid = spec->fakes ? start_supervisor(spec->id_count, &to_supervisor) : 0;
  share_namespaces(spec);
  stage = "start";
  int flags = CLONE_NEWNS, later = 0;
  if (!shares_processes(spec)) flags |= CLONE_NEWPID;
  if (!spec->host_ipc && spec->ipc_namespace == NULL) flags |= CLONE_NEWIPC;
  if (!spec->host_uts) flags |= CLONE_NEWUTS;
  /* A step that is to be moved makes the namespace there. */
  if (spec->cgroups.count == 0) flags |= CLONE_NEWCGROUP;
  if (spec->private_network) flags |= CLONE_NEWNET;
  if (spec->pid_namespace != NULL) {
    spec->nest = true;
    later = flags;
    flags = 0;
  }
  if (spec->shift > 0) flags |= CLONE_FILES;
  if (spec->shift > 0) spec->nest = true;
  if (spec->shift > 0) make_room();
  /* It has been here before, and may have been killed; whoever holds it has the container's lock. */
  if (spec->hold) clean_work(spec);
  stage = "namespaces";
  pid_t child = sys_fork_into(flags | (spec->nest && spec->pid_namespace == NULL ? CLONE_NEWUSER : 0), &plumbing.inner);
  if (child < 0 && spec->pid_namespace != NULL && errno == ENOMEM) fail_with(0, "the container whose processes it shares has ended");
  bool refused = child < 0 && (errno == ENOSPC || errno == EUSERS || errno == EPERM);
  /* One that is to come has nobody to tell that it goes without, and the next may be given one. */
  if (refused && coming == NULL && spec->nest && spec->pid_namespace == NULL && spec->shift == 0 && spec->keep_uid == NULL) {
    /* No more of them, or no right to one: namespace A does. */
    spec->nest = false;
    child = sys_fork_into(flags, &plumbing.inner);
  }
  if (child < 0) fail("cannot make the step's namespaces");
  if (child == 0) run_inside(spec, &plumbing, later, coming);
  join_cgroups(spec, child);
  begin_inner(spec, &plumbing, coming != NULL);
  if (coming != NULL) await_rest(spec, &plumbing, starter, coming);
  status_line("pid %d", child);
  if (spec->hold) status_line("held %d", number_in_proc(plumbing.inner));
  if (coming != NULL && spec->tree != NULL) prepare_trees(spec);
  if (coming != NULL) give_rest(spec, &plumbing);
  int upper = open(spec->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (upper < 0) fail("cannot open directory \"%s\"", spec->upper);
  int mounts = spec->cgroups.count == 0 ? -1 : hold_mounts(number_in_proc(plumbing.inner));
  struct members members = {-1, -1};
  if (shares_processes(spec)) members = members_of(spec, proc_number(-1, plumbing.inner));
  close(plumbing.sync[1]);
  if (plumbing.in[0] >= 0) close(plumbing.in[0]);
  if (plumbing.status[1] >= 0) close(plumbing.status[1]);

  int terminal = -1;
  if (spec->tty && (terminal = receive_fd(plumbing.sync[0])) >= 0) make_raw(STDIN_FILENO);
  /* None when the step could not be set up, or nobody can listen. */
  int listener = spec->fakes ? receive_fd(plumbing.sync[0]) : -1;
  if (listener >= 0) {
    send_fd(to_supervisor, listener);
    close(listener);
  }
  if (to_supervisor >= 0) close(to_supervisor);
  size_t count = start_pumps(spec, &plumbing, terminal, connection, pumps);
  struct rusage usage;
  int status = supervise_step(child, signals, pumps, count, terminal, &usage);
  if (supervisor_pid > 0) end_supervisor(supervisor_pid);
  stage = "cleanup";
  /* Elsewhere their namespace has ended with the first. */
  signal_members(&members, SIGKILL);
  close_members(&members);
  if (mounts >= 0 && status != 0) report_shared_memory(spec);
  if (mounts >= 0) close(mounts);
  if (spec->tree == NULL) remove_stubs(upper, plumbing.stubs);
  else if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) finish_trees(spec, plumbing.stubs);
  stage = "cleanup";
  /* Whoever looks into a step that failed mounts its directories again, and does so at once. */
  bool may_wait = connection >= 0 && status == 0;
  if (!may_wait && !spec->discard) clean_work(spec);
  /* With the end, unless something may fail before that. */
  status_kept = connection >= 0 && !spec->discard;
  report_usage(&usage);
  report_end(status);
  status_kept = false;
  if (spec->discard && spec->tree == NULL) discard(spec);
  if (connection < 0) return exit_code_of(status);
  tell_end(connection, exit_code_of(status));
  if (may_wait) clean_work(spec);
  return 0;
}
