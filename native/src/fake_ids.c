/*
 * Who a process believes to be. The kernel knows one user here; what a process has become by setuid and its like has to last through fork
 * and exec without the supervisor seeing those. A number that stands for a set of ids is kept where the kernel hands it on: in a limit
 * that has had no meaning since Linux 2.4.25 (RLIMIT_LOCKS). The step cannot set it; the filter answers for that.
 *
 * The rules of who may become whom are the kernel's (credentials(7)), with root's rights for whoever has the effective uid 0. They make
 * programs go the way they would; they protect nothing, for all are the same user to the kernel.
 */
#include "fakes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The upper half of a limit that stands for ids; the lower half is their number. */
#define MARK 0x74736275ull
enum { MOST_SETS = 1 << 16, MOST_GROUPS = 65536 };

struct limits {
  uint64_t soft, hard;
};

static struct ids sets[MOST_SETS];
/* The first is root without further groups, which every step starts as. */
static uint32_t set_count = 1;

static long change_limit(pid_t pid, const struct limits *new, struct limits *old) { return syscall(SYS_prlimit64, pid, RLIMIT_LOCKS, new, old); }

const struct ids *ids_of(pid_t pid) {
  struct limits limits;
  if (change_limit(pid, NULL, &limits) < 0 || limits.soft >> 32 != MARK || (uint32_t)limits.soft >= set_count) return NULL;
  return &sets[(uint32_t)limits.soft];
}

const struct ids *asker_ids(void) {
  const struct ids *ids = ids_of((pid_t)supervisor.asked.pid);
  return ids == NULL ? &sets[0] : ids;
}

static bool same_ids(const struct ids *a, const struct ids *b) {
  return a->uid == b->uid && a->euid == b->euid && a->suid == b->suid && a->gid == b->gid && a->egid == b->egid && a->sgid == b->sgid && a->keep == b->keep && a->kept == b->kept &&
                 a->group_count == b->group_count && (a->group_count == 0 || memcmp(a->groups, b->groups, a->group_count * sizeof *a->groups) == 0);
}

static struct reply become(const struct ids *ids) {
  uint32_t number = 0;
  while (number < set_count && !same_ids(&sets[number], ids)) number++;
  if (number == MOST_SETS) return reply_error(EAGAIN);
  if (number == set_count) {
    sets[number] = *ids;
    if (ids->group_count > 0) {
      gid_t *groups = malloc(ids->group_count * sizeof *groups);
      if (groups == NULL) return reply_error(ENOMEM);
      sets[number].groups = memcpy(groups, ids->groups, ids->group_count * sizeof *groups);
    }
    set_count++;
  }
  struct limits limits;
  pid_t pid = (pid_t)supervisor.asked.pid;
  if (change_limit(pid, NULL, &limits) < 0) return reply_error(EAGAIN);
  limits.soft = MARK << 32 | number;
  /* Where the limit is lower, the process has become what it asked for and will be told that it is root. */
  if (limits.soft <= limits.hard) (void)change_limit(pid, &limits, NULL);
  return reply_value(0);
}

bool in_group(const struct ids *ids, gid_t gid) {
  for (uint32_t at = 0; at < ids->group_count; at++)
    if (ids->groups[at] == gid) return true;
  return ids->egid == gid;
}

static struct reply give_three(const struct call *call, uint32_t a, uint32_t b, uint32_t c) {
  bool given = write_memory(call->arguments[0], &a, sizeof a) && write_memory(call->arguments[1], &b, sizeof b) &&
               write_memory(call->arguments[2], &c, sizeof c);
  return given ? reply_value(0) : reply_error(EFAULT);
}

struct reply fake_get_id(const struct call *call) {
  const struct ids *ids = asker_ids();
  switch (call->number) {
  case SYS_getuid: return reply_value(ids->uid);
  case SYS_geteuid: return reply_value(ids->euid);
  case SYS_getgid: return reply_value(ids->gid);
  case SYS_getegid: return reply_value(ids->egid);
  case SYS_getresuid: return give_three(call, ids->uid, ids->euid, ids->suid);
  default: return give_three(call, ids->gid, ids->egid, ids->sgid);
  }
}

/* Real, effective and saved id of one kind. */
struct three {
  uint32_t *real, *effective, *saved;
};

#define SAME UINT32_MAX

static bool has(const struct three *ids, uint32_t id, bool privileged, bool saved_too) {
  return id == SAME || privileged || id == *ids->real || id == *ids->effective || (saved_too && id == *ids->saved);
}

