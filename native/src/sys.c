/* Kernel calls that C libraries lack, with their own constants so that no kernel headers are needed. */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The same on every architecture since 5.1. */
enum {
  NR_open_tree = 428,
  NR_move_mount = 429,
  NR_fsopen = 430,
  NR_fsconfig = 431,
  NR_fsmount = 432,
  NR_pidfd_open = 434,
  NR_close_range = 436,
  NR_openat2 = 437,
  NR_mount_setattr = 442,
};

void *allocate(size_t size) {
  void *memory = calloc(1, size == 0 ? 1 : size);
  if (memory == NULL) fail_with(ENOMEM, "cannot allocate %zu bytes", size);
  return memory;
}

char *format_text(const char *format, ...) {
  char *text = NULL;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  if (length < 0) fail_with(ENOMEM, "cannot format a text");
  return text;
}

char *read_fd(int fd, size_t limit, size_t *length) {
  size_t capacity = 16384, used = 0;
  char *data = allocate(capacity + 1);
  for (;;) {
    if (used == capacity) {
      capacity *= 2;
      data = realloc(data, capacity + 1);
      if (data == NULL) fail_with(ENOMEM, "cannot allocate %zu bytes", capacity);
    }
    ssize_t got = read(fd, data + used, capacity - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read");
    if (got == 0) break;
    used += (size_t)got;
    if (used > limit) fail_with(EFBIG, "more than %zu bytes", limit);
  }
  data[used] = 0;
  *length = used;
  return data;
}

bool read_exactly(int fd, void *data, size_t length) {
  char *at = data;
  for (size_t left = length; left > 0;) {
    ssize_t got = read(fd, at, left);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read");
    if (got == 0 && left == length) return false;
    if (got == 0) fail_with(0, "%zu bytes are missing", left);
    at += got;
    left -= (size_t)got;
  }
  return true;
}

void write_fd(int fd, const void *data, size_t length) {
  const char *at = data;
  while (length > 0) {
    ssize_t written = write(fd, at, length);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot write");
    at += written;
    length -= (size_t)written;
  }
}

unsigned long long parse_number(const char *text, unsigned long long limit) {
  unsigned long long value = 0;
  if (*text == 0) fail_with(0, "empty number");
  for (const char *at = text; *at != 0; at++) {
    if (*at < '0' || *at > '9') fail_with(0, "\"%.40s\" is not a number", text);
    unsigned digit = (unsigned)(*at - '0');
    if (value > (limit - digit) / 10) fail_with(0, "the number %.40s is too large", text);
    value = value * 10 + digit;
  }
  return value;
}

int sys_openat2(int dir, const char *path, int flags, mode_t mode, unsigned resolve) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {(uint64_t)(unsigned)flags | O_CLOEXEC, mode, resolve};
  /* The kernel gives EAGAIN when a rename elsewhere makes ".." ambiguous. */
  for (int attempt = 0;; attempt++) {
    int fd = (int)syscall(NR_openat2, dir, path, &how, sizeof how);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || attempt >= 100) return fd;
  }
}

int sys_fsopen(const char *type) { return (int)syscall(NR_fsopen, type, 1 /* FSOPEN_CLOEXEC */); }

int sys_fsconfig(int context, const char *key, const char *value) {
  return (int)syscall(NR_fsconfig, context, value == NULL ? 0 /* SET_FLAG */ : 1 /* SET_STRING */, key, value, 0);
}

int sys_fsmount(int context, unsigned attributes) {
  if (syscall(NR_fsconfig, context, 6 /* CMD_CREATE */, NULL, NULL, 0) < 0) return -1;
  return (int)syscall(NR_fsmount, context, 1 /* FSMOUNT_CLOEXEC */, attributes);
}

int sys_open_tree(int fd, bool recursive) {
  unsigned flags = 1u /* OPEN_TREE_CLONE */ | O_CLOEXEC | 0x1000u /* AT_EMPTY_PATH */ | (recursive ? 0x8000u /* AT_RECURSIVE */ : 0);
  return (int)syscall(NR_open_tree, fd, "", flags);
}

int sys_move_mount(int mount, int target) {
  return (int)syscall(NR_move_mount, mount, "", target, "", 0x4 /* F_EMPTY_PATH */ | 0x40 /* T_EMPTY_PATH */);
}

int sys_mount_setattr(int fd, bool recursive, unsigned attributes) {
  struct {
    uint64_t set, clear, propagation, userns;
  } change = {attributes, 0, 0, 0};
  return (int)syscall(NR_mount_setattr, fd, "", 0x1000u | (recursive ? 0x8000u : 0), &change, sizeof change);
}

int sys_protect_file(int file) {
  int copy = sys_open_tree(file, false);
  if (copy < 0) return -1;
  bool done = sys_mount_setattr(copy, false, MOUNT_RDONLY_ | MOUNT_NOSUID_ | MOUNT_NODEV_) == 0 && sys_move_mount(copy, file) == 0;
  int error = errno;
  close(copy);
  errno = error;
  return done ? 0 : -1;
}

int sys_pidfd_open(pid_t pid) { return (int)syscall(NR_pidfd_open, pid, 0); }

pid_t sys_fork_into(int flags, int *pidfd) {
  if (pidfd != NULL) flags |= 0x1000; /* CLONE_PIDFD */
#if defined(__s390__)
#error "clone takes its arguments in another order here"
#endif
  /* Like fork: no stack of its own, so the child runs on a copy of this one. */
  return (pid_t)syscall(SYS_clone, (unsigned long)(unsigned)flags | SIGCHLD, NULL, pidfd, NULL, NULL);
}

int sys_close_range(unsigned first, unsigned last, unsigned flags) {
  return (int)syscall(NR_close_range, first, last, flags);
}

int proc_number(int proc, int pidfd) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "%sself/fdinfo/%d", proc < 0 ? "/proc/" : "", pidfd);
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (got < 0) return 0;
  text[got] = 0;
  const char *line = strstr(text, "\nPid:\t");
  int number = line == NULL ? 0 : atoi(line + 6);
  return number > 0 ? number : 0;
}

void die_with_parent(int parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  struct pollfd dead = {parent, POLLIN, 0};
  if (parent >= 0 && poll(&dead, 1, 0) > 0) _exit(EXIT_SETUP);
}

int catch_signals(void) {
  sigset_t all;
  sigfillset(&all);
  /* Faults of this program must end it. */
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  for (size_t at = 0; at < sizeof faults / sizeof *faults; at++) sigdelset(&all, faults[at]);
  if (sigprocmask(SIG_SETMASK, &all, NULL) < 0) fail("cannot block signals");
  int fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) fail("cannot make a signal descriptor");
  return fd;
}

void release_signals(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

pid_t start_command(char *const *command) {
  int self = sys_pidfd_open(getpid());
  if (self < 0) fail("cannot make descriptors");
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child > 0) {
    close(self);
    return child;
  }
  die_with_parent(self);
  release_signals();
  stage = "exec";
  execvp(command[0], command);
  fail("cannot execute \"%s\"", command[0]);
}

int supervise(pid_t child, int signals) {
  fcntl(signals, F_SETFL, 0);
  for (;;) {
    struct signalfd_siginfo info;
    ssize_t got = read(signals, &info, sizeof info);
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof info) fail("cannot read signals");
    if (info.ssi_signo != SIGCHLD) {
      kill(child, (int)info.ssi_signo);
      continue;
    }
    for (;;) {
      int status;
      pid_t ended = waitpid(-1, &status, WNOHANG);
      if (ended <= 0) break;
      if (ended == child) return status;
    }
  }
}

int exit_code_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}
