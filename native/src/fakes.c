/*
 * The filter that stops calls, and the loop that answers them. The filter holds for the step and all that descends from it. Programs of
 * the 32-bit kind are not asked about: they are told what the kernel says.
 *
 * An answer is about what the step's memory held when it was read; other threads may have changed it since. That gives nobody a right:
 * whatever the supervisor does it does in the asker's own root, to files that belong to the same id as the asker, who could do as much
 * himself (change owner, mode, times and attributes of his files, make files). Where the kernel is told to proceed, it decides as ever.
 * Only descriptors of files that the supervisor has just made itself are handed in.
 */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCH 0xc000003eu /* AUDIT_ARCH_X86_64 */
#elif defined(__aarch64__)
#define OWN_ARCH 0xc00000b7u /* AUDIT_ARCH_AARCH64 */
#else
#error "no numbers of system calls for this processor"
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* As in linux/seccomp.h. */
enum { SET_MODE_FILTER = 1, FLAG_NEW_LISTENER = 1 << 3, FLAG_WAIT_KILLABLE = 1 << 5, PROCEED = 1, ADDFD_SEND = 2, SYNC_WAKE_UP = 1 };
struct answer {
  uint64_t id;
  int64_t value;
  int32_t error;
  uint32_t flags;
};
struct added {
  uint64_t id;
  uint32_t flags, from, to, to_flags;
};
#define RECEIVE _IOWR('!', 0, struct question)
#define SEND _IOWR('!', 1, struct answer)
#define IS_VALID _IOW('!', 2, uint64_t)
#define ADD_DESCRIPTOR _IOW('!', 3, struct added)
#define SET_FLAGS _IOW('!', 4, uint64_t)

/* What an argument has to be. */
struct condition {
  enum { ANYTHING, ANY_BIT, EQUAL, EITHER } test;
  int argument;
  uint32_t value, other;
};
enum { CONDITIONS = 2 };

/* A call that is answered when its arguments are so. */
struct fake {
  int number;
  struct reply (*answer)(const struct call *);
  struct condition conditions[CONDITIONS];
  bool changes; /* told to have succeeded where nobody listens */
};

static const struct fake fakes[] = {
    {.number = SYS_getuid, .answer = fake_get_id},
    {.number = SYS_geteuid, .answer = fake_get_id},
    {.number = SYS_getgid, .answer = fake_get_id},
    {.number = SYS_getegid, .answer = fake_get_id},
    {.number = SYS_getresuid, .answer = fake_get_id},
    {.number = SYS_getresgid, .answer = fake_get_id},
    {.number = SYS_getgroups, .answer = fake_groups},
    {.number = SYS_setgroups, .answer = fake_groups, .changes = true},
    {.number = SYS_setuid, .answer = fake_set_id, .changes = true},
    {.number = SYS_setgid, .answer = fake_set_id, .changes = true},
    {.number = SYS_setreuid, .answer = fake_set_id, .changes = true},
    {.number = SYS_setregid, .answer = fake_set_id, .changes = true},
    {.number = SYS_setresuid, .answer = fake_set_id, .changes = true},
    {.number = SYS_setresgid, .answer = fake_set_id, .changes = true},
    {.number = SYS_setfsuid, .answer = fake_set_id, .changes = true},
    {.number = SYS_setfsgid, .answer = fake_set_id, .changes = true},
    {.number = SYS_fchown, .answer = fake_chown, .changes = true},
    {.number = SYS_fchownat, .answer = fake_chown, .changes = true},
    {.number = SYS_fstat, .answer = fake_stat},
    {.number = SYS_newfstatat, .answer = fake_stat},
    {.number = SYS_statx, .answer = fake_stat},
    {.number = SYS_openat, .answer = fake_create, .conditions = {{ANY_BIT, 2, O_CREAT, 0}}},
    {.number = SYS_openat2, .answer = fake_create},
    {.number = SYS_mkdirat, .answer = fake_create},
    {.number = SYS_mknodat, .answer = fake_create},
    {.number = SYS_symlinkat, .answer = fake_create},
    {.number = SYS_prctl, .answer = fake_keep, .conditions = {{EQUAL, 0, PR_SET_KEEPCAPS, 0}}},
    {.number = SYS_utimensat, .answer = fake_times, .conditions = {{ANY_BIT, 3, AT_SYMLINK_NOFOLLOW, 0}}},
    {.number = SYS_getsockopt, .answer = fake_peer, .conditions = {{EQUAL, 1, SOL_SOCKET, 0}, {EITHER, 2, SO_PEERCRED, SO_PEERGROUPS_}}},
#ifdef SYS_chown
    {.number = SYS_chown, .answer = fake_chown, .changes = true},
    {.number = SYS_lchown, .answer = fake_chown, .changes = true},
    {.number = SYS_stat, .answer = fake_stat},
    {.number = SYS_lstat, .answer = fake_stat},
    {.number = SYS_open, .answer = fake_create, .conditions = {{ANY_BIT, 1, O_CREAT, 0}}},
    {.number = SYS_creat, .answer = fake_create},
    {.number = SYS_mkdir, .answer = fake_create},
    {.number = SYS_mknod, .answer = fake_create},
    {.number = SYS_symlink, .answer = fake_create},
#endif
};
enum { FAKES = sizeof fakes / sizeof *fakes, MOST_INSTRUCTIONS = (3 + 3 * CONDITIONS) * FAKES + 32 };

