/*
 * What a step is told where a user namespace has one id only: owners, users and devices that the kernel cannot give it there.
 * A seccomp filter stops the calls that are about them; a supervisor outside the step answers (seccomp_unotify(2)).
 */
#ifndef TSBUILD_FAKES_H
#define TSBUILD_FAKES_H

#include "step.h"

#include "filter.h"

#include <limits.h>
#include <sys/stat.h>

/* ---- owner.c: what is remembered of a file's owner, on the file itself ---- */

/* Ids end here: see owner.c. */
#define OWNER_LIMIT 1000000000u

struct owner {
  uid_t uid;
  gid_t gid;
  /* A device that no namespace may make is an empty file; 0 where it is what it looks like. Else S_IFCHR or S_IFBLK. */
  mode_t device;
  unsigned major, minor;
};
/* Whose the file at `path` is; 0:0 where nothing is remembered. `info` is of the file itself: the last link is followed or not as `follow` says. */
struct owner read_owner(const char *path, bool follow, const struct stat *info);
/* 0 or an errno. What a file system cannot remember (no attributes of users) is no error. */
int write_owner(const char *path, bool follow, const struct stat *info, const struct owner *owner);
/* The same for a name in a directory that nobody else changes. */
void give_entry(int dir, const char *name, uid_t uid, gid_t gid);
/* Gives a directory the remembered owner of another one. */
void copy_owner(int from, int to);
/* Whether a time of last access stands for an owner. */
bool is_owner_time(const struct stat *info);

/* ---- fakes.c ---- */

/* Answers from now on what this process and its descendants ask. Gives the listener; -1 where nobody can listen, or without `asking`: then success is all they are told. */
int install_fakes(bool asking);
/*
 * The process that answers; it ends with this one. It is in the pid namespace that children of this process have now, and waits for the
 * listener at the socket that is given.
 */
pid_t start_supervisor(unsigned id_count, int *give);
void end_supervisor(pid_t pid);

/* What a call gets as an answer. */
struct reply {
  enum { REPLY_VALUE, REPLY_ERROR, REPLY_PROCEED, REPLY_SENT } kind;
  int64_t value;
};
static inline struct reply reply_value(int64_t value) { return (struct reply){REPLY_VALUE, value}; }
static inline struct reply reply_error(int error) { return (struct reply){REPLY_ERROR, error}; }
/* The kernel does what was asked for. */
static inline struct reply reply_proceed(void) { return (struct reply){REPLY_PROCEED, 0}; }

/* As in linux/seccomp.h. */
struct question {
  uint64_t id;
  uint32_t pid, flags;
  struct call call;
};
struct supervisor {
  int listener, proc;
  bool own_proc; /* `proc` shows the numbers that this process sees */
  unsigned id_count;
  struct question asked;
};
extern struct supervisor supervisor;

/* Memory of the process that asks. False when it has no such memory. */
bool read_memory(uint64_t address, void *data, size_t length);
bool write_memory(uint64_t address, const void *data, size_t length);
/* False when it was killed meanwhile: its number may be another process's. */
bool still_asks(void);
/* A pidfd of a process or, where the kernel can, of a thread, by the number that this process sees. -1 when it is gone. */
int open_process(pid_t pid);
/* The number in `supervisor.proc` of what this process sees under another; 0 when it is gone. */
int number_of(pid_t pid);
int asker_number(void);
/* A line of its `status` there, without its name. Good until the next call; NULL when there is none. */
const char *process_field(int number, const char *name);
/* Puts a descriptor into the process that asks, as the answer. */
struct reply send_descriptor(int fd, bool close_on_exec);

/* ---- fake_ids.c: who a process believes to be ---- */

struct ids {
  uid_t uid, euid, suid;
  gid_t gid, egid, sgid;
  /* PR_SET_KEEPCAPS, and what comes of it: root's rights after it became another. */
  bool keep, kept;
  uint32_t group_count;
  const gid_t *groups;
};
const struct ids *asker_ids(void);
/* The same of any process by the number that this one sees; NULL when it is gone, or was never told who it is. */
const struct ids *ids_of(pid_t pid);
/* Whether it has root's rights. */
static inline bool is_privileged(const struct ids *ids) { return ids->euid == 0 || ids->kept; }
bool in_group(const struct ids *ids, gid_t gid);
struct reply fake_get_id(const struct call *call);
struct reply fake_set_id(const struct call *call);
struct reply fake_groups(const struct call *call);
struct reply fake_keep(const struct call *call);

/* ---- fake_peers.c: who is at the other end of a socket ---- */

#define SO_PEERGROUPS_ 59 /* of Linux 4.13; on all processors that there is a filter for */
struct reply fake_peer(const struct call *call);

/* ---- fake_files.c and fake_stat.c ---- */

struct reply fake_chown(const struct call *call);
struct reply fake_create(const struct call *call);
struct reply fake_times(const struct call *call);
struct reply fake_stat(const struct call *call);
/*
 * Finds what a process that asks means by a path, from its root and directory, and gives a path of this process's that leads to it, whatever it is, a
 * link, too. NULL with errno where there is none, which the kernel then says itself, and ELOOP for links of /proc. `flags` are AT_SYMLINK_NOFOLLOW and
 * AT_EMPTY_PATH. The path is good until the next call.
 */
const char *go_to(int dir, uint64_t address, int flags);
/* The same for a descriptor. */
const char *go_to_descriptor(int fd);
/* What is at such a path. */
int stat_there(const char *path, struct stat *info);

#endif
