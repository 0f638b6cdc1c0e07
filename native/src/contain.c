/*
 * contain: stays with one container. Starts it (as `steps` starts a step: in a process of its own, which says over a socket what it prints
 * and how it ends), writes its log and its state, starts it again where the policy says so, checks its health, and answers who connects
 * to `socket` in the container's directory. One thread, one loop; what could wait for others is done by processes of their own.
 */
#include "contain.h"
#include "contain-clients.h"
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SPEC_FD = 3, NOTIFY_FD = 4, CONNECTION = 3, LAST_WORDS = 3000 /* ms that slow clients have at the end, whoever waits */, LAST_LOOK = 200, KILL_AGAIN = 20 /* ms */, WAIT_FOR_LOCK = 20000 /* ms */, CLIENT_WAIT = 30000 /* ms, for the first one */ };

/* Whoever started the supervisor hears what becomes of the first start. */
static void notify(struct supervisor *self, const char *line) {
  if (self->notify < 0) return;
  (void)!write(self->notify, line, strlen(line));
}

static void notify_end(struct supervisor *self) {
  if (self->notify >= 0) close(self->notify);
  self->notify = -1;
}

/* ---- the container's process ---- */

static _Noreturn void run_container(struct supervisor *self, int connection, int input) {
  stage = "start";
  status_fd = -1;
  die_with_parent(self->self);
  int in = input >= 0 ? input : open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (dup2(in, 0) < 0 || dup2(connection, CONNECTION) < 0 || sys_close_range(CONNECTION + 1, ~0u, 0) < 0) _exit(EXIT_SETUP);
  fcntl(CONNECTION, F_SETFD, FD_CLOEXEC);
  status_fd = CONNECTION;
  status_framed = true;
  _exit(run_step(&self->options.spec, CONNECTION, -1, NULL));
}

/* What an overlay leaves there when it is not unmounted in order would make the next mount fail. */
static void clean_work(const char *path) {
  int work = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (work < 0) return;
  remove_contents(work);
  close(work);
}

void start_container(struct supervisor *self) {
  int connection[2], input[2] = {-1, -1};
  stage = "start";
  self->waiting = false;
  self->restart_at = self->give_up_at = -1;
  self->failed = self->ran = self->reaped = self->told = false;
  self->step_status = 0;
  self->state.failure = (struct failure){0};
  self->exit_code = EXIT_SETUP;
  self->state.oom_killed = false;
  self->oom_kills = oom_kills(&self->options.spec);
  clean_work(self->options.spec.work);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, connection) < 0) fail("cannot make descriptors");
  if (self->options.spec.stdin_open && pipe2(input, O_CLOEXEC) < 0) fail("cannot make a pipe");
  fcntl(connection[0], F_SETFL, O_NONBLOCK);
  if (input[1] >= 0) fcntl(input[1], F_SETFL, O_NONBLOCK);
  self->began = clock_ms();
  self->step = fork();
  if (self->step < 0) fail("cannot fork");
  if (self->step == 0) run_container(self, connection[1], input[0]);
  close(connection[1]);
  if (input[0] >= 0) close(input[0]);
  self->connection = connection[0];
  self->input = input[1];
  self->input_ended = false;
}

static void take_failure(struct supervisor *self, const char *line) {
  struct failure *failure = &self->state.failure;
  int at = 0;
  self->failed = true;
  if (failure->stage[0] != 0) return;
  if (sscanf(line, "error %d %31s %n", &failure->error, failure->stage, &at) < 2) snprintf(failure->stage, sizeof failure->stage, "start");
  snprintf(failure->text, sizeof failure->text, "%s", at > 0 ? line + at : line);
}

static void event(struct supervisor *self, const char *action, const char *attribute, const char *value) {
  write_event(&self->options, self->dir, action, attribute, value);
}

static void take_ran(struct supervisor *self) {
  self->ran = true;
  self->state.status = "running";
  self->state.health = self->options.health.test.count > 0 ? "starting" : NULL;
  self->state.finished[0] = 0;
  time_text(self->state.started);
  write_state(self->dir, &self->state);
  event(self, "start", NULL, NULL);
  health_begin(&self->options.health, self->container);
  /* What is in its upper directory from now on is the container's own. */
  self->options.spec.prepare_upper = false;
  notify(self, "ran\n");
  notify_end(self);
}