/* ---- the filter ---- */

#define RETURN(what) {0x06 /* RET | K */, 0, 0, what}
#define RETURN_ALLOW RETURN(0x7fff0000u)
#define RETURN_ASK RETURN(0x7fc00000u /* SECCOMP_RET_USER_NOTIF */)
#define RETURN_SUCCESS RETURN(0x00050000u /* SECCOMP_RET_ERRNO, 0 */)
#define IF_ANY_BIT(mask, yes, no) {0x45 /* JMP | JSET | K */, yes, no, mask}
#define ARGUMENT(number) {0x20, 0, 0, (uint32_t)(offsetof(struct call, arguments) + 8 * (size_t)(number))}

struct program {
  unsigned short length;
  struct instruction *instructions;
};

#define PUT(program, ...)                                                                                            \
  do {                                                                                                               \
    static const struct instruction put[] = {__VA_ARGS__};                                                           \
    memcpy(&(program)->instructions[(program)->length], put, sizeof put);                                            \
    (program)->length += sizeof put / sizeof *put;                                                                   \
  } while (0)

static void put_one(struct program *program, struct instruction instruction) { program->instructions[program->length++] = instruction; }

static unsigned length_of(const struct condition *condition) { return condition->test == ANYTHING ? 0 : condition->test == EITHER ? 3 : 2; }

/* Goes on behind it, or as many instructions later as `otherwise` says. */
static void put_condition(struct program *program, const struct condition *condition, uint8_t otherwise) {
  if (condition->test == ANYTHING) return;
  put_one(program, (struct instruction)ARGUMENT(condition->argument));
  if (condition->test == EITHER) put_one(program, (struct instruction)IF_EQUAL(condition->other, 1, 0));
  put_one(program, condition->test == ANY_BIT ? (struct instruction)IF_ANY_BIT(condition->value, 0, otherwise) : (struct instruction)IF_EQUAL(condition->value, 0, otherwise));
}

