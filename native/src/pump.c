/*
 * The outer half of a step: passes bytes and signals both ways until the step ends. The step's descriptors are always pipes or a
 * terminal of its own, never what the caller was started with: no terminal to push input into (TIOCSTI), no file to reopen, and
 * /dev/stdout can be opened, which it could not if it were the socket that Node makes.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { SAFE_WRITE = 4096 /* PIPE_BUF: never blocks on a pipe that poll says is writable */ };

static struct termios original;
static int raw_terminal = -1;

bool make_raw(int fd) {
  if (!isatty(fd) || tcgetattr(fd, &original) < 0) return false;
  struct termios raw = original;
  cfmakeraw(&raw);
  if (tcsetattr(fd, TCSANOW, &raw) < 0) return false;
  raw_terminal = fd;
  before_exit = restore_terminal;
  return true;
}

void restore_terminal(void) {
  if (raw_terminal >= 0) tcsetattr(raw_terminal, TCSANOW, &original);
  raw_terminal = -1;
}

struct winsize *window_size = NULL;

static void copy_window_size(int terminal) {
  struct winsize size;
  if (window_size != NULL && window_size->ws_row > 0) {
    ioctl(terminal, TIOCSWINSZ, window_size);
    return;
  }
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (ioctl(fd, TIOCGWINSZ, &size) < 0) continue;
    ioctl(terminal, TIOCSWINSZ, &size);
    return;
  }
}

static void finish(struct pump *pump) {
  pump->done = true;
  /* What says how far the step has come is closed by the program's execution, or by the end after an error. */
  if (pump->kind == FRAME_STATUS) (void)write_frame(pump->to, FRAME_STATUS, "ran\n", 4);
  close(pump->from);
  /* End of input for a pipe; the terminal stays open for output, and what carries frames for the others. */
  if (pump->kind == 0 && pump->to > STDERR_FILENO && !isatty(pump->to)) close(pump->to);
}

static void fill(struct pump *pump) {
  ssize_t got = read(pump->from, pump->buffer, sizeof pump->buffer);
  if (got > 0 && pump->kind != 0) {
    /* Nobody reads: the step gets SIGPIPE, as below. */
    if (!write_frame(pump->to, pump->kind, pump->buffer, (size_t)got)) finish(pump);
  } else if (got > 0) {
    pump->start = 0;
    pump->end = (size_t)got;
  } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    finish(pump);
  }
}

static void drain(struct pump *pump, bool wait) {
  size_t length = pump->end - pump->start;
  ssize_t written = send(pump->to, pump->buffer + pump->start, length, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
  if (written < 0 && errno == ENOTSOCK)
    written = write(pump->to, pump->buffer + pump->start, wait || length < SAFE_WRITE ? length : SAFE_WRITE);
  if (written >= 0) pump->start += (size_t)written;
  else if (errno != EAGAIN && errno != EINTR) finish(pump); /* Nobody reads: the step gets SIGPIPE, as it would from a shell. */
  else if (errno == EAGAIN && wait) poll(&(struct pollfd){pump->to, POLLOUT, 0}, 1, -1);
}

/* What the step wrote before its end. Whoever else still holds a writing end is not waited for. */
static void drain_rest(struct pump *pumps, size_t count) {
  for (size_t at = 0; at < count; at++) {
    struct pump *pump = &pumps[at];
    if (pump->kind == 0 && pump->to > STDERR_FILENO) continue;
    while (!pump->done) {
      while (!pump->done && pump->start < pump->end) drain(pump, true);
      if (pump->done || poll(&(struct pollfd){pump->from, POLLIN, 0}, 1, 0) <= 0) break;
      fill(pump);
      if (pump->kind == 0 && pump->start == pump->end) break;
    }
  }
}

/* Handles waiting signals; true when the step has ended. */
static bool take_signals(pid_t child, int signals, int terminal, int *status, struct rusage *usage) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) {
      if (wait4(child, status, WNOHANG, usage) == child) return true;
    } else if (info.ssi_signo == SIGWINCH && terminal >= 0) {
      copy_window_size(terminal);
    } else if (info.ssi_signo != SIGPIPE && info.ssi_signo != SIGTTOU && info.ssi_signo != SIGTTIN) {
      kill(child, (int)info.ssi_signo);
    }
  }
  return false;
}

int supervise_step(pid_t child, int signals, struct pump *pumps, size_t count, int terminal, struct rusage *usage) {
  int status = 0;
  if (terminal >= 0) copy_window_size(terminal);
  while (!take_signals(child, signals, terminal, &status, usage)) {
    struct pollfd waits[MAX_PUMPS + 1] = {{signals, POLLIN, 0}};
    for (size_t at = 0; at < count; at++) {
      bool full = pumps[at].start < pumps[at].end;
      waits[at + 1] = (struct pollfd){pumps[at].done ? -1 : full ? pumps[at].to : pumps[at].from, full ? POLLOUT : POLLIN, 0};
    }
    if (poll(waits, count + 1, -1) < 0 && errno != EINTR) fail("cannot wait for the step");
    for (size_t at = 0; at < count; at++) {
      if (pumps[at].done || waits[at + 1].revents == 0) continue;
      if (pumps[at].start < pumps[at].end) drain(&pumps[at], false);
      else fill(&pumps[at]);
    }
  }
  drain_rest(pumps, count);
  restore_terminal();
  return status;
}