static void take_status_line(struct supervisor *self, const char *line) {
  char text[64];
  if (strncmp(line, "pid ", 4) == 0) {
    self->container = sys_pidfd_open((pid_t)atoi(line + 4));
    self->state.pid = self->container < 0 ? 0 : proc_number(-1, self->container);
    snprintf(text, sizeof text, "pid %d\n", self->state.pid);
    notify(self, text);
    return;
  }
  if (strcmp(line, "ran") == 0) {
    if (!self->failed && !self->ran) take_ran(self);
    return;
  }
  if (strncmp(line, "exit ", 5) == 0) self->exit_code = atoi(line + 5), self->told = true;
  if (strncmp(line, "signal ", 7) == 0) self->exit_code = 128 + atoi(line + 7), self->told = true;
  if (strncmp(line, "error ", 6) == 0) take_failure(self, line);
  notify(self, line);
  notify(self, "\n");
}

static void take_step_frame(struct supervisor *self, const struct frame *frame) {
  char *text;
  switch (frame->kind) {
  case FRAME_OUTPUT:
  case FRAME_ERRORS:
    log_take(&self->log, frame->kind == FRAME_ERRORS, frame->data, frame->length);
    send_output(self, frame->kind, frame->data, frame->length);
    break;
  case FRAME_STATUS:
    text = frame_text(frame);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
      if (*line != 0) take_status_line(self, line);
    free(text);
    break;
  default:
    break;
  }
}

static int code_of_failure(const struct failure *failure) {
  if (strcmp(failure->stage, "exec") != 0) return EXIT_SETUP;
  return failure->error == ENOENT ? 127 : 126;
}

static void tell_end_event(struct supervisor *self) {
  char code[12];
  if (!self->ran) return;
  snprintf(code, sizeof code, "%d", self->exit_code);
  if (self->state.oom_killed) event(self, "oom", NULL, NULL);
  event(self, "die", "exitCode", code);
  if (self->stop_asked) event(self, "stop", NULL, NULL);
  self->stop_asked = false;
}

/* The process that held the container is gone, and the container with it. */
static void take_end(struct supervisor *self) {
  /* Of what was started by exec there is no other end, without a namespace for processes. */
  if (self->options.spec.bare) end_programs();
  while (!self->reaped && waitpid(self->step, &self->step_status, 0) < 0 && errno == EINTR) continue;
  close(self->connection);
  if (self->input >= 0) close(self->input);
  if (self->container >= 0) close(self->container);
  self->connection = self->input = self->container = -1;
  self->step = 0;
  self->from_step.start = self->from_step.end = self->to_step.start = self->to_step.end = 0;
  self->paused = false;
  self->kill_at = -1;
  if (health_end(&self->options.health)) self->ended_probes++;
  log_finish(&self->log);
  if (self->failed) self->exit_code = code_of_failure(&self->state.failure);
  else if (self->killed) self->exit_code = 128 + SIGKILL;
  /* Somebody has killed the process that holds it, which could not say how the container ended: as that did. */
  else if (!self->told && WIFSIGNALED(self->step_status)) self->exit_code = exit_code_of(self->step_status);
  self->killed = false;
  self->state.exit_code = self->exit_code;
  self->state.pid = 0;
  time_text(self->state.finished);
  long long wait = self->stopping || !self->ran ? -1 : restart_after(&self->options.restarting, self->exit_code, clock_ms() - self->began);
  /* As it was, where it has never run. */
  self->state.status = wait >= 0 ? "restarting" : self->options.spec.prepare_upper ? "created" : "exited";
  self->state.restarts = self->options.restarting.count;
  self->state.oom_killed = oom_kills(&self->options.spec) > self->oom_kills;
  if (wait >= 0) self->restart_at = clock_ms() + wait;
  else self->over = true;
  write_state(self->dir, &self->state);
  tell_end_event(self);
  if (self->over) notify_end(self);
}