/* Each call has its instructions to itself, so that no jump is long. */
static void make_filter(struct program *program, bool asking) {
  PUT(program, LOAD(arch), IF_EQUAL(OWN_ARCH, 1, 0), RETURN_ALLOW, LOAD(number));
  for (size_t at = 0; at < FAKES; at++) {
    const struct fake *fake = &fakes[at];
    if (!asking && !fake->changes) continue;
    unsigned rest = 0;
    for (int which = 0; which < CONDITIONS; which++) rest += length_of(&fake->conditions[which]);
    put_one(program, (struct instruction)IF_EQUAL((uint32_t)fake->number, 0, (uint8_t)(rest == 0 ? 1 : rest + 2)));
    bool conditional = rest > 0;
    for (int which = 0; which < CONDITIONS; which++) {
      rest -= length_of(&fake->conditions[which]);
      put_condition(program, &fake->conditions[which], (uint8_t)(rest + 1));
    }
    if (asking) PUT(program, RETURN_ASK);
    else PUT(program, RETURN_SUCCESS);
    if (conditional) PUT(program, RETURN_ALLOW);
  }
  /* Where who a process believes to be is kept (fake_ids.c): nobody else sets it. */
  PUT(program, IF_EQUAL(SYS_prlimit64, 0, 6), ARGUMENT(1), IF_EQUAL(RLIMIT_LOCKS, 0, 2), ARGUMENT(2), IF_EQUAL(0, 0, 1), RETURN_ALLOW, RETURN_SUCCESS);
#ifdef SYS_setrlimit
  PUT(program, IF_EQUAL(SYS_setrlimit, 0, 4), ARGUMENT(0), IF_EQUAL(RLIMIT_LOCKS, 1, 0), RETURN_ALLOW, RETURN_SUCCESS);
#endif
  PUT(program, RETURN_ALLOW);
}

static int load_unheard(const struct program *program) {
  if (syscall(SYS_seccomp, SET_MODE_FILTER, 0, program) < 0) fail("cannot load a seccomp filter");
  return -1;
}

int install_fakes(bool asking) {
  struct instruction instructions[MOST_INSTRUCTIONS];
  struct program program = {0, instructions};
  make_filter(&program, asking);
  if (!asking) return load_unheard(&program);
  /* A signal must not make the asker ask again what was done already, where the kernel can help it (5.19). */
  long listener = syscall(SYS_seccomp, SET_MODE_FILTER, FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE, &program);
  if (listener < 0 && errno == EINVAL) listener = syscall(SYS_seccomp, SET_MODE_FILTER, FLAG_NEW_LISTENER, &program);
  if (listener >= 0) return (int)listener;
  /* EBUSY: what surrounds this process listens already, and there can be one only. */
  if (errno != EBUSY && errno != EINVAL && errno != ENOSYS && errno != EPERM) fail("cannot load the filter that answers for owners and users");
  program.length = 0;
  make_filter(&program, false);
  return load_unheard(&program);
}

/* ---- the supervisor ---- */

struct supervisor supervisor;

bool read_memory(uint64_t address, void *data, size_t length) {
  struct iovec here = {data, length}, there = {(void *)(uintptr_t)address, length};
  return process_vm_readv((pid_t)supervisor.asked.pid, &here, 1, &there, 1, 0) == (ssize_t)length;
}

bool write_memory(uint64_t address, const void *data, size_t length) {
  struct iovec here = {(void *)(uintptr_t)data, length}, there = {(void *)(uintptr_t)address, length};
  return process_vm_writev((pid_t)supervisor.asked.pid, &here, 1, &there, 1, 0) == (ssize_t)length;
}

bool still_asks(void) { return ioctl(supervisor.listener, IS_VALID, &supervisor.asked.id) == 0; }

int open_process(pid_t pid) {
  /* One thread of several cannot be opened before 6.9: PIDFD_THREAD. */
  int pidfd = (int)syscall(434 /* pidfd_open */, pid, O_EXCL);
  return pidfd < 0 ? sys_pidfd_open(pid) : pidfd;
}

int number_of(pid_t pid) {
  if (supervisor.own_proc) return pid;
  int pidfd = open_process(pid);
  if (pidfd < 0) return 0;
  int number = proc_number(supervisor.proc, pidfd);
  close(pidfd);
  return number;
}

int asker_number(void) { return number_of((pid_t)supervisor.asked.pid); }