static bool set_one(const struct three *ids, uint32_t id, bool privileged) {
  if (privileged) *ids->real = *ids->saved = id;
  else if (id != *ids->real && id != *ids->saved) return false;
  *ids->effective = id;
  return true;
}

static bool set_two(const struct three *ids, uint32_t real, uint32_t effective, bool privileged) {
  uint32_t before = *ids->real;
  if (!has(ids, real, privileged, false) || !has(ids, effective, privileged, true)) return false;
  if (real != SAME) *ids->real = real;
  if (effective != SAME) *ids->effective = effective;
  if (real != SAME || (effective != SAME && effective != before)) *ids->saved = *ids->effective;
  return true;
}

static bool set_all(const struct three *ids, uint32_t real, uint32_t effective, uint32_t saved, bool privileged) {
  if (!has(ids, real, privileged, true) || !has(ids, effective, privileged, true) || !has(ids, saved, privileged, true)) return false;
  if (real != SAME) *ids->real = real;
  if (effective != SAME) *ids->effective = effective;
  if (saved != SAME) *ids->saved = saved;
  return true;
}

static bool is_mapped(uint32_t id) { return id == SAME || id < supervisor.id_count; }

struct reply fake_set_id(const struct call *call) {
  struct ids ids = *asker_ids();
  bool privileged = is_privileged(&ids), allowed = false;
  uint32_t a = (uint32_t)call->arguments[0], b = (uint32_t)call->arguments[1], c = (uint32_t)call->arguments[2];
  struct three users = {&ids.uid, &ids.euid, &ids.suid}, groups = {&ids.gid, &ids.egid, &ids.sgid};
  switch (call->number) {
  /* For servers of files, of which images are not made: they are told who they are. */
  case SYS_setfsuid: return reply_value(ids.euid);
  case SYS_setfsgid: return reply_value(ids.egid);
  case SYS_setuid:
  case SYS_setgid:
    if (a == SAME || !is_mapped(a)) return reply_error(EINVAL);
    allowed = set_one(call->number == SYS_setuid ? &users : &groups, a, privileged);
    break;
  case SYS_setreuid:
  case SYS_setregid:
    if (!is_mapped(a) || !is_mapped(b)) return reply_error(EINVAL);
    allowed = set_two(call->number == SYS_setreuid ? &users : &groups, a, b, privileged);
    break;
  default:
    if (!is_mapped(a) || !is_mapped(b) || !is_mapped(c)) return reply_error(EINVAL);
    allowed = set_all(call->number == SYS_setresuid ? &users : &groups, a, b, c, privileged);
  }
  ids.kept = privileged && ids.keep && ids.euid != 0;
  return allowed ? become(&ids) : reply_error(EPERM);
}

static int by_number(const void *a, const void *b) {
  gid_t left = *(const gid_t *)a, right = *(const gid_t *)b;
  return left < right ? -1 : left > right;
}

struct reply fake_groups(const struct call *call) {
  static gid_t given[MOST_GROUPS];
  struct ids ids = *asker_ids();
  int count = (int)call->arguments[0];
  if (call->number == SYS_getgroups) {
    if (count < 0 || (count > 0 && (uint32_t)count < ids.group_count)) return reply_error(EINVAL);
    bool wanted = count > 0 && ids.group_count > 0;
    if (wanted && !write_memory(call->arguments[1], ids.groups, ids.group_count * sizeof *ids.groups)) return reply_error(EFAULT);
    return reply_value(ids.group_count);
  }
  if (!is_privileged(&ids)) return reply_error(EPERM);
  if (count < 0 || count > MOST_GROUPS) return reply_error(EINVAL);
  if (count > 0 && !read_memory(call->arguments[1], given, (size_t)count * sizeof *given)) return reply_error(EFAULT);
  for (int at = 0; at < count; at++)
    if (given[at] >= supervisor.id_count) return reply_error(EINVAL);
  /* The kernel tells them in order, too. */
  qsort(given, (size_t)count, sizeof *given, by_number);
  ids.group_count = (uint32_t)count;
  ids.groups = given;
  return become(&ids);
}

/* The kernel is told, too: it hands its answer out. A program that another one executes starts without it; one that is root stays root. */
struct reply fake_keep(const struct call *call) {
  struct ids ids = *asker_ids();
  ids.keep = call->arguments[1] != 0;
  (void)become(&ids);
  return reply_proceed();
}
