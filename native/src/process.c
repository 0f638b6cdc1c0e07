/* The last stretch: from root of the new namespaces to the step's program. */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { LAST_CAPABILITY = 63, CAPABILITY_VERSION_3 = 0x20080522, SECCOMP_FILTER = 2, KEYCTL_JOIN_SESSION = 1 };

void bring_loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("cannot make a socket");
  if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) fail("cannot read the state of the loopback interface");
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) fail("cannot bring the loopback interface up");
  close(fd);
}

static const char *find_variable(const struct step_spec *spec, const char *name) {
  size_t length = strlen(name);
  for (size_t at = 0; at < spec->env.count; at++)
    if (strncmp(spec->env.items[at], name, length) == 0 && spec->env.items[at][length] == '=') return spec->env.items[at] + length + 1;
  return NULL;
}

static void add_home(struct step_spec *spec, const char *home) {
  if (find_variable(spec, "HOME") != NULL) return;
  char **items = allocate((spec->env.count + 2) * sizeof *items);
  for (size_t at = 0; at < spec->env.count; at++) items[at] = spec->env.items[at];
  items[spec->env.count++] = format_text("HOME=%s", home);
  spec->env.items = items;
}

/*
 * Since 5.14 RLIMIT_NPROC counts the processes of one user in one user namespace: with a namespace per step, those of the step. Before,
 * it counted all that the user runs on the machine, and would strike at random; then there is none. What is lower already stays.
 */
static void limit_processes(unsigned long long most) {
  struct utsname system;
  struct rlimit limit;
  int major = 0, minor = 0;
  if (uname(&system) < 0 || sscanf(system.release, "%d.%d", &major, &minor) != 2) return;
  if (major < 5 || (major == 5 && minor < 14)) return;
  if (getrlimit(RLIMIT_NPROC, &limit) < 0) fail("cannot read the limit of processes");
  if (limit.rlim_max > most) limit.rlim_max = most;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NPROC, &limit) < 0) fail("cannot limit the processes");
}

static void set_limits(const struct step_spec *spec) {
  stage = "limits";
  if (spec->process_limit > 0) limit_processes(spec->process_limit);
  for (size_t at = 0; at < spec->limit_count; at++) {
    struct rlimit limit = {spec->limits[at].soft, spec->limits[at].hard};
    if (setrlimit(spec->limits[at].resource, &limit) < 0) fail("cannot set limit %d", spec->limits[at].resource);
  }
}

static void enter_directory(int cwd, const char *path) {
  stage = "cwd";
  char where[4096];
  if (fchdir(cwd) < 0) fail("cannot enter \"%s\"", path);
  /* A directory that is not beneath the root has no name in it (CVE-2024-21626). */
  if (getcwd(where, sizeof where) == NULL || where[0] != '/') fail_with(0, "\"%s\" is not inside the root", path);
}

static void drop_bounding_set(uint64_t keep) {
  for (int capability = 0; capability <= LAST_CAPABILITY; capability++) {
    if (keep >> capability & 1) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL) fail("cannot drop capability %d", capability);
  }
}

static void set_capabilities(uint64_t set) {
  struct {
    uint32_t version;
    int pid;
  } header = {CAPABILITY_VERSION_3, 0};
  struct {
    uint32_t effective, permitted, inheritable;
  } data[2] = {0};
  if (syscall(SYS_capget, &header, data) < 0) fail("cannot read capabilities");
  for (int half = 0; half < 2; half++) {
    data[half].permitted &= (uint32_t)(set >> (32 * half));
    data[half].effective = data[half].permitted;
    data[half].inheritable = 0;
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (syscall(SYS_capset, &header, data) < 0) fail("cannot set capabilities");
}

void give_up_capabilities(void) { set_capabilities(0); }

static void load_filter(const struct filter *filter, bool bare) {
  struct {
    unsigned short length;
    void *instructions;
  } program = {(unsigned short)filter->count, filter->instructions};
  if (filter->count == 0 || prctl(PR_SET_SECCOMP, SECCOMP_FILTER, &program, 0, 0) == 0) return;
  /* Where a container gives no right to it and setuid programs are to work, the container's own filter stays. */
  if (!bare || errno != EACCES) fail("cannot load the seccomp filter");
}

/*
 * The invoking user's session keyring may hold credentials (Kerberos, fscrypt, CIFS), so the step gets an empty one. A kernel without
 * keyrings has none to leave, and where a surrounding container forbids keyctl the step cannot call it either, for filters are
 * inherited. Anything else, such as a full quota, would hand the keyring on.
 */
static void leave_keyring(void) {
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION, NULL, 0, 0, 0) < 0 && errno != ENOSYS && errno != EPERM)
    fail("cannot leave the session keyring");
}