const char *process_field(int number, const char *name) {
  static char text[4096];
  char path[32];
  snprintf(path, sizeof path, "%d/status", number);
  int fd = openat(supervisor.proc, path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[got < 0 ? 0 : got] = 0;
  size_t length = strlen(name);
  for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = 0;
    if (strncmp(line, name, length) == 0 && line[length] == ':') return line + length + 1;
  }
  return NULL;
}

struct reply send_descriptor(int fd, bool close_on_exec) {
  struct added added = {.id = supervisor.asked.id, .flags = ADDFD_SEND, .from = (uint32_t)fd, .to_flags = close_on_exec ? O_CLOEXEC : 0};
  int got = ioctl(supervisor.listener, ADD_DESCRIPTOR, &added);
  int error = errno;
  if (got >= 0 || error == ENOENT) return (struct reply){REPLY_SENT, 0};
  if (error != EINVAL) return reply_error(error);
  /* Before 5.14, in two calls. */
  added.flags = 0;
  got = ioctl(supervisor.listener, ADD_DESCRIPTOR, &added);
  return got < 0 ? reply_error(errno) : reply_value(got);
}

static struct reply answer_call(const struct call *call) {
  for (size_t at = 0; at < FAKES; at++)
    if (fakes[at].number == call->number) return fakes[at].answer(call);
  return reply_proceed();
}

static _Noreturn void answer_all(void) {
  for (;;) {
    /* The kernel wants zeros there. */
    memset(&supervisor.asked, 0, sizeof supervisor.asked);
    if (ioctl(supervisor.listener, RECEIVE, &supervisor.asked) < 0) {
      /* The asker was killed meanwhile. */
      if (errno == ENOENT || errno == EINTR) continue;
      _exit(1);
    }
    struct reply reply = answer_call(&supervisor.asked.call);
    if (reply.kind == REPLY_SENT) continue;
    struct answer answer = {.id = supervisor.asked.id};
    if (reply.kind == REPLY_VALUE) answer.value = reply.value;
    else if (reply.kind == REPLY_ERROR) answer.error = -(int32_t)reply.value;
    else answer.flags = PROCEED;
    /* ENOENT: killed, too. */
    (void)ioctl(supervisor.listener, SEND, &answer);
  }
}

/* A /proc that shows what this process sees, wherever it will be; else the one around, where something hides parts of it. */
static void open_proc(void) {
  int context = sys_fsopen("proc");
  supervisor.proc = context < 0 ? -1 : sys_fsmount(context, MOUNT_NOSUID_ | MOUNT_NODEV_ | MOUNT_NOEXEC_);
  supervisor.own_proc = supervisor.proc >= 0;
  if (context >= 0) close(context);
  if (supervisor.proc < 0) supervisor.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (supervisor.proc < 0) fail("cannot open /proc");
}

pid_t start_supervisor(unsigned id_count, int *give) {
  stage = "supervisor";
  int self = sys_pidfd_open(getpid()), pair[2];
  if (self < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) fail("cannot make descriptors");
  supervisor.id_count = id_count;
  open_proc();
  pid_t pid = fork();
  if (pid < 0) fail("cannot start the supervisor");
  if (pid > 0) {
    close(supervisor.proc);
    close(self);
    close(pair[1]);
    *give = pair[0];
    return pid;
  }
  die_with_parent(self);
  status_fd = -1;
  umask(0);
  /* Nobody's pipes stay open on its account. */
  if (dup2(pair[1], 3) < 0 || dup2(supervisor.proc, 4) < 0 || sys_close_range(5, ~0u, 0) < 0 || sys_close_range(0, 2, 0) < 0) _exit(1);
  supervisor.proc = 4;
  supervisor.listener = receive_fd(3);
  if (supervisor.listener < 0) _exit(0);
  close(3);
  /* Both wake up on one processor, for one waits for the other (6.6). */
  (void)ioctl(supervisor.listener, SET_FLAGS, (uint64_t)SYNC_WAKE_UP);
  answer_all();
}

void end_supervisor(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}
