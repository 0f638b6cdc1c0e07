/* One exec and the client that asked for it: a process of its own, so that nothing of it can hold up the supervisor. */
#include "contain.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LAST_INPUT = 10000 /* ms that a client has which says nothing more and does not go */ };

struct session {
  int connection; /* -1 when the client is gone */
  struct queue from_client, to_program;
  int in, out, err, status, terminal, sync;
  pid_t pid;
  int program; /* pidfd of the program, -1 before it is known */
  bool input_ended, failed, told, detached;
  unsigned short rows, columns;
  char line[1024];
  size_t used;
};

static void end_input(struct session *session) {
  session->input_ended = true;
  if (session->in >= 0 && queue_length(&session->to_program) == 0) {
    close(session->in);
    session->in = -1;
  }
}

/* One that goes away takes its terminal along, as if a line had been cut. */
static void lose_client(struct session *session) {
  close(session->connection);
  session->connection = -1;
  if (session->detached) return;
  end_input(session);
  signal_pidfd(session->program, SIGHUP);
}

/* That the client is gone may be noticed here first: a program that prints all the time would go on for ever. */
static void tell(struct session *session, enum frame_kind kind, const void *data, size_t length) {
  if (session->connection >= 0 && !write_frame(session->connection, kind, data, length)) lose_client(session);
}

static void set_window(struct session *session) {
  struct winsize size = {.ws_row = session->rows, .ws_col = session->columns};
  if (session->terminal >= 0 && session->rows > 0) ioctl(session->terminal, TIOCSWINSZ, &size);
}

static void take_request(struct session *session, const struct frame *frame) {
  char *text;
  switch (frame->kind) {
  case REQUEST_INPUT:
    /* A terminal that is still to come gets it, too. */
    if (!session->input_ended && (session->in >= 0 || session->terminal >= 0 || session->sync >= 0)) queue_put(&session->to_program, frame->data, frame->length);
    break;
  case REQUEST_CLOSE_INPUT:
    end_input(session);
    break;
  case REQUEST_WINDOW:
    text = frame_text(frame);
    if (sscanf(text, "%hu %hu", &session->rows, &session->columns) == 2) set_window(session);
    free(text);
    break;
  case REQUEST_KILL:
    text = frame_text(frame);
    signal_pidfd(session->program, atoi(text));
    free(text);
    break;
  default:
    break;
  }
}

/* What comes from the client. */
static void read_client(struct session *session) {
  bool broken = false, open = queue_fill(&session->from_client, session->connection);
  struct frame frame;
  while (queue_take_frame(&session->from_client, &frame, &broken)) take_request(session, &frame);
  if (!open || broken) lose_client(session);
}

/* Lines of the status descriptor go to the client as they are; that it ends without an error means that the program runs. */
static void read_status(struct session *session) {
  ssize_t got = read(session->status, session->line + session->used, sizeof session->line - 1 - session->used);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    if (!session->failed) tell(session, FRAME_STATUS, "ran\n", 4);
    session->told = true;
    close(session->status);
    session->status = -1;
    return;
  }
  session->used += (size_t)got;
  for (char *newline; (newline = memchr(session->line, '\n', session->used)) != NULL;) {
    size_t length = (size_t)(newline - session->line) + 1;
    *newline = 0;
    if (strncmp(session->line, "pid ", 4) == 0) session->program = sys_pidfd_open((pid_t)atoi(session->line + 4));
    if (strncmp(session->line, "error ", 6) == 0) session->failed = true;
    *newline = '\n';
    tell(session, FRAME_STATUS, session->line, length);
    memmove(session->line, session->line + length, session->used - length);
    session->used -= length;
  }
  if (session->used == sizeof session->line - 1) session->used = 0;
}

/* False at the end. */
static bool pass_output(struct session *session, int *fd, enum frame_kind kind) {
  char data[65536];
  ssize_t got = read(*fd, data, sizeof data);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got > 0) {
    tell(session, kind, data, (size_t)got);
    return true;
  }
  close(*fd);
  *fd = -1;
  return false;
}

static void write_input(struct session *session) {
  int to = session->terminal >= 0 ? session->terminal : session->in;
  if (to < 0 || !queue_drain(&session->to_program, to)) session->to_program.start = session->to_program.end = 0, session->input_ended = true;
  if (session->input_ended) end_input(session);
}

static void start(struct session *session, struct step_spec *spec, int container) {
  int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, status[2], sync[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0 || pipe2(status, O_CLOEXEC) < 0) fail("cannot make descriptors");
  if (!spec->tty) {
    if (spec->stdin_open && pipe2(in, O_CLOEXEC) < 0) fail("cannot make a pipe");
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) fail("cannot make a pipe");
    /* Owned by root of the container's user namespace, which will give them to the user. */
    if (spec->shift > 0 && ((in[0] >= 0 && fchown(in[0], spec->shift, spec->shift) < 0) || fchown(out[0], spec->shift, spec->shift) < 0 ||
                            fchown(err[0], spec->shift, spec->shift) < 0))
      fail("cannot give a pipe away");
  }
  struct exec_streams streams = {in[0], out[1], err[1], status[1], sync[1]};
  int self = sys_pidfd_open(getpid());
  session->pid = start_in_container(spec, container, &streams, self);
  if (session->pid < 0) fail("cannot fork");
  close(self), close(status[1]), close(sync[1]);
  if (in[0] >= 0) close(in[0]);
  if (out[1] >= 0) close(out[1]), close(err[1]);
  session->in = in[1], session->out = out[0], session->err = err[0], session->status = status[0], session->sync = sync[0];
  session->terminal = -1;
  int ends[] = {session->in, session->out, session->err, session->status};
  for (size_t at = 0; at < sizeof ends / sizeof *ends; at++)
    if (ends[at] >= 0) fcntl(ends[at], F_SETFL, O_NONBLOCK);
  if (!spec->tty) close(session->sync), session->sync = -1;
}