/* From here on the ids that are set are told, not had. */
static void fake_users(const struct step_spec *spec) {
  int listener = install_fakes(spec->fakes_socket >= 0);
  if (listener < 0) return;
  send_fd(spec->fakes_socket, listener);
  close(listener);
}

static void drop_privileges(const struct step_spec *spec, const struct identity *identity, int parent) {
  stage = "privileges";
  leave_keyring();
  drop_bounding_set(spec->capabilities);
  /* While CAP_SYS_ADMIN is there, as for the filter. Who asked for --security=insecure asked for the machine. */
  if (!spec->insecure && !spec->scoped) restrict_scope(spec->bare, !shares_processes(spec));
  if (spec->fakes) fake_users(spec);
  if (setgroups(identity->group_count, identity->groups) < 0) fail("cannot set the supplementary groups");
  if (spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("cannot set no_new_privs");
  /* While CAP_SYS_ADMIN is there: without no_new_privs the filter needs it. Everything below passes the filter. */
  if (spec->tree != NULL && writes_layers_only(spec)) skip_syncs();
  load_filter(&spec->filter, spec->bare);
  if (setresgid(identity->gid, identity->gid, identity->gid) < 0) fail("cannot become group %u", identity->gid);
  if (setresuid(identity->uid, identity->uid, identity->uid) < 0) fail("cannot become user %u", identity->uid);
  /* To the kernel it stays root of its namespace, whoever it is told to be. */
  set_capabilities(identity->uid == 0 || spec->fakes ? spec->capabilities : 0);
  /* Again: a change of ids clears it. */
  die_with_parent(parent);
}

static void execute_in_path(const struct step_spec *spec, const char *name) {
  const char *path = find_variable(spec, "PATH");
  int error = ENOENT;
  while (path != NULL && *path != 0) {
    size_t length = strcspn(path, ":");
    if (length > 0) {
      char *file = format_text("%.*s/%s", (int)length, path, name);
      execve(file, spec->args.items, spec->env.items);
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) fail("%s", file);
      if (errno == EACCES) error = EACCES;
      free(file);
    }
    path += length;
    if (*path == ':') path++;
  }
  fail_with(error, "%s", name);
}

static _Noreturn void execute(const struct step_spec *spec) {
  stage = "exec";
  release_signals();
  const char *program = spec->args.items[0];
  if (*program == 0) fail_with(ENOENT, "%s", program);
  if (strchr(program, '/') == NULL) execute_in_path(spec, program);
  execve(program, spec->args.items, spec->env.items);
  fail("%s", program);
}

/* `docker run --init`: this program stays as PID 1. Not dumpable, so that the step cannot look into it. */
static void run_under_init(struct step_spec *spec) {
  stage = "init";
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  int signals = catch_signals(), executed[2];
  if (pipe2(executed, O_CLOEXEC) < 0) fail("cannot make a pipe");
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    close(signals);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    execute(spec);
  }
  close(executed[1]);
  char byte;
  while (read(executed[0], &byte, 1) < 0 && errno == EINTR) continue;
  close(executed[0]);
  status_line("ran");
  int status = supervise(child, signals);
  report_end(status);
  _exit(exit_code_of(status));
}

void drop_and_execute(struct step_spec *spec, const struct identity *identity, int cwd, int parent, int keep) {
  add_home(spec, identity->home);
  set_limits(spec);
  enter_directory(cwd, spec->cwd);
  drop_privileges(spec, identity, parent);
  /* Only the status descriptor stays, closed by a successful exec. A directory left open here would be a way out. */
  if (dup2(keep, 3) < 0 || sys_close_range(4, ~0u, 0) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) < 0) fail("cannot close descriptors");
  status_fd = 3;
  if (spec->init) run_under_init(spec);
  execute(spec);
}