static void read_step(struct supervisor *self) {
  bool broken = false, open = queue_fill(&self->from_step, self->connection);
  for (struct frame frame; queue_take_frame(&self->from_step, &frame, &broken);) take_step_frame(self, &frame);
  if (!open || broken) take_end(self);
}

/* ---- what is asked of it ---- */

void kill_container(struct supervisor *self, int number) {
  if (number == SIGKILL) self->stopping = true;
  if (self->container >= 0) {
    char text[12];
    snprintf(text, sizeof text, "%d", number);
    event(self, "kill", "signal", text);
  }
  /* One that has ended is being cleared away: what it leaves in the processes of another container is ended only then. */
  if (signal_pidfd(self->container, number) || (self->container >= 0 && errno == ESRCH)) return;
  if (number != SIGKILL || self->step <= 0 || self->reaped) return;
  /* That one has things to put back, and ends what is left by itself: who is still to be started is killed then. */
  if (self->options.spec.bare) {
    self->kill_at = clock_ms() + KILL_AGAIN;
    return;
  }
  self->killed = true;
  kill(self->step, SIGKILL);
}

void stop_container(struct supervisor *self, int number, long long timeout) {
  self->stopping = self->stop_asked = true;
  if (self->step <= 0) {
    self->restart_at = self->give_up_at = -1;
    self->waiting = false;
    if (self->over) return;
    self->over = true;
    notify_end(self);
    /* It has not been started at all. */
    if (self->state.started[0] == 0) return;
    self->state.status = "exited";
    write_state(self->dir, &self->state);
    return;
  }
  if (self->paused) pause_container(self, false);
  if (number != 0) kill_container(self, number);
  self->kill_at = timeout < 0 ? -1 : clock_ms() + timeout;
}

/* The freezer would need a control group of the container's own, which an ordinary user seldom has. PID 1 first: it starts the others. */
void pause_container(struct supervisor *self, bool pause) {
  int number = pause ? SIGSTOP : SIGCONT;
  signal_pidfd(self->container, number);
  if (shares_processes(&self->options.spec)) {
    struct members members = members_of(&self->options.spec, proc_number(-1, self->container));
    signal_members(&members, number);
    close_members(&members);
  } else {
    signal_all(self->container, number);
  }
  if (self->paused != pause) event(self, pause ? "pause" : "unpause", NULL, NULL);
  self->paused = pause;
  self->state.status = pause ? "paused" : "running";
  write_state(self->dir, &self->state);
}

/* True when the child was a check of the container's health. */
static bool take_health(struct supervisor *self, pid_t pid, int status) {
  const char *before = self->state.health;
  if (!health_reaped(&self->options.health, pid, status, self->dir, &self->state)) return false;
  write_state(self->dir, &self->state);
  if (before == NULL || strcmp(before, self->state.health) == 0) return true;
  event(self, strcmp(self->state.health, "healthy") == 0 ? "health_status: healthy" : "health_status: unhealthy", NULL, NULL);
  return true;
}

static void take_signals(struct supervisor *self) {
  struct signalfd_siginfo info;
  while (read(self->signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT || info.ssi_signo == SIGHUP) stop_container(self, SIGTERM, 10000);
    if (info.ssi_signo != SIGCHLD) continue;
    int status;
    siginfo_t ended = {0};
    for (pid_t pid; waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && (pid = ended.si_pid) > 0; ended.si_pid = 0) {
      /* What programs have left comes here where there is no namespace for processes, and is nobody's child. */
      bool own = getsid(pid) == getsid(0);
      if (waitpid(pid, &status, 0) != pid || !own) continue;
      /* Its socket has the rest of what it has said, and ends after that. */
      if (pid == self->step) self->reaped = true, self->step_status = status;
      else if (take_health(self, pid, status)) continue;
      else if (self->ended_probes > 0) self->ended_probes--;
      else if (self->execs > 0) self->execs--;
    }
  }
}

/* ---- beginning and end ---- */

