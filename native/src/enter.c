/*
 * enter: namespace A. Three processes: this one (outside, writes the id maps), PID 1 of a new pid namespace (its death is the
 * death of everything inside, whatever a step does to escape its own parent's death), and the command. With `--shares-processes` there is no such
 * namespace, for from within it nobody could enter that of another container: whoever starts processes there ends them (share.c).
 */
#include "beside.h"
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct id_range {
  char *inside, *outside, *count;
};

/* One kind of ids: how they map and, unless written directly, the program that may write it. */
struct id_map {
  struct id_range ranges[340]; /* the kernel's limit */
  size_t count;
  const char *program;
};

struct entry {
  struct id_map uids, gids;
  const char *tmpfs;
  pid_t parent;
  bool few_groups; /* there is one id only, which the kernel maps for anybody who gives up setgroups */
  bool shares_processes; /* no pid namespace: the command is to start processes in those of others */
  bool detached; /* lives on when its parent ends */
  int beside;    /* a user namespace that others have made; -1: one of its own */
  char **command;
};

static void add_range(struct id_map *map, char *text) {
  if (map->count == sizeof map->ranges / sizeof *map->ranges) fail_with(0, "more than 340 id ranges");
  struct id_range *range = &map->ranges[map->count++];
  char *rest = text;
  range->inside = strsep(&rest, ":");
  range->outside = strsep(&rest, ":");
  range->count = strsep(&rest, ":");
  if (range->count == NULL || rest != NULL) fail_with(0, "malformed id range");
  parse_number(range->inside, 4294967295);
  parse_number(range->outside, 4294967295);
  parse_number(range->count, 4294967295);
}

static void parse(struct entry *entry, int argc, char **argv) {
  int at = 0;
  for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
    if (strcmp(argv[at], "--uid") == 0) add_range(&entry->uids, argv[at + 1]);
    else if (strcmp(argv[at], "--gid") == 0) add_range(&entry->gids, argv[at + 1]);
    else if (strcmp(argv[at], "--newuidmap") == 0) entry->uids.program = argv[at + 1];
    else if (strcmp(argv[at], "--newgidmap") == 0) entry->gids.program = argv[at + 1];
    else if (strcmp(argv[at], "--tmpfs") == 0) entry->tmpfs = argv[at + 1];
    else if (strcmp(argv[at], "--deny-setgroups") == 0) entry->few_groups = parse_number(argv[at + 1], 1) == 1;
    else if (strcmp(argv[at], "--detached") == 0) entry->detached = parse_number(argv[at + 1], 1) == 1;
    else if (strcmp(argv[at], "--shares-processes") == 0) entry->shares_processes = parse_number(argv[at + 1], 1) == 1;
    else if (strcmp(argv[at], "--beside") == 0) entry->beside = entry->beside >= 0 ? entry->beside : namespace_beside(argv[at + 1]);
    else if (strcmp(argv[at], "--parent") == 0) entry->parent = (pid_t)parse_number(argv[at + 1], 1 << 30);
    else fail_with(0, "unknown option \"%s\"", argv[at]);
  }
  if (at + 1 >= argc || entry->uids.count == 0 || entry->gids.count == 0) fail_with(0, "incomplete arguments");
  entry->command = argv + at + 1;
}

static void write_map(pid_t child, const char *name, const struct id_map *map) {
  char text[4096], path[64];
  size_t length = 0;
  for (size_t at = 0; at < map->count; at++) {
    const struct id_range *range = &map->ranges[at];
    length += (size_t)snprintf(text + length, sizeof text - length, "%s %s %s\n", range->inside, range->outside, range->count);
    if (length >= sizeof text) fail_with(0, "the id map is longer than a page");
  }
  snprintf(path, sizeof path, "/proc/%d/%s", child, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, length) != (ssize_t)length) fail("cannot write %s", name);
  close(fd);
}

static pid_t start_map_program(pid_t child, const struct id_map *map) {
  char number[16];
  char *argv[3 + 3 * 340];
  size_t count = 0;
  snprintf(number, sizeof number, "%d", child);
  argv[count++] = (char *)map->program;
  argv[count++] = number;
  for (size_t at = 0; at < map->count; at++) {
    argv[count++] = map->ranges[at].inside;
    argv[count++] = map->ranges[at].outside;
    argv[count++] = map->ranges[at].count;
  }
  argv[count] = NULL;
  char *environment[] = {NULL};
  pid_t pid = fork();
  if (pid < 0) fail("cannot fork");
  if (pid == 0) {
    release_signals();
    execve(map->program, argv, environment);
    fail("cannot execute \"%s\"", map->program);
  }
  return pid;
}

