/*
 * here: what `enter` is where no namespace can be made. Runs a command, and sees to it that nothing of it outlives this process's parent:
 * orphans come to this process, which ends all that descends from it. (Whoever kills this process itself lets daemons of a step go.)
 */
#include "copies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

struct process {
  pid_t pid, parent, group, session;
  char state;
  bool ours;
};

/* What /proc has of a process; false when it is gone. */
static bool read_process(int proc, const char *name, struct process *process) {
  char path[40], text[512];
  snprintf(path, sizeof path, "%.20s/stat", name);
  int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return false;
  text[got] = 0;
  /* The name of the program, in brackets, may have any characters. */
  const char *end = strrchr(text, ')');
  if (end == NULL || sscanf(end + 1, " %c %d %d %d", &process->state, &process->parent, &process->group, &process->session) != 4) return false;
  process->pid = atoi(name);
  process->ours = process->parent == getpid();
  return true;
}

/* guard.c */
static bool is_guard(const struct process *process) {
  return process->session == getsid(0) && process->group == process->pid && process->group != getpgrp();
}

static size_t list_processes(struct process **found) {
  DIR *proc = opendir("/proc");
  if (proc == NULL) fail("cannot read /proc");
  struct process *all = NULL;
  size_t count = 0;
  for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    struct process process;
    if (!read_process(dirfd(proc), entry->d_name, &process) || process.parent == 0) continue;
    if ((count & (count - 1)) == 0) all = realloc(all, (count == 0 ? 1 : count * 2) * sizeof *all);
    if (all == NULL) fail_with(ENOMEM, "cannot list processes");
    all[count++] = process;
  }
  closedir(proc);
  *found = all;
  return count;
}

/* One that has ended already is none. */
static bool is_program(const struct process *process) { return process->session != getsid(0) && process->state != 'Z'; }

static bool is_no_guard(const struct process *process) { return !is_guard(process); }

/* Those that it asks for. Gives how many there were. */
static size_t kill_descendants(bool (*wanted)(const struct process *process)) {
  struct process *all;
  size_t killed = 0, count = list_processes(&all);
  for (bool more = true; more;) {
    more = false;
    for (size_t at = 0; at < count; at++)
      for (size_t other = 0; !all[at].ours && other < count; other++)
        if (all[other].ours && all[other].pid == all[at].parent) more = all[at].ours = true;
  }
  for (size_t at = 0; at < count; at++)
    if (all[at].ours && wanted(&all[at]) && kill(all[at].pid, SIGKILL) == 0) killed++;
  free(all);
  return killed;
}

void end_descendants(bool guards) {
  /* Whoever was starting another process while the list was read is met the next time. */
  for (int waited = 0; waited < PATIENCE_MS; waited++) {
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0) continue;
    if (ended < 0 && errno == ECHILD) return;
    if (kill_descendants(is_no_guard) == 0 && !guards) return;
    poll(NULL, 0, 1);
  }
}

void end_programs(void) {
  for (int waited = 0; waited < PATIENCE_MS && kill_descendants(is_program) > 0; waited++) poll(NULL, 0, 1);
}

/* Waits until the command or the parent has ended; passes signals on. Gives the command's wait status. */
static int attend(pid_t command, int signals, int parent) {
  for (;;) {
    struct pollfd waits[2] = {{signals, POLLIN, 0}, {parent, POLLIN, 0}};
    if (poll(waits, parent < 0 ? 1 : 2, -1) < 0 && errno != EINTR) fail("cannot wait");
    if (waits[1].revents != 0) return SIGKILL;
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo != SIGCHLD) kill(command, (int)info.ssi_signo);
      int status;
      for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
        if (ended == command) return status;
    }
  }
}

int command_here(int argc, char **argv) {
  stage = "here";
  if (argc < 4 || strcmp(argv[0], "--parent") != 0 || strcmp(argv[2], "--") != 0) fail_with(0, "incomplete arguments");
  int parent = sys_pidfd_open((pid_t)parse_number(argv[1], 1 << 30));
  /* It has died already. */
  if (parent < 0 || getppid() != (pid_t)parse_number(argv[1], 1 << 30)) return EXIT_SETUP;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("cannot become a subreaper");
  int signals = catch_signals();
  pid_t command = start_command(argv + 3);
  /* As in enter: copies of what the command was given would hide its end from the other side. */
  enum { SIGNALS = 100, PARENT = 101 };
  if (dup2(signals, SIGNALS) < 0 || dup2(parent, PARENT) < 0) fail("cannot move descriptors");
  sys_close_range(3, SIGNALS - 1, 0);
  sys_close_range(PARENT + 1, ~0u, 0);
  int status = attend(command, SIGNALS, PARENT);
  end_descendants(true);
  return exit_code_of(status);
}