/*
 * The flock ends with the last process that has the descriptor, which is this one: all others close it. Who starts a container has seen that
 * nobody listens in its directory: a supervisor that still has the lock takes its leave, and is told with a file that somebody waits for that.
 */
static void lock_directory(struct supervisor *self) {
  int lock = openat(self->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) fail("cannot lock the container");
  for (long long end = clock_ms() + WAIT_FOR_LOCK; flock(lock, LOCK_EX | LOCK_NB) < 0; poll(NULL, 0, 10)) {
    if (errno != EWOULDBLOCK || clock_ms() > end) fail_with(errno == EWOULDBLOCK ? 0 : errno, "the container is running already");
    int wanted = openat(self->dir, "wanted", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (wanted >= 0) close(wanted);
  }
  unlinkat(self->dir, "wanted", 0);
}

/* So that all processes of the container are in one Landlock domain and can signal each other, those of exec too. */
static void enter_scope(struct supervisor *self) {
  struct step_spec *spec = &self->options.spec;
  if (spec->insecure) return;
  spec->scoped = true;
  /* Who shares the processes of others is to signal and, with the capability, trace them; abstract sockets of his own network are his. */
  bool shares = shares_processes(spec);
  if (!shares || (spec->network == NULL && !spec->private_network)) restrict_scope(spec->bare, !shares);
}

/* Takes the directory away at once, so that nobody finds the container from here on; deleting it may take a while. */
static char *put_aside(const struct options *options) {
  char name[256] = "", path[4096], target[256] = "";
  const char *id = strrchr(options->directory, '/');
  int dir = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int file = openat(dir, "name", O_RDONLY | O_CLOEXEC);
  if (file >= 0 && read(file, name, sizeof name - 1) > 0) {
    name[strcspn(name, "\n")] = 0;
    snprintf(path, sizeof path, "%s/%s", options->names, name);
    if (readlink(path, target, sizeof target - 1) > 0 && id != NULL && strcmp(target, id + 1) == 0) unlink(path);
  }
  char *aside = format_text("%s/%s", options->garbage, id == NULL ? "container" : id + 1);
  return rename(options->directory, aside) == 0 ? aside : NULL;
}

/* Takes a volume away at once, too. One that another container has had (src/containers/volumes.ts, `share`) goes with none. */
static char *put_volume_aside(const struct options *options, char *path) {
  char *shared = format_text("%s/shared", path);
  bool goes = access(shared, F_OK) != 0;
  free(shared);
  const char *name = strrchr(path, '/');
  if (!goes || name == NULL) return NULL;
  char *aside = format_text("%s/%s", options->garbage, name + 1);
  return rename(path, aside) == 0 ? aside : path;
}

static void take_leave(struct supervisor *self) {
  unlinkat(self->dir, "socket", 0);
  close(self->listener);
  self->listener = -1;
  bool own = unmount_shared(self->options.directory);
  char *aside = self->options.remove ? put_aside(&self->options) : NULL;
  struct list *volumes = &self->options.volumes;
  /* Who is told of the end finds neither the container nor its volumes. */
  for (size_t at = 0; aside != NULL && at < volumes->count; at++) volumes->items[at] = put_volume_aside(&self->options, volumes->items[at]);
  if (aside != NULL) event(self, "destroy", NULL, NULL);
  send_end(self, self->state.exit_code);
  /* Who reads slowly, such as a pager, gets all of it; but nobody who wants the container waits for that. */
  long long end = clock_ms() + LAST_WORDS;
  for (long long now; now = clock_ms(), clients_busy(self) || (self->execs > 0 && now < end); serve(self, now < end ? end : now + LAST_LOOK))
    if (now >= end && faccessat(self->dir, "wanted", F_OK, 0) == 0) break;
  if (aside == NULL) return;
  /* With what is another container's in it, it is left for a later command, which sees nothing of that. */
  if (own) remove_tree(aside);
  for (size_t at = 0; at < volumes->count; at++)
    if (volumes->items[at] != NULL) remove_tree(volumes->items[at]);
}

static long long earliest(long long one, long long other) { return one < 0 ? other : other < 0 || one < other ? one : other; }

/* A program that runs waits for slow readers. What one that has ended had still to say is not much, and nobody hears of its end before that. */
static bool holds_up(const struct supervisor *self) {
  return output_held_up(self) && self->container >= 0 && poll(&(struct pollfd){self->container, POLLIN, 0}, 1, 0) == 0;
}

void serve(struct supervisor *self, long long until) {
  struct pollfd waits[4 + MAX_CLIENTS];
  bool crowded = holds_up(self);
  waits[0] = (struct pollfd){self->signals, POLLIN, 0};
  waits[1] = (struct pollfd){self->listener, POLLIN, 0};
  waits[2] = (struct pollfd){crowded ? self->container : self->connection, POLLIN, 0};
  waits[3] = (struct pollfd){queue_length(&self->to_step) > 0 ? self->input : -1, POLLOUT, 0};
  size_t count = 4 + poll_clients(self, waits + 4);
  long long due = earliest(earliest(self->kill_at, self->restart_at), earliest(health_due(&self->options.health), until));
  due = earliest(due, self->give_up_at);
  long long left = due < 0 ? -1 : due - clock_ms();
  if (poll(waits, count, left < 0 ? (due < 0 ? -1 : 0) : left > 60000 ? 60000 : (int)left) < 0 && errno != EINTR) fail("cannot wait");
  if (waits[0].revents != 0) take_signals(self);
  /* First what clients want: one that attaches is there before the output that comes now. */
  serve_clients(self, waits + 4, count - 4);
  if (waits[1].revents != 0 && self->listener >= 0) take_client(self);
  if (waits[2].revents != 0 && !crowded && self->connection >= 0) read_step(self);
  if (waits[3].revents != 0 && self->input >= 0) write_input(self);
  health_read(&self->options.health);
  long long now = clock_ms();
  if (self->kill_at >= 0 && now >= self->kill_at) self->kill_at = -1, kill_container(self, SIGKILL);
  if (self->restart_at >= 0 && now >= self->restart_at && !self->over) start_container(self);
  if (self->give_up_at >= 0 && now >= self->give_up_at) stop_container(self, 0, 0);
  long long probe = health_due(&self->options.health);
  if (probe >= 0 && now >= probe && !self->paused) health_tick(&self->options.health, &self->options.spec, self->self);
}

int command_contain(int argc, char **argv) {
  static struct supervisor supervisor;
  struct supervisor *self = &supervisor;
  (void)argv;
  status_fd = NOTIFY_FD;
  stage = "start";
  if (argc != 0) fail_with(0, "contain takes no arguments");
  if (sys_close_range(NOTIFY_FD + 1, ~0u, 0) < 0) fail("cannot close inherited descriptors");
  fcntl(SPEC_FD, F_SETFD, FD_CLOEXEC);
  fcntl(NOTIFY_FD, F_SETFD, FD_CLOEXEC);
  read_options(&self->options, SPEC_FD);
  close(SPEC_FD);
  stage = "start";
  self->notify = NOTIFY_FD;
  self->connection = self->input = self->container = -1;
  self->kill_at = self->restart_at = self->give_up_at = -1;
  self->dir = open(self->options.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self->dir < 0) fail("cannot open \"%s\"", self->options.directory);
  lock_directory(self);
  window_size = mmap(NULL, sizeof *window_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  self->self = sys_pidfd_open(getpid());
  if (self->self < 0 || window_size == MAP_FAILED) fail("cannot make descriptors");
  if (self->options.spec.bare && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("cannot become a subreaper");
  umask(077);
  listen_for_clients(self);
  enter_scope(self);
  self->signals = catch_signals();
  log_open(&self->log, self->dir, self->options.log_limit, self->options.log_files);
  self->state = (struct state){.status = "created"};
  self->waiting = self->options.wait_for_client;
  notify(self, "listening\n");
  if (self->waiting) self->give_up_at = clock_ms() + CLIENT_WAIT;
  else start_container(self);
  /* The first start was told on the descriptor; later faults end on stderr, in the container's directory. */
  status_fd = -1;
  while (!self->over) serve(self, -1);
  take_leave(self);
  return 0;
}