static void finish_map_program(pid_t pid, const char *program) {
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) fail("cannot wait for \"%s\"", program);
  /* It has said on stderr what it disliked. */
  if (status != 0) fail_with(0, "\"%s\" refused the id map (status %d)", program, exit_code_of(status));
}

/* user_namespaces(7): whoever could leave a group could enter where that group is kept out. */
static void deny_setgroups(pid_t child) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/setgroups", child);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "deny", 4) != 4) fail("cannot write setgroups");
  close(fd);
}

static void map_ids(pid_t child, const struct entry *entry) {
  stage = "id-map";
  if (entry->few_groups) deny_setgroups(child);
  if (entry->uids.program == NULL || entry->gids.program == NULL) {
    write_map(child, "uid_map", &entry->uids);
    write_map(child, "gid_map", &entry->gids);
    return;
  }
  /* Both at once: each costs a process. */
  pid_t uids = start_map_program(child, &entry->uids), gids = start_map_program(child, &entry->gids);
  finish_map_program(uids, entry->uids.program);
  finish_map_program(gids, entry->gids.program);
}

/* No step can write through /proc/1/exe to a binary that will run again outside (CVE-2019-5736). */
static void protect_own_file(void) {
  /* By name: the link itself leads to a mount of the old namespace, which cannot be copied here. */
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) fail("cannot read /proc/self/exe");
  path[length] = 0;
  struct stat by_link, by_name;
  int self = open(path, O_PATH | O_CLOEXEC);
  if (self < 0 || fstat(self, &by_name) < 0 || stat("/proc/self/exe", &by_link) < 0) fail("cannot open \"%s\"", path);
  if (by_link.st_dev != by_name.st_dev || by_link.st_ino != by_name.st_ino) fail_with(0, "\"%s\" is no longer the helper", path);
  if (sys_protect_file(self) < 0) fail("cannot make the helper read-only");
  close(self);
}

static _Noreturn void run_inside(const struct entry *entry, int go, int outer) {
  stage = "namespace";
  die_with_parent(outer);
  char byte;
  if (read(go, &byte, 1) != 1) _exit(EXIT_SETUP);
  /* The ids decide over files; supplementary groups stay, since the user's own files may need them. */
  if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) fail("cannot become root of the namespace");
  die_with_parent(outer);
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("cannot make mounts private");
  protect_own_file();
  if (entry->tmpfs != NULL && mount("tsbuild", entry->tmpfs, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
    fail("cannot mount a tmpfs on \"%s\"", entry->tmpfs);
  pid_t command = start_command(entry->command);
  sys_close_range(3, ~0u, 0);
  int status = supervise(command, catch_signals());
  /* Of a supervisor that was killed there are processes left. Beside others there may be theirs, too. */
  if (entry->shares_processes && entry->beside < 0) end_all_below();
  _exit(exit_code_of(status));
}

int command_enter(int argc, char **argv) {
  stage = "enter";
  static struct entry entry = {.beside = -1};
  parse(&entry, argc, argv);
  if (!entry.detached && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  if (entry.parent != 0 && getppid() != entry.parent) return EXIT_SETUP;
  int signals = catch_signals();
  int go[2], self = sys_pidfd_open(getpid());
  if (self < 0 || pipe2(go, O_CLOEXEC) < 0) fail("cannot make descriptors");
  stage = "namespace";
  if (entry.beside >= 0 && setns(entry.beside, CLONE_NEWUSER) < 0) fail("cannot enter the namespace of the network");
  pid_t child = sys_fork_into((entry.beside >= 0 ? 0 : CLONE_NEWUSER) | CLONE_NEWNS | (entry.shares_processes ? 0 : CLONE_NEWPID), NULL);
  if (child < 0) fail("cannot make a user namespace");
  if (child == 0) {
    close(go[1]);
    run_inside(&entry, go[0], self);
  }
  if (entry.beside < 0) map_ids(child, &entry);
  if (write(go[1], "", 1) != 1) fail("cannot start the namespace");
  /* Copies of what the command was given (an IPC channel, pipes) would hide its end from the other side. */
  if (dup2(signals, 3) < 0) fail("cannot move a descriptor");
  sys_close_range(4, ~0u, 0);
  return exit_code_of(supervise(child, 3));
}