/* The terminal is there before the program is, or the attempt has failed. */
static void take_terminal(struct session *session) {
  session->terminal = receive_fd(session->sync);
  if (session->terminal >= 0) {
    fcntl(session->terminal, F_SETFL, O_NONBLOCK);
    set_window(session);
    /* Who waits for it may have been killed. */
    (void)!send(session->sync, "", 1, MSG_NOSIGNAL);
  }
  close(session->sync);
  session->sync = -1;
}

/*
 * What the client still sends must not meet a closed connection: Node gives up a socket that it cannot write to, with what has come there and
 * was not read, such as the program's last words and its end.
 */
static void wait_for_client(const struct session *session) {
  char ignored[4096];
  if (session->connection < 0) return;
  shutdown(session->connection, SHUT_WR);
  struct pollfd wait = {session->connection, POLLIN, 0};
  while (poll(&wait, 1, LAST_INPUT) > 0 && read(session->connection, ignored, sizeof ignored) > 0) continue;
}

_Noreturn void serve_exec(struct step_spec *spec, int container, int connection, struct queue *in, const struct frame *request, int parent) {
  static struct session session;
  status_fd = connection;
  status_framed = true;
  stage = "exec";
  die_with_parent(parent);
  fcntl(connection, F_SETFL, 0);
  session.connection = connection;
  session.program = -1;
  spec->args = spec->env = (struct list){0};
  spec->tty = spec->stdin_open = false;
  /* The first byte says whether the program outlives its client. */
  if (request->length < 1) fail_with(0, "an empty request");
  session.detached = request->data[0] == 'd';
  char *description = allocate(request->length);
  memcpy(description, request->data + 1, request->length - 1);
  parse_description(spec, description, request->length - 1);
  /* The container's own filter is for programs that do not ask for less. */
  if (spec->insecure) spec->filter.count = 0;
  session.from_client = *in;
  start(&session, spec, container);
  int signals = catch_signals(), wait_status = 0;
  bool broken = false;
  for (struct frame frame; queue_take_frame(&session.from_client, &frame, &broken);) take_request(&session, &frame);
  for (;;) {
    bool writes = queue_length(&session.to_program) > 0;
    int to = session.terminal >= 0 ? session.terminal : session.in;
    /* One who sends faster than the program reads waits. */
    bool reads = queue_length(&session.to_program) < 262144;
    struct pollfd waits[] = {
        {signals, POLLIN, 0},
        {reads ? session.connection : -1, POLLIN, 0},
        {session.status, POLLIN, 0},
        {session.sync, POLLIN, 0},
        {session.terminal >= 0 ? -1 : session.out, POLLIN, 0},
        {session.err, POLLIN, 0},
        {session.terminal, POLLIN, 0},
        {writes ? to : -1, POLLOUT, 0},
    };
    if (poll(waits, sizeof waits / sizeof *waits, -1) < 0 && errno != EINTR) fail("cannot wait");
    if (waits[3].revents != 0) take_terminal(&session);
    if (waits[2].revents != 0) read_status(&session);
    if (waits[1].revents != 0 && session.connection >= 0) read_client(&session);
    if (waits[4].revents != 0) pass_output(&session, &session.out, FRAME_OUTPUT);
    if (waits[5].revents != 0) pass_output(&session, &session.err, FRAME_ERRORS);
    if (waits[6].revents != 0) pass_output(&session, &session.terminal, FRAME_OUTPUT);
    if (waits[7].revents != 0) write_input(&session);
    struct signalfd_siginfo info;
    bool ended = false;
    while (read(signals, &info, sizeof info) == sizeof info)
      if (info.ssi_signo == SIGCHLD && waitpid(session.pid, &wait_status, WNOHANG) == session.pid) ended = true;
    if (ended) break;
  }
  while (session.status >= 0) {
    fcntl(session.status, F_SETFL, 0);
    read_status(&session);
  }
  if (session.sync >= 0) take_terminal(&session);
  while (session.terminal >= 0 && pass_output(&session, &session.terminal, FRAME_OUTPUT)) continue;
  while (session.out >= 0 && pass_output(&session, &session.out, FRAME_OUTPUT)) continue;
  while (session.err >= 0 && pass_output(&session, &session.err, FRAME_ERRORS)) continue;
  char text[12];
  tell(&session, FRAME_END, text, (size_t)snprintf(text, sizeof text, "%d", exit_code_of(wait_status)));
  wait_for_client(&session);
  _exit(0);
}
